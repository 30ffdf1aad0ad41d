"""CSV and TSV: delimiter, header, column types and ranges, with the standard library alone."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from snakemake_executor_plugin_llmagent.formats.contents import Contents, Unreadable
from snakemake_executor_plugin_llmagent.formats.numbers import column
from snakemake_executor_plugin_llmagent.formats.source import decode, read_head
from snakemake_executor_plugin_llmagent.protocols import Column, Table

LIMIT = 4 * 1024 * 1024
"""How much of a table is read [bytes]."""
MOST_ROWS = 10_000
MOST_COLUMNS = 500
_DELIMITERS = ",\t;| "
_MISSING = frozenset({"", "na", "n/a", "null", "none"})
_EXCERPT_LINES = 6


def read(path: Path) -> Contents:
    """Describe a table of text.

    Raises:
        Unreadable: it is no text, or has no rows.
    """
    head = read_head(path, LIMIT)
    text = decode(head.data, whole=head.whole)
    if not head.whole:
        text = text[: text.rfind("\n") + 1] or text
    comments = sum(1 for _ in _leading_comments(text))
    body = "".join(text.splitlines(keepends=True)[comments:])
    delimiter = "\t" if ".tsv" in path.suffixes else _delimiter(body)
    try:
        rows = list(islice(_rows(body, delimiter), MOST_ROWS + 1))
    except csv.Error as error:
        raise Unreadable(f"is not valid CSV: {error}") from error
    if not rows:
        raise Unreadable("holds no rows")
    header, rows = _split_header(rows)
    entries = None
    if head.whole:
        entries = len(rows) if len(rows) < MOST_ROWS else sum(1 for _ in _rows(body, delimiter)) - (header is not None)
    rows = rows[:MOST_ROWS]
    names = header or [f"column {number}" for number in range(len(rows[0]))]
    table = Table(
        name="",
        kind="table",
        entries=entries,
        columns=tuple(_column(name, _cells(rows, index)) for index, name in enumerate(names[:MOST_COLUMNS])),
        looked_at=len(rows),
        note="; ".join(_notes(names, rows, delimiter, comments, named=header is not None)),
    )
    return Contents(tables=(table,))


def _leading_comments(text: str) -> Sequence[str]:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line)
    return lines


def _rows(body: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, skipinitialspace=delimiter == " ")
    return filter(None, reader)


def _delimiter(body: str) -> str:
    """The delimiter that cuts the first lines most evenly into most cells."""
    sample = list(islice((line for line in body.splitlines() if line.strip()), 20))
    best, best_score = ",", 0
    for delimiter in _DELIMITERS:
        counts = Counter(len(row) for row in csv.reader(sample, delimiter=delimiter))
        cells, rows = max(counts.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        score = 0 if cells < 2 else rows * 1000 + min(cells, 999)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _split_header(rows: list[list[str]]) -> tuple[list[str] | None, list[list[str]]]:
    """A first row without any number is taken for the header."""
    first = rows[0]
    if any(_number(cell) is not None for cell in first if cell.strip()) or not any(cell.strip() for cell in first):
        return None, rows
    return first, rows[1:]


def _cells(rows: list[list[str]], index: int) -> list[str]:
    return [row[index].strip() if index < len(row) else "" for row in rows]


def _number(cell: str) -> float | None:
    try:
        # Python reads 1_000 as a number, tables do not.
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def _column(name: str, cells: list[str]) -> Column:
    import numpy as np

    filled = [cell for cell in cells if cell.lower() not in _MISSING]
    numbers = [_number(cell) for cell in filled]
    known = [number for number in numbers if number is not None]
    if not filled or len(known) < len(filled):
        return column(name.strip(), np.array(filled, dtype=str), type="string")
    whole = all(cell.lstrip("+-").isdecimal() for cell in filled)
    return column(
        name.strip(),
        np.array(known, dtype=np.float64),
        type="int64" if whole else "float64",
        n_missing=len(cells) - len(filled),
    )


def _notes(names: list[str], rows: list[list[str]], delimiter: str, comments: int, *, named: bool) -> Sequence[str]:
    notes = [f"delimiter {delimiter!r}", "first row is the header" if named else "no header"]
    if comments:
        notes.append(f"{comments} comment lines before the table")
    lengths = {len(row) for row in rows}
    if lengths - {len(names)}:
        notes.append(f"rows have {min(lengths)} to {max(lengths)} cells, the header {len(names)}")
    if len(names) > MOST_COLUMNS:
        notes.append(f"{len(names) - MOST_COLUMNS} more columns were not looked at")
    return notes
