"""CSV, JSON and YAML as tables, histograms and documents."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, Contents, Edit, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import Change, Rebin

LONGEST = 256 << 20
"""How long a text may be [bytes]."""
MOST_BEFORE = 100
"""How many lines may stand before the first row of a table that is too long to be read."""
EDGES, COUNTS = ("bin_edges", "edges"), ("counts", "contents", "values")


def _text(path: Path) -> str:
    if path.stat().st_size > LONGEST:
        raise CannotRead(f"{path.name} is too long")
    return path.read_text(encoding="utf-8-sig")


# --- CSV ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class _Rows:
    """A table as text: names (numbers if the file has none), its rows, how it is written, and comments before it."""

    names: list[str]
    body: list[list[str]]
    headed: bool
    delimiter: str
    before: list[str]
    entries: int


def _rows(path: Path, limit: int | None) -> _Rows:
    cut = limit is not None and path.stat().st_size > LONGEST
    lines = _first_lines(path, limit or 0) if cut else _text(path).splitlines(keepends=True)
    before: list[str] = []
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        before.append(lines.pop(0))
    delimiter = max("\t;,", key=lines[0].count) if lines else ","
    rows = [row for row in csv.reader(io.StringIO("".join(lines)), delimiter=delimiter) if row]
    if not rows:
        return _Rows(names=[], body=[], headed=True, delimiter=delimiter, before=before, entries=0)
    headed = not all(map(_is_number, rows[0]))
    names = [name.strip() for name in rows[0]] if headed else [str(i) for i in range(len(rows[0]))]
    body = [row for row in rows[headed:] if len(row) == len(names)]
    entries = _lines(path) - len(before) - headed if cut else len(body)
    return _Rows(
        names=names, body=body[:limit], headed=headed, delimiter=delimiter, before=before, entries=entries
    )  # fmt: skip


def _first_lines(path: Path, rows: int) -> list[str]:
    """Lines of a text that is too long: those before the table, and some more than so many rows."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(islice(handle, rows + MOST_BEFORE))


def _lines(path: Path) -> int:
    with path.open("rb") as handle:
        return sum(block.count(b"\n") for block in iter(partial(handle.read, 1 << 20), b""))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sheet(rows: _Rows) -> Sheet:
    columns = {name: Array(values=_parsed([row[i] for row in rows.body])) for i, name in enumerate(rows.names)}
    return Sheet(name="", columns=columns, entries=rows.entries)


def _parsed(texts: list[str]) -> np.ndarray[Any, Any]:
    """Numbers, if all are or are missing; else texts."""
    stripped = [text.strip() for text in texts]
    try:
        return np.array(stripped, dtype=np.int64)
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([text or "nan" for text in stripped], dtype=np.float64)
    except ValueError:
        return np.array(texts, dtype=object)


def load_csv(path: Path, limit: int | None) -> Contents:
    """Read a table, with or without a line of names, and with comments before it."""
    return Contents(path=path, format="csv", sheets=(_sheet(_rows(path, limit)),))


def rewrite_csv(source: Path, target: Path, change: Change, limit: int | None) -> tuple[str, ...]:
    """Write a table again, altered; what is not altered keeps its digits."""
    rows = _rows(source, limit)
    edit = change(_sheet(rows))
    if edit is None and limit is None:
        shutil.copyfile(source, target)
        return ()
    chosen, body = edit or Edit(), rows.body
    if chosen.rows is not None:
        body = [list(body[int(number)]) for number in chosen.rows]
    for i, name in enumerate(rows.names):
        if name in chosen.columns:
            for row, value in zip(body, chosen.columns[name].values.tolist(), strict=True):
                row[i] = repr(value) if isinstance(value, float) else str(value)
    kept = [i for i, name in enumerate(rows.names) if name not in chosen.drop]
    written = [[row[i] for i in kept] for row in ([rows.names] if rows.headed else []) + body]
    with target.open("w", encoding="utf-8", newline="") as sink:
        sink.writelines(rows.before)
        csv.writer(sink, delimiter=rows.delimiter, lineterminator="\n").writerows(written)
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
    places = [(".".join(place), form, found) for place, form, found in _places(document, ())]
    sheets = [_table(name, found, limit) for name, form, found in places if form == "table"]
    histograms = [_histogram(name, found) for name, form, found in places if form == "histogram"]
    return Contents(path=path, format=kind, sheets=tuple(sheets), histograms=tuple(histograms), document=document)


