"""The numbers of a file by name, so that two runs of a script can be compared: how large, how many, where."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, Contents
from snakemake_executor_plugin_llmagent.data.load import load

MOST_LEAVES = 5000
LIKE_PROVENANCE = (
    "provenance",
    "created",
    "timestamp",
    "date",
    "time",
    "version",
    "versions",
    "seconds",
    "path",
    "file",
)
"""Keys of documents that say where a result comes from, and are no part of it."""


def measure(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The operation: `{"files": [path, ...]}` → `{path: {"numbers": {name: number}, "problem": text}}`."""
    return {str(path): _measured(Path(path)) for path in asked["files"]}


def _measured(path: Path) -> dict[str, Any]:
    try:
        return {"numbers": numbers_of(load(path)), "problem": ""}
    except CannotRead as error:
        return {"numbers": {}, "problem": str(error)}


def numbers_of(contents: Contents) -> dict[str, float]:
    """Names and numbers: leaves of documents, sums over columns and bins; those that are not finite are left out.

    | name | number |
    |---|---|
    | `a.b.c`, `a[0].b` | a number in a document |
    | `SHEET/COLUMN:sum`, `:mean`, `:std`, `:min`, `:max`, `:n` | of a column |
    | `SHEET:entries` | rows of a table |
    | `HISTOGRAM:sum`, `:mean`, `:variance`, `[i]` | of a histogram, and its bins |
    | `pixels:ink` | the share of an image that is not white |
    """
    found = dict(_all(contents))
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _all(contents: Contents) -> Iterator[tuple[str, float]]:
    if contents.document is not None:
        yield from _leaves(contents.document, "", [0])
    else:
        for sheet in contents.sheets:
            start = f"{sheet.name}/" if sheet.name else ""
            yield f"{sheet.name}:entries", sheet.entries
            for name, array in sheet.columns.items():
                if array.numeric:
                    yield from _column(f"{start}{name}", array)
        for histogram in contents.histograms:
            values = histogram.values.ravel()
            yield f"{histogram.name}:sum", float(values.sum())
            if histogram.variances is not None:
                yield f"{histogram.name}:variance", float(histogram.variances.sum())
            for i, value in enumerate(values[:MOST_LEAVES]):
                yield f"{histogram.name}[{i}]", float(value)
    if contents.pixels is not None:
        yield "pixels:ink", float((contents.pixels < 250).any(axis=2).mean())


def _column(name: str, array: Array) -> Iterator[tuple[str, float]]:
    values = array.numbers()
    values = values[np.isfinite(values)]
    yield f"{name}:n", len(values)
    if len(values):
        yield f"{name}:sum", float(values.sum())
        yield f"{name}:mean", float(values.mean())
        yield f"{name}:std", float(values.std())
        yield f"{name}:min", float(values.min())
        yield f"{name}:max", float(values.max())


def _leaves(found: Any, place: str, seen: list[int]) -> Iterator[tuple[str, float]]:
    if seen[0] > MOST_LEAVES:
        return
    if isinstance(found, int | float):
        seen[0] += 1
        yield place, float(found)
    elif isinstance(found, dict):
        for key, value in found.items():
            if str(key).lower() not in LIKE_PROVENANCE:
                yield from _leaves(value, f"{place}.{key}" if place else str(key), seen)
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from _leaves(value, f"{place}[{number}]", seen)
