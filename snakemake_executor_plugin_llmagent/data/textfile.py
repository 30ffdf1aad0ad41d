"""CSV, JSON and YAML as tables, histograms and documents."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, Contents, Edit, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import Change, Rebin

LONGEST = 256 << 20
"""How long a text may be [bytes]."""
EDGES, COUNTS = ("bin_edges", "edges"), ("counts", "contents", "values")


def _text(path: Path) -> str:
    if path.stat().st_size > LONGEST:
        raise CannotRead(f"{path.name} is too long")
    return path.read_text(encoding="utf-8-sig")


# --- CSV ------------------------------------------------------------------------------------------------------------


def _rows(path: Path) -> tuple[list[list[str]], str]:
    text = _text(path)
    first = text.partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row], delimiter


def _sheet(rows: list[list[str]], limit: int | None) -> Sheet:
    if not rows:
        return Sheet(name="", columns={}, entries=0)
    names, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    columns = {name.strip(): Array(values=_parsed([row[i] for row in body[:limit]])) for i, name in enumerate(names)}
    return Sheet(name="", columns=columns, entries=len(body))


def _parsed(texts: list[str]) -> np.ndarray[Any, Any]:
    for kind in (np.int64, np.float64):
        try:
            return np.array([text.strip() for text in texts], dtype=kind)
        except (ValueError, OverflowError):
            continue
    return np.array(texts, dtype=object)


def load_csv(path: Path, limit: int | None) -> Contents:
    """Read a table with a line of names."""
    return Contents(path=path, format="csv", sheets=(_sheet(_rows(path)[0], limit),))


def rewrite_csv(source: Path, target: Path, change: Change, rebin: Rebin | None) -> tuple[str, ...]:  # noqa: ARG001
    """Write a table again, altered; what is not altered keeps its digits."""
    rows, delimiter = _rows(source)
    edit = change(_sheet(rows, None))
    if edit is not None:
        names, body = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
        if edit.rows is not None:
            body = [list(body[int(number)]) for number in edit.rows]
        for i, name in enumerate(names):
            if name.strip() in edit.columns:
                for row, value in zip(body, edit.columns[name.strip()].values.tolist(), strict=True):
                    row[i] = repr(value) if isinstance(value, float) else str(value)
        kept = [i for i, name in enumerate(names) if name.strip() not in edit.drop]
        rows = [[row[i] for i in kept] for row in (names, *body)]
    with target.open("w", encoding="utf-8", newline="") as sink:
        csv.writer(sink, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return () if edit is None else ("table",)


# --- JSON -----------------------------------------------------------------------------------------------------------


def load_json(path: Path, limit: int | None) -> Contents:
    """Read a document, the tables in it (lists of records, or columns of equal length) and its histograms."""
    return _document(path, json.loads(_text(path)), "json", limit)


def load_yaml(path: Path, limit: int | None) -> Contents:
    """Read a document as with JSON."""
    import yaml

    return _document(path, yaml.safe_load(_text(path)), "yaml", limit)


def _document(path: Path, document: Any, kind: str, limit: int | None) -> Contents:
    places = list(_places(document, ""))
    sheets = [_table(place, found, limit) for place, form, found in places if form == "table"]
    histograms = [_histogram(place, found) for place, form, found in places if form == "histogram"]
    return Contents(path=path, format=kind, sheets=tuple(sheets), histograms=tuple(histograms), document=document)


def _places(found: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    """Tables and histograms inside of a document, by their place (`a.b`)."""
    if _is_records(found) or _is_columns(found):
        yield place, "table", found
    elif isinstance(found, dict):
        if _is_histogram(found):
            yield place, "histogram", found
            return
        for key, value in found.items():
            yield from _places(value, f"{place}.{key}" if place else str(key))


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _is_records(found: Any) -> bool:
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) and entry for entry in found):
        return False
    names = set(found[0])
    return all(set(entry) == names and all(map(_plain, entry.values())) for entry in found)


def _is_columns(found: Any) -> bool:
    if not isinstance(found, dict) or len(found) < 2 or _is_histogram(found):
        return False
    columns = list(found.values())
    if not all(isinstance(column, list) and column and all(map(_plain, column)) for column in columns):
        return False
    return len({len(column) for column in columns}) == 1


def _is_histogram(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    if "uhi_schema" in found or ("axes" in found and "storage" in found):
        return True
    edges, counts = _first(found, EDGES), _first(found, COUNTS)
    both = isinstance(edges, list) and isinstance(counts, list)
    return both and len(edges) == len(counts) + 1 and all(isinstance(n, int | float) for n in (*edges, *counts))


def _first(found: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((found[name] for name in names if name in found), None)


def _table(place: str, found: Any, limit: int | None) -> Sheet:
    records = isinstance(found, list)
    names = list(found[0]) if records else list(found)
    listed = {name: [entry[name] for entry in found] if records else found[name] for name in names}
    columns = {name: Array(values=_values(values[:limit])) for name, values in listed.items()}
    return Sheet(name=place, columns=columns, entries=len(next(iter(listed.values()))))


def _values(values: list[Any]) -> np.ndarray[Any, Any]:
    if all(isinstance(value, bool) for value in values):
        return np.array(values, dtype=bool)
    if all(isinstance(value, int) for value in values):
        return np.array(values)
    if all(value is None or isinstance(value, int | float) for value in values):
        return np.array([np.nan if value is None else value for value in values], dtype=float)
    return np.array(values, dtype=object)


def _histogram(place: str, found: dict[str, Any]) -> Histogram:
    if "axes" not in found:
        errors = found.get("errors")
        variances = found.get("variances", None if errors is None else [error**2 for error in errors])
        return Histogram(
            name=place, edges=(np.array(_first(found, EDGES), float),), values=np.array(_first(found, COUNTS), float),
            variances=None if variances is None else np.array(variances, float),
        )  # fmt: skip
    edges = tuple(_axis(axis) for axis in found["axes"])
    storage = found["storage"]
    values = np.array(storage["values"], float)
    variances = storage.get("variances")
    # UHI stores flow bins where an axis has them.
    inner = tuple(
        slice(1 if axis.get("underflow") else 0, -1 if axis.get("overflow") else None) for axis in found["axes"]
    )
    inner = inner if values.ndim == len(inner) else tuple(slice(None) for _ in range(values.ndim))
    labels = tuple(str((axis.get("metadata") or {}).get("label", "")) for axis in found["axes"])
    return Histogram(
        name=place, edges=edges, values=values[inner], labels=labels,
        variances=None if variances is None else np.array(variances, float)[inner],
    )  # fmt: skip


def _axis(axis: dict[str, Any]) -> np.ndarray[Any, Any]:
    if "edges" in axis:
        return np.array(axis["edges"], float)
    if "categories" in axis:
        return np.arange(len(axis["categories"]) + 1.0)
    return np.linspace(float(axis["lower"]), float(axis["upper"]), int(axis["bins"]) + 1)


def rewrite_json(source: Path, target: Path, change: Change, rebin: Rebin | None) -> tuple[str, ...]:
    """Write a document again with its tables and histograms altered."""
    document = copy.deepcopy(json.loads(_text(source)))
    altered = []
    for place, form, found in list(_places(document, "")):
        if form == "table":
            edit = change(_table(place, found, None))
            if edit is None:
                continue
            document = _put(document, place, _edited(found, edit))
        else:
            instead = None if rebin is None else rebin(_histogram(place, found))
            if instead is None:
                continue
            _refill(found, instead)
        altered.append(place or "document")
    target.write_text(json.dumps(document), encoding="utf-8")
    return tuple(altered)


def _edited(found: Any, edit: Edit) -> Any:
    before = _table("", found, None)
    after = {name: array.values.tolist() for name, array in edit.applied(before).columns.items()}
    if isinstance(found, dict):
        return after
    names = list(after)
    return [dict(zip(names, row, strict=True)) for row in zip(*after.values(), strict=True)]


def _put(document: Any, place: str, value: Any) -> Any:
    if not place:
        return value
    *above, last = place.split(".")
    holder = document
    for key in above:
        holder = holder[key]
    holder[last] = value
    return document


def _refill(found: dict[str, Any], histogram: Histogram) -> None:
    if "axes" in found:
        found["storage"]["values"] = histogram.values.tolist()
        if histogram.variances is not None:
            found["storage"]["variances"] = histogram.variances.tolist()
        return
    whole = all(isinstance(value, int) for value in _first(found, COUNTS))
    values = histogram.values.tolist()
    for name in COUNTS:
        if name in found:
            found[name] = [int(value) if whole and float(value).is_integer() else value for value in values]
            break
    if histogram.variances is not None and "variances" in found:
        found["variances"] = histogram.variances.tolist()
