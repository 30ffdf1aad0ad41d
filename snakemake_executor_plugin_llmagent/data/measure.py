"""The numbers of a file by name, so that two runs of a script can be compared: how large, how many, where."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, Contents, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.fingerprint import fingerprints, of_bytes
from snakemake_executor_plugin_llmagent.data.leaves import MOST_LEAVES, leaves
from snakemake_executor_plugin_llmagent.data.load import format_of, load

MANY_ROWS = 1000
"""Of a table inside a document with more rows than this, columns are measured instead of single numbers."""
TEXTS = (".txt", ".md", ".tex", ".dat", ".rst")
LONGEST_TEXT = 1 << 20
"""How much of a text is looked at [characters]."""
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])")


def measure(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The operation: `{"files": [path, ...]}` → `{path: {"numbers": {name: number}, "problem": text}}`.

    With `"texts": true` also the numbers in plain texts are taken, by the order in which they stand there; with
    `"parts": true` there are also `parts`, fingerprints of all that the file holds.
    """
    texts, parts = bool(asked.get("texts")), bool(asked.get("parts"))
    return {str(path): _measured(Path(path), texts, parts) for path in asked["files"]}


def _measured(path: Path, texts: bool, parts: bool) -> dict[str, Any]:
    try:
        if texts and not format_of(path) and path.suffix.lower() in TEXTS:
            found = {"numbers": numbers_in_text(path), "problem": ""}
            return {**found, "parts": of_bytes(path)} if parts else found
        contents = load(path)
        found = {"numbers": numbers_of(contents), "problem": ""}
        return {**found, "parts": fingerprints(contents)} if parts else found
    except (CannotRead, OSError) as error:
        found = {"numbers": {}, "problem": str(error)}
        return {**found, "parts": of_bytes(path)} if parts else found


def numbers_in_text(path: Path) -> dict[str, float]:
    """The numbers in a text, as `text[0]`, `text[1]` and so on."""
    with path.open(encoding="utf-8", errors="replace") as handle:
        found = _NUMBER.findall(handle.read(LONGEST_TEXT))[:MOST_LEAVES]
    return {f"text[{i}]": value for i, text in enumerate(found) if math.isfinite(value := float(text))}


def numbers_of(contents: Contents) -> dict[str, float]:
    """Names and numbers: leaves of documents, sums over columns and bins; those that are not finite are left out.

    | name | number |
    |---|---|
    | `a.b.c`, `a[0].b` | a number in a document, but for tables of many rows, which are measured as such |
    | `SHEET/COLUMN:sum`, `:mean`, `:std`, `:min`, `:max`, `:n` | of a column |
    | `SHEET:entries` | rows of a table |
    | `HISTOGRAM:sum`, `:variance`, `[i]` | of a histogram, and its bins |
    | `pixels:ink` | the share of an image that is not white |
    """
    found = dict(_all(contents))
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _all(contents: Contents) -> Iterator[tuple[str, float]]:
    if contents.document is not None:
        long = [sheet for sheet in contents.sheets if sheet.entries > MANY_ROWS]
        yield from leaves(contents.document, leave_out=frozenset(sheet.name for sheet in long))
        for sheet in long:
            yield from _table(sheet)
    else:
        for sheet in contents.sheets:
            yield from _table(sheet)
        for histogram in contents.histograms:
            yield from _bins(histogram)
    if contents.pixels is not None:
        yield "pixels:ink", float((contents.pixels < 250).any(axis=2).mean())


def _table(sheet: Sheet) -> Iterator[tuple[str, float]]:
    start = f"{sheet.name}/" if sheet.name else ""
    yield f"{sheet.name}:entries", sheet.entries
    for name, array in sheet.columns.items():
        if array.numeric:
            yield from _column(f"{start}{name}", array)


def _bins(histogram: Histogram) -> Iterator[tuple[str, float]]:
    values = histogram.values.ravel()
    yield f"{histogram.name}:sum", float(values.sum())
    if histogram.variances is not None:
        yield f"{histogram.name}:variance", float(histogram.variances.sum())
    for i, value in enumerate(values[:MOST_LEAVES]):
        yield f"{histogram.name}[{i}]", float(value)


def _column(name: str, array: Array) -> Iterator[tuple[str, float]]:
    import numpy as np

    values = array.numbers()
    values = values[np.isfinite(values)]
    yield f"{name}:n", len(values)
    if len(values):
        yield f"{name}:sum", float(values.sum())
        yield f"{name}:mean", float(values.mean())
        yield f"{name}:std", float(values.std())
        yield f"{name}:min", float(values.min())
        yield f"{name}:max", float(values.max())
