"""NumPy's own files, `.npy` and `.npz`, without ever unpickling anything."""

from __future__ import annotations

import ast
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from snakemake_executor_plugin_llmagent.formats.contents import Contents, Unreadable, left_out
from snakemake_executor_plugin_llmagent.formats.numbers import bare_column, column, spans, type_name
from snakemake_executor_plugin_llmagent.protocols import Column, Table

MOST_ARRAYS = 200
MOST_ENTRIES = 10_000
MOST_BYTES = 4 * 1024 * 1024
"""How much of one array is read [bytes]."""
_LONGEST_HEADER = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class _Header:
    dtype: Any
    shape: tuple[int, ...]
    length: int

    @property
    def entry_bytes(self) -> int:
        return int(self.dtype.itemsize) * math.prod(self.shape[1:])

    @property
    def data_bytes(self) -> int:
        return int(self.dtype.itemsize) * math.prod(self.shape)


def read(path: Path) -> Contents:
    """Describe one array or an archive of arrays.

    Raises:
        Unreadable: it is damaged.
    """
    with path.open("rb") as file:
        if file.read(6) == b"\x93NUMPY":
            file.seek(0)
            return Contents(tables=(_array("", file, path.stat().st_size, seekable=True),))
    try:
        with zipfile.ZipFile(path) as archive:
            return Contents(tables=tuple(_members(archive)))
    except zipfile.BadZipFile as error:
        raise Unreadable(f"is a damaged archive: {error}") from error


def _members(archive: zipfile.ZipFile) -> list[Table]:
    members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
    tables = []
    for member in members[:MOST_ARRAYS]:
        with archive.open(member) as file:
            tables.append(_array(member.filename.removesuffix(".npy"), file, member.file_size, seekable=False))
    if len(members) > MOST_ARRAYS:
        tables.append(left_out(f"{len(members) - MOST_ARRAYS} more arrays were not looked at"))
    if len(archive.namelist()) > len(members):
        tables.append(left_out(f"{len(archive.namelist()) - len(members)} members are no arrays"))
    return tables


def _header(file: IO[bytes]) -> _Header:
    """The header, read with `literal_eval` as numpy does; versions 1 to 3 differ in its length field and encoding."""
    import numpy as np

    start = file.read(8)
    if not start.startswith(b"\x93NUMPY") or len(start) < 8:
        raise Unreadable("holds something that is no NumPy array")
    version = start[6]
    width = 2 if version == 1 else 4
    length = int.from_bytes(file.read(width), "little")
    if length > _LONGEST_HEADER:
        raise Unreadable("has an array whose header is too long")
    raw = file.read(length)
    try:
        header = ast.literal_eval(raw.decode("utf-8" if version >= 3 else "latin-1"))
        shape = tuple(int(size) for size in header["shape"])
        dtype = np.lib.format.descr_to_dtype(header["descr"])
    except (ValueError, SyntaxError, TypeError, KeyError, UnicodeDecodeError, RecursionError, MemoryError) as error:
        raise Unreadable(f"has an array with a damaged header: {error}") from error
    return _Header(dtype=dtype, shape=shape, length=8 + width + length)


def _array(name: str, file: IO[bytes], size: int, *, seekable: bool) -> Table:
    import numpy as np

    header = _header(file)
    shape, dtype = header.shape, header.dtype
    entries = shape[0] if shape else None
    note = f"shape {shape}" if len(shape) != 1 else None
    if dtype.hasobject:
        lost = "holds pickled Python objects, which are not read"
        return Table(
            name=name,
            kind="array",
            entries=entries,
            columns=(bare_column(_last(name), "object"),),
            note=f"{note}; {lost}" if note else lost,
        )
    if size - header.length < header.data_bytes:
        where = f"its array {name!r}" if name else "it"
        raise Unreadable(f"is cut short: {where} should hold {header.data_bytes} bytes of numbers")
    pieces = _pieces(file, header, seekable=seekable)
    rows = np.concatenate([np.frombuffer(piece, dtype=dtype) for piece in pieces]) if pieces else np.empty(0, dtype)
    entry_length = math.prod(shape[1:])
    return Table(
        name=name,
        kind="array",
        entries=entries,
        columns=_columns(_last(name), rows, shape),
        looked_at=0 if not shape or not entry_length else len(rows) // entry_length,
        note=note,
    )


def _last(name: str) -> str:
    return name or "array"


def _pieces(file: IO[bytes], header: _Header, *, seekable: bool) -> list[bytes]:
    """The bytes of the entries to look at. Archives are unpacked from the start, so there the first ones."""
    if not header.shape:
        return [file.read(header.data_bytes)]
    if not header.data_bytes:
        return []
    entry = header.entry_bytes
    most = min(MOST_ENTRIES, MOST_BYTES // entry)
    if most == 0:
        # One entry alone is too large: look at whole elements of the first one.
        item = int(header.dtype.itemsize)
        return [file.read(MOST_BYTES // item * item)] if item <= MOST_BYTES else []
    if not seekable:
        return [file.read(min(most, header.shape[0]) * entry)]
    pieces = []
    for start, stop in spans(header.shape[0], most):
        file.seek(header.length + start * entry)
        pieces.append(file.read((stop - start) * entry))
    return pieces


def _columns(name: str, rows: Any, shape: tuple[int, ...]) -> tuple[Column, ...]:
    inner = "".join(f"{size} * " for size in shape[1:])
    if rows.dtype.names is None:
        return (column(name, rows, type=inner + type_name(rows.dtype)),)
    return tuple(
        column(field, rows[field], type=inner + type_name(rows.dtype.fields[field][0]))
        if rows.dtype.fields[field][0].names is None
        else bare_column(field, "struct")
        for field in rows.dtype.names
    )
