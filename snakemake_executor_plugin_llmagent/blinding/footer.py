"""What a Parquet file says of its table as a whole: numbers of rows and whatever its writer stored are blanked.

Texts are replaced in place by texts as long, so that nothing else of the file changes.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.blinding.veil import CannotMask, Veil, harmless

MAGIC, SCHEMA, PANDAS, UNITS = b"PAR1", b"ARROW:schema", b"pandas", b"units"
_KEY_VALUES = 5
"""Number of the field that holds a file's own texts, in the footer's structure."""


def blank(path: Path, rows: int, veil: Veil) -> None:
    """Blank the texts of a Parquet file that was just written.

    Raises:
        CannotMask: its footer is not as we know it.
    """
    data = bytearray(path.read_bytes())
    try:
        (length,) = struct.unpack("<I", data[-8:-4])
        start = len(data) - 8 - length
        texts = dict(_texts(_Reader(bytes(data[:-8]), start).struct().get(_KEY_VALUES, [])))
    except (IndexError, KeyError, ValueError, struct.error, TypeError):
        raise CannotMask("its footer cannot be read") from None
    if data[-4:] != MAGIC:
        raise CannotMask("its footer cannot be read")
    schema = base64.b64decode(texts[SCHEMA].value) if SCHEMA in texts else None
    for key, text in texts.items():
        left = text.value if key == SCHEMA else _left(key, text.value, rows)
        if left == text.value:
            continue
        data[text.at : text.at + len(left)] = left
        schema = None if schema is None else _again(schema, text.value, left)
        if key != PANDAS:
            veil.note(f"the file's own text {key.decode(errors='replace')!r} is blank")
    if schema is not None:
        at, coded = texts[SCHEMA].at, base64.b64encode(schema)
        data[at : at + len(coded)] = coded
    path.write_bytes(data)


@dataclass(frozen=True)
class _Text:
    value: bytes
    at: int


def _texts(entries: list[dict[int, Any]]) -> Iterator[tuple[bytes, _Text]]:
    for entry in entries:
        yield entry[1].value, entry.get(2, _Text(b"", 0))


def _again(schema: bytes, old: bytes, new: bytes) -> bytes:
    """Replace a text in Arrow's own copy of a schema, where it stands between its length and a zero."""
    length = struct.pack("<I", len(old))
    if length + old + b"\0" not in schema:
        raise CannotMask("Arrow's copy of its schema is not as we know it")
    return schema.replace(length + old + b"\0", length + new + b"\0")


def _left(key: bytes, value: bytes, rows: int) -> bytes:
    if key == PANDAS:
        return _pandas(value, rows)
    shown = key == UNITS or harmless(key.decode(errors="replace"), value.decode(errors="replace"))
    empty = {b"{}": b"{}", b"[]": b"[]"}.get(value[:1] + value[-1:], b"")  # what was JSON can still be read as such
    return value if shown else empty.ljust(len(value))


def _pandas(value: bytes, rows: int) -> bytes:
    """What pandas notes of columns, without how many rows and categories there were."""
    told = json.loads(value)
    for index in told.get("index_columns", ()):
        if isinstance(index, dict) and index.get("kind") == "range":
            index |= {"start": 0, "stop": rows, "step": 1}
    for column in told.get("columns", ()):
        if isinstance(column.get("metadata"), dict) and "num_categories" in column["metadata"]:
            column["metadata"] = None
    told |= {"attributes": {}} if "attributes" in told else {}
    text = json.dumps(told, separators=(",", ":")).encode()
    if len(text) > len(value):
        raise CannotMask("what pandas notes in it cannot be changed")
    return text.ljust(len(value))


class _Reader:
    """Reads structures in Thrift's compact form, as far as footers have them."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def struct(self) -> dict[int, Any]:
        """A structure: number of a field → value."""
        found: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._signed()
            kind = head & 0x0F
            found[number] = kind == 1 if kind in (1, 2) else self._value(kind)
        return found

    def _value(self, kind: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 7:
            return self._take(8)
        if kind == 8:
            size = self._unsigned()
            return _Text(self._take(size), self._at - size)
        if kind in (9, 10):
            return self._list()
        if kind == 12:
            return self.struct()
        raise ValueError(kind)

    def _list(self) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 != 15 else self._unsigned()
        return [self._value(head & 0x0F) for _ in range(size)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
