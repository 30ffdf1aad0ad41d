"""A small document: paragraphs and tables of plain and literal text, before anybody has chosen Markdown or LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A text to be shown literally, such as the name of a rule."""

    text: str


Run = str | Code


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Table:
    """A table: its caption, a name for references, the titles of its columns and its rows.

    Attributes:
        widths: of the columns, as parts of the width of a line.
    """

    caption: str
    label: str
    titles: tuple[str, ...]
    rows: tuple[tuple[Run, ...], ...]
    widths: tuple[float, ...]


Block = Paragraph | Table


def listed(items: Iterable[Run | Sequence[Run]], last: str = " and ") -> list[Run]:
    """Items in a row: `a, b and c`."""
    found = [[item] if isinstance(item, (str, Code)) else list(item) for item in items]
    runs: list[Run] = []
    for number, item in enumerate(found):
        if number:
            runs.append(last if number == len(found) - 1 else ", ")
        runs += item
    return runs
