"""HDF5: groups, datasets, attributes, and a few entries of each dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.formats.contents import Contents, left_out, need
from snakemake_executor_plugin_llmagent.formats.numbers import (
    NAME_LIMIT,
    TITLE_LIMIT,
    bare_column,
    column,
    spans,
    type_name,
)
from snakemake_executor_plugin_llmagent.protocols import Column, Table
from snakemake_executor_plugin_llmagent.text import clean_value

MOST_DATASETS = 1000
MOST_GROUPS = 1000
MOST_RANGED = 300
"""How many datasets are looked into."""
MOST_ENTRIES = 10_000
MOST_BYTES = 4 * 1024 * 1024
"""How much is read of one dataset, unpacked [bytes]."""
MOST_VARIABLE = 1000
"""How many entries of variable length are looked at."""
MOST_TOTAL = 64 * 1024 * 1024
DEEPEST = 12


@dataclass(kw_only=True)
class _Budget:
    """What may still be read."""

    bytes: int = MOST_TOTAL
    datasets: int = MOST_RANGED

    def take(self, price: int) -> bool:
        """Whether this much may be read; if so it counts as read."""
        if price > self.bytes or not self.datasets:
            return False
        self.bytes -= price
        self.datasets -= 1
        return True


@dataclass(kw_only=True)
class _Found:
    """Datasets by group and number of entries, in the order of the file."""

    tables: dict[tuple[str, int | None], list[Any]] = field(default_factory=dict)
    odd: list[Table] = field(default_factory=list)
    datasets: int = 0
    groups: int = 0
    left_out: int = 0


def read(path: Path) -> Contents:
    """Describe an HDF5 file.

    Raises:
        ReaderMissing: h5py is not installed.
    """
    h5py = need("h5py", "h5py")
    with h5py.File(path, "r", locking=False) as file:
        found = _Found()
        _walk(h5py, file, "", found, 0)
        budget = _Budget()
        tables = [_table(h5py, group, entries, sets, budget) for (group, entries), sets in found.tables.items()]
        tables.extend(found.odd)
        notes = _attributes(file)
        if notes:
            tables.append(Table(name="", kind="attributes", note=notes))
        if found.left_out:
            tables.append(left_out(f"{found.left_out} or more objects were not looked at"))
        return Contents(tables=tuple(tables))


def _walk(h5py: Any, group: Any, prefix: str, found: _Found, depth: int) -> None:
    for name in group:
        path = f"{prefix}/{name}" if prefix else name
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            # Such a link may point into another file.
            found.odd.append(
                Table(name=clean_value(path, NAME_LIMIT), kind=type(link).__name__, note="was not followed")
            )
            continue
        if found.datasets >= MOST_DATASETS or found.groups >= MOST_GROUPS:
            found.left_out += 1
            return
        item = group.get(name)
        if isinstance(item, h5py.Dataset):
            found.datasets += 1
            entries = item.shape[0] if item.shape else None
            found.tables.setdefault((prefix, entries), []).append((name, item))
        elif isinstance(item, h5py.Group) and depth < DEEPEST:
            found.groups += 1
            _walk(h5py, item, path, found, depth + 1)
        else:
            found.left_out += 1


def _table(h5py: Any, group: str, entries: int | None, datasets: list[Any], budget: _Budget) -> Table:
    """The datasets of one group with as many entries each, which belong together as the columns of a table do."""
    columns: list[Column] = []
    looked_at, skipped = entries or 0, 0
    for name, dataset in datasets:
        pieces = _pieces(dataset, budget)
        skipped += pieces is None
        if pieces:
            looked_at = min(looked_at, sum(len(piece) for piece in pieces))
        columns.extend(_columns(h5py, name, dataset, pieces))
    return Table(
        name=clean_value(group, NAME_LIMIT),
        kind="datasets",
        entries=entries,
        columns=tuple(columns),
        looked_at=0 if skipped == len(datasets) else looked_at,
        note=f"{skipped} datasets were not looked into" if skipped else None,
    )


def _pieces(dataset: Any, budget: _Budget) -> list[Any] | None:
    """A few entries as numpy arrays, or None where looking would cost too much or lead into another file."""
    import numpy as np

    if dataset.shape is None or dataset.is_virtual or dataset.external:
        return None
    if dataset.shape == ():
        return [np.asarray(dataset[()]).reshape(1)] if budget.take(dataset.dtype.itemsize) else None
    entry = dataset.dtype.itemsize * math.prod(dataset.shape[1:])
    most = min(MOST_ENTRIES, MOST_BYTES // max(1, entry))
    if dataset.dtype.hasobject:
        # The type does not tell how long entries of variable length are.
        most = min(most, MOST_VARIABLE)
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0
    # A chunk is read and unpacked as a whole, whatever part of it is asked for.
    row_of_chunks = (
        0
        if not chunk
        else chunk
        * math.prod(
            math.ceil(size / length) for size, length in zip(dataset.shape[1:], dataset.chunks[1:], strict=True)
        )
    )
    price = min(most, dataset.shape[0]) * entry + 2 * row_of_chunks
    if not most or row_of_chunks > 4 * MOST_BYTES or not budget.take(price):
        return None
    return [dataset[start:stop] for start, stop in spans(dataset.shape[0], most)]


def _columns(h5py: Any, name: str, dataset: Any, pieces: list[Any] | None) -> Iterator[Column]:
    import numpy as np

    inner = "".join(f"{size} * " for size in dataset.shape[1:]) if dataset.shape else ""
    title, unit = _text(dataset, "title", "long_name", "description"), _text(dataset, "units", "unit")
    if dataset.dtype.names is not None:
        for part in dataset.dtype.names:
            dtype = dataset.dtype.fields[part][0]
            kind = inner + _type(h5py, dtype)
            if pieces is None or dtype.names is not None or dtype.hasobject:
                yield bare_column(f"{name}.{part}", kind)
            else:
                yield column(f"{name}.{part}", np.concatenate([piece[part].ravel() for piece in pieces]), type=kind)
        return
    kind = inner + _type(h5py, dataset.dtype)
    if pieces is None:
        yield bare_column(name, kind, title=title, unit=unit)
        return
    values = np.concatenate([piece.ravel() for piece in pieces])
    yield _filled(name, kind, values, title=title, unit=unit)


def _filled(name: str, kind: str, values: Any, *, title: str | None, unit: str | None) -> Column:
    import numpy as np

    if values.dtype.kind != "O":
        return column(name, values, type=kind, title=title, unit=unit)
    if len(values) and isinstance(values[0], np.ndarray):
        lengths = [len(value) for value in values]
        flat = np.concatenate(list(values))
        return column(name, flat, type=kind, title=title, unit=unit, per_entry=(min(lengths), max(lengths)))
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values[:100]]
    return column(name, np.array(texts, dtype=str), type=kind, title=title, unit=unit)


def _type(h5py: Any, dtype: Any) -> str:
    if h5py.check_string_dtype(dtype) is not None:
        return "string"
    inner = h5py.check_vlen_dtype(dtype)
    if inner is not None:
        return f"var * {type_name(inner)}"
    return "struct" if dtype.names is not None else type_name(dtype)


def _text(dataset: Any, *names: str) -> str | None:
    """The first of these attributes that is a text."""
    for name in names:
        if name in dataset.attrs:
            value = dataset.attrs[name]
            if isinstance(value, bytes):
                return value.decode("utf-8", "replace")
            if isinstance(value, str):
                return str(value)
    return None


def _attributes(file: Any) -> str | None:
    """The first few attributes of the file as text."""
    parts = []
    for name in list(file.attrs)[:10]:
        value = file.attrs[name]
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        parts.append(f"{clean_value(name, NAME_LIMIT)} = {clean_value(text, TITLE_LIMIT)}")
    return "; ".join(parts) or None
