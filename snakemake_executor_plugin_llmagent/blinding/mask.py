"""The operation that makes twins: copies of data files in which something is hidden, for authors to work with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.blinding import arrays, footer, tables, text
from snakemake_executor_plugin_llmagent.blinding.documents import Document, histograms_of, mentions
from snakemake_executor_plugin_llmagent.blinding.veil import CannotMask, Veil
from snakemake_executor_plugin_llmagent.data.contents import CannotRead, CannotWrite
from snakemake_executor_plugin_llmagent.data.load import format_of, load

WRITTEN = Path("written")
"""Folder of the working directory whose files are taken."""
MASKABLE = ("root", "parquet", "csv", "json", "yaml", "npz", "npy")


def mask(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Make twins.

    Args:
        asked: `windows` (column → [low, high]), `everything` (whether all rows are hidden), and `files`, a list of
            `{"source": path, "target": name, "declared": whether it is said to be data}`.

    Returns:
        For each file `{"written", "found", "notes", "problem"}`: whether a twin was written (not if a file that is not
        declared has no hidden column), the windows that it has, what else differs, and why there is no twin.
    """
    return [_twin(asked, file) for file in asked["files"]]


def _twin(asked: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    windows = {name: (float(low), float(high)) for name, (low, high) in asked["windows"].items()}
    veil = Veil(windows=windows, everything=asked["everything"], declared=file["declared"])
    source, target = Path(file["source"]), WRITTEN / file["target"]
    written, problem = False, ""
    try:
        if veil.declared or _holds(source, veil):
            _write(source, target, veil)
            _prove(target, veil)
            written = True
    except CannotMask as error:
        problem = str(error)
    except (CannotRead, CannotWrite) as error:
        # What a library says of a file may hold values of it.
        problem = str(error) if error.__cause__ is None else f"it cannot be read: {type(error.__cause__).__name__}"
    except Exception as error:
        problem = f"it cannot be masked: {type(error).__name__}"
    if problem:
        target.unlink(missing_ok=True)
    return {"written": written, "found": sorted(veil.found), "notes": veil.notes, "problem": problem}


def _holds(source: Path, veil: Veil) -> bool:
    """Whether a file that nobody called data has a hidden column.

    Raises:
        CannotMask: that cannot be told.
    """
    kind = format_of(source)
    if not source.stat().st_size:
        return False
    if kind in ("json", "yaml"):
        document = _document(source, kind)
        if not mentions(document, veil):
            found = list(histograms_of(document))
            return bool(found) and tables.holds_any(found, veil)
        return True
    if kind in ("npz", "npy"):
        return arrays.holds(source, veil)
    if kind in ("root", "parquet", "csv"):
        return tables.holds(source, veil)
    raise CannotMask("it is of no format into which we can look")


def _write(source: Path, target: Path, veil: Veil) -> None:
    kind = format_of(source)
    if kind not in MASKABLE:
        raise CannotMask("nothing can be hidden in files of its format")
    if kind in ("json", "yaml"):
        _write_document(Document(veil).masked(_document(source, kind)), target, kind)
    elif kind in ("npz", "npy"):
        arrays.mask(source, target, veil)
    elif kind == "csv":
        text.mask(source, target, veil)
    else:
        tables.mask(source, target, veil)
        if kind == "parquet":
            footer.blank(target, sum(sheet.entries for sheet in load(target, limit=1).sheets), veil)


def _document(source: Path, kind: str) -> Any:
    found = source.read_text(encoding="utf-8-sig")
    if kind == "json":
        return json.loads(found)
    import yaml

    return yaml.safe_load(found)


def _write_document(document: Any, target: Path, kind: str) -> None:
    if kind == "json":
        target.write_text(json.dumps(document), encoding="utf-8")
        return
    import yaml

    target.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _prove(target: Path, veil: Veil) -> None:
    """Read the twin again and see that nothing hidden is in it.

    Raises:
        CannotMask: something is.
    """
    if veil.declared and not veil.everything and not veil.found:
        raise CannotMask(f"it has no column and no axis named {' or '.join(map(repr, veil.windows))}")
    contents = load(target)
    for sheet in contents.sheets:
        for name, array in sheet.columns.items():
            windows = veil.windows_of(name, f"{sheet.name}/{name}")
            if array.numeric and veil.hides(windows, array.values).any():
                raise CannotMask(f"its column {name!r} could not be hidden")
    left = [float(np.abs(histogram.values).sum()) for histogram in contents.histograms]
    if veil.everything and (any(left) or any(sheet.entries for sheet in contents.sheets)):
        raise CannotMask("not everything in it could be hidden")
