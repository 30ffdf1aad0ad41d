"""How the commands show things to a person: tables, styled lines and sources. The one place that uses rich."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

STYLES = {"frozen": "green", "edited": "yellow", "stale": "magenta", "missing": "red", "awaiting": "cyan"}
"""State of a rule → its style."""

Cell = str | tuple[str, str]
"""A text, or a text and its style."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: what stands above it.
        style: of its cells, where they have none of their own.
        folds: whether long texts go on in a further line; otherwise the column is as wide as they are.
        right: whether its texts stand at its right side, as numbers do.
        least: how wide it is at least, however little room there is [characters].
    """

    title: str
    style: str = ""
    folds: bool = False
    right: bool = False
    least: int | None = None


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table; texts are taken as they are, without markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(
            column.title, no_wrap=not column.folds, overflow="fold", justify=justify, min_width=column.least
        )
    for row in rows:
        cells = [
            (cell, column.style) if isinstance(cell, str) else cell for cell, column in zip(row, columns, strict=True)
        ]
        table.add_row(*(Text(text, style=style) for text, style in cells))
    Console().print(table)


def print_line(*parts: Cell) -> None:
    """Print texts beside each other, each with its style; texts are taken as they are, without markup."""
    from rich.console import Console
    from rich.text import Text

    Console().print(*(Text(part) if isinstance(part, str) else Text(part[0], style=part[1]) for part in parts))


def print_source(source: str, language: str = "python", *, numbered: bool = True) -> None:
    """Print a source in colours, its lines numbered."""
    from rich.console import Console
    from rich.syntax import Syntax

    Console().print(Syntax(source, language, line_numbers=numbered, background_color="default"))
