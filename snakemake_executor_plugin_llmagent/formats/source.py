"""Bounded pieces of files as bytes and text, gzipped or not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, NamedTuple, cast

from snakemake_executor_plugin_llmagent.formats.contents import Unreadable

GZIP_MAGIC = b"\x1f\x8b"
EXCERPT_HEAD = 3000
"""How much of the start of a text is shown [characters]."""
EXCERPT_TAIL = 600


class Head(NamedTuple):
    """The start of a file, and whether that is all of it."""

    data: bytes
    whole: bool


def is_zipped(path: Path) -> bool:
    """Whether a file is gzipped."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked if it is gzipped."""
    return cast(IO[bytes], gzip.open(path)) if is_zipped(path) else path.open("rb")


def read_head(path: Path, limit: int) -> Head:
    """The first bytes of a file.

    Args:
        path: a file, gzipped or not.
        limit: how many to read [bytes].

    Raises:
        Unreadable: the file is gzipped and damaged.
    """
    try:
        with open_bytes(path) as file:
            data = file.read(limit + 1)
    except (EOFError, gzip.BadGzipFile) as error:
        raise Unreadable(f"is a damaged gzip file: {error}") from error
    return Head(data[:limit], len(data) <= limit)


def read_tail(path: Path, limit: int) -> bytes:
    """The last bytes of a file, as they are on disk."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - limit))
        return file.read(limit)


def decode(data: bytes, *, whole: bool) -> str:
    """The text of some bytes in UTF-8, or in Latin-1 where they are not UTF-8.

    Args:
        data: the start of a file.
        whole: whether it is all of it; else a character cut at the end is dropped.

    Raises:
        Unreadable: the bytes are no text.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data[: len(data) // 2 * 2].decode("utf-16", "replace")
    if b"\0" in data:
        raise Unreadable("is not text: it holds null bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not whole and error.start >= len(data) - 3:
            return data[: error.start].decode("utf-8-sig")
        return data.decode("latin-1")


def shorten(text: str) -> str:
    """Head and tail of a text, with a line that says how much is left out between them."""
    if len(text) <= EXCERPT_HEAD + EXCERPT_TAIL + 80:
        return text
    skipped = len(text) - EXCERPT_HEAD - EXCERPT_TAIL
    return f"{text[:EXCERPT_HEAD]}\n[… {skipped} characters left out …]\n{text[-EXCERPT_TAIL:]}"