def _places(found: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Tables and histograms inside of a document, by the keys that lead there."""
    if _is_records(found) or _is_columns(found):
        yield place, "table", found
    elif isinstance(found, dict):
        if _is_histogram(found):
            yield place, "histogram", found
            return
        for key, value in found.items():
            yield from _places(value, (*place, str(key)))


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
    inner = _inner(found["axes"], values.ndim)
    labels = tuple(str((axis.get("metadata") or {}).get("label", "")) for axis in found["axes"])
    return Histogram(
        name=place, edges=edges, values=values[inner], labels=labels,
        variances=None if variances is None else np.array(variances, float)[inner],
    )  # fmt: skip


def _inner(axes: list[dict[str, Any]], dimensions: int) -> tuple[slice, ...]:
    """Where the bins lie in what is stored: UHI stores flow bins where an axis has them."""
    inner = tuple(slice(1 if axis.get("underflow") else 0, -1 if axis.get("overflow") else None) for axis in axes)
    return inner if dimensions == len(inner) else (slice(None),) * dimensions


def _axis(axis: dict[str, Any]) -> np.ndarray[Any, Any]:
    if "edges" in axis:
        return np.array(axis["edges"], float)
    if "categories" in axis:
        return np.arange(len(axis["categories"]) + 1.0)
    return np.linspace(float(axis["lower"]), float(axis["upper"]), int(axis["bins"]) + 1)


def rewrite_json(source: Path, target: Path, change: Change, rebin: Rebin | None, limit: int | None) -> tuple[str, ...]:
    """Write a document again with its tables and histograms altered; all else in it stays."""
    document = json.loads(_text(source))
    altered = []
    for place, form, found in list(_places(document, ())):
        name = ".".join(place)
        if form == "table":
            edit = change(_table(name, found, limit))
            if edit is None and limit is None:
                continue
            document = _put(document, place, _edited(found, edit or Edit(), limit))
            if edit is None:
                continue
        else:
            instead = None if rebin is None else rebin(_histogram(name, found))
            if instead is None:
                continue
            _refill(found, instead)
        altered.append(name or "document")
    target.write_text(json.dumps(document), encoding="utf-8")
    return tuple(altered)


def _edited(found: Any, edit: Edit, limit: int | None) -> Any:
    """A table after a change; values that are not replaced stay what they are, `null` and whole numbers too."""
    records = isinstance(found, list)
    names = [name for name in (found[0] if records else found) if name not in edit.drop]
    after: dict[str, list[Any]] = {}
    for name in names:
        if name in edit.columns:
            after[name] = edit.columns[name].values.tolist()
            continue
        values = ([entry[name] for entry in found] if records else found[name])[:limit]
        after[name] = values if edit.rows is None else [values[int(number)] for number in edit.rows]
    if not records:
        return after
    return [dict(zip(names, row, strict=True)) for row in zip(*after.values(), strict=True)]


def _put(document: Any, place: tuple[str, ...], value: Any) -> Any:
    if not place:
        return value
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return document


def _refill(found: dict[str, Any], histogram: Histogram) -> None:
    """Put other contents into a histogram; flow bins stay."""
    if "axes" in found:
        storage, inner = found["storage"], _inner(found["axes"], np.ndim(found["storage"]["values"]))
        storage["values"] = _filled(storage["values"], inner, histogram.values)
        if histogram.variances is not None and storage.get("variances") is not None:
            storage["variances"] = _filled(storage["variances"], inner, histogram.variances)
        return
    for name in COUNTS:
        if name in found:
            whole = all(isinstance(value, int) for value in found[name])
            values = histogram.values.tolist()
            found[name] = [int(value) if whole and float(value).is_integer() else value for value in values]
            break
    if histogram.variances is not None and "variances" in found:
        found["variances"] = histogram.variances.tolist()
    if histogram.variances is not None and "errors" in found:
        found["errors"] = np.sqrt(histogram.variances).tolist()


def _filled(before: Any, inner: tuple[slice, ...], values: np.ndarray[Any, Any]) -> Any:
    filled = np.array(before)
    whole = filled.dtype.kind in "iu" and bool((values == np.floor(values)).all())
    filled = filled if whole else filled.astype(float)
    filled[inner] = values
    return filled.tolist()
