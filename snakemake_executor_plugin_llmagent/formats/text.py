"""Plain text: a piece of it and the number of lines."""

from __future__ import annotations

from pathlib import Path

from snakemake_executor_plugin_llmagent.formats.contents import Contents
from snakemake_executor_plugin_llmagent.formats.source import (
    EXCERPT_HEAD,
    EXCERPT_TAIL,
    decode,
    is_zipped,
    read_head,
    read_tail,
    shorten,
)
from snakemake_executor_plugin_llmagent.protocols import Table
from snakemake_executor_plugin_llmagent.text import clean_value

LIMIT = 256 * 1024
"""How much of a text is read [bytes]."""


def read(path: Path) -> Contents:
    """Describe a text."""
    head = read_head(path, LIMIT)
    text = decode(head.data, whole=head.whole)
    if head.whole:
        lines = text.count("\n") + (not text.endswith("\n"))
        return Contents(tables=(Table(name="", kind="text", entries=lines, looked_at=lines),), excerpt=excerpt(text))
    note = f"only the first {LIMIT // 1024} kB and the end were looked at"
    # The end of a gzipped file is not text.
    tail = "" if is_zipped(path) else read_tail(path, EXCERPT_TAIL).decode("utf-8", "replace")
    piece = f"{text[:EXCERPT_HEAD]}\n[… the middle of the file is left out …]\n{tail}"
    return Contents(
        tables=(Table(name="", kind="text", looked_at=text.count("\n"), note=note),), excerpt=excerpt(piece)
    )


def excerpt(text: str) -> str:
    """Head and tail of a text, fit to be shown."""
    return clean_value(shorten(text), 2 * (EXCERPT_HEAD + EXCERPT_TAIL), lines=True)
