"""Descriptions of files → text for people and models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snakemake_executor_plugin_llmagent.formats.numbers import NAME_LIMIT, TITLE_LIMIT
from snakemake_executor_plugin_llmagent.protocols import Column, FileDescription, Table
from snakemake_executor_plugin_llmagent.text import clean_value

_WIDEST_NAME = 40
_WIDEST_TYPE = 24
_NOTE_LIMIT = 800
_EXCERPT_LIMIT = 10_000


def render_description(
    description: FileDescription,
    *,
    ranges: bool = True,
    excerpts: bool = True,
    max_columns: int | None = None,
    max_ranges: int | None = None,
) -> str:
    """A description as text, one line a column, without its path.

    Args:
        description: what a file holds.
        ranges: show least, largest and mean values, and titles.
        excerpts: show a piece of a text.
        max_columns: how many columns of a table to show; None for all.
        max_ranges: how many columns of a table get ranges; None for all.
    """
    lines = [f"{description.format}, {size_text(description.size_bytes)}"]
    if description.problem:
        verb = "does not open" if description.opened is False else "was not looked into"
        lines[0] += f"; {verb}: it {clean_value(description.problem, TITLE_LIMIT * 2)}"
    limit = max_ranges if ranges else 0
    seen: dict[tuple[tuple[str, str], ...], str] = {}
    for table in description.tables:
        shape = tuple((column.name, column.type) for column in table.columns)
        twin = seen.setdefault(shape, table.name) if len(shape) > 1 else table.name
        # Trees of systematic variations repeat the nominal one; ranges of such twins say little for their length.
        same = twin if twin != table.name and table.kind in ("TTree", "RNTuple", "datasets") else None
        lines.extend(_table(table, limit, max_columns, same))
    if description.excerpt and excerpts:
        lines.append("excerpt:")
        lines.extend(
            f"  | {line}" for line in clean_value(description.excerpt, _EXCERPT_LIMIT, lines=True).splitlines()
        )
    return "\n".join(lines)


def structure_of(description: FileDescription) -> tuple[object, ...]:
    """What two files share that can be read by the same code: format, names and types."""
    return (
        description.format,
        description.opened,
        tuple(
            (table.name, table.kind, tuple((column.name, column.type) for column in table.columns))
            for table in description.tables
        ),
    )


def size_text(size_bytes: int) -> str:
    """A size in the unit that suits it, such as `12.3 MB`."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.4g} {unit}"
        size /= 1000
    return f"{size:.4g} TB"


def number_text(value: float) -> str:
    """A number with four significant digits; whole numbers below a million are shown in full."""
    return str(int(value)) if abs(value) < 1e6 and value == int(value) else f"{value:.4g}"


def _table(table: Table, max_ranges: int | None, max_columns: int | None, twin: str | None) -> Iterator[str]:
    name = f"{clean_value(table.name, NAME_LIMIT)!r}: " if table.name else ""
    head = f"{name}{clean_value(table.kind, NAME_LIMIT)}"
    if table.entries is not None:
        head += f", {table.entries} {'entry' if table.entries == 1 else 'entries'}"
    if table.columns and max_ranges != 0 and table.looked_at and table.looked_at != table.entries:
        some = f"{table.looked_at} of them alone" if table.entries is not None else "the head alone"
        head += f", ranges and means from {some}"
    yield head
    if table.note:
        yield f"  ({clean_value(table.note, _NOTE_LIMIT)})"
    if twin is not None:
        yield f"  columns as in {clean_value(twin, NAME_LIMIT)!r}"
        return
    shown = table.columns[:max_columns]
    yield from _columns(shown, len(shown) if max_ranges is None else max_ranges)
    if len(table.columns) > len(shown):
        yield f"  … {len(table.columns) - len(shown)} more columns"


def _columns(columns: Sequence[Column], max_ranges: int) -> Iterator[str]:
    """The columns, aligned."""
    rows = [
        (clean_value(column.name, NAME_LIMIT) or "(value)", clean_value(column.type, NAME_LIMIT), _unit(column))
        for column in columns
    ]
    name_width = min(_WIDEST_NAME, max((len(name) for name, _, _ in rows), default=0))
    type_width = min(_WIDEST_TYPE, max((len(type_) for _, type_, _ in rows), default=0))
    unit_width = max((len(unit) for _, _, unit in rows), default=0)
    for index, (column, (name, type_, unit)) in enumerate(zip(columns, rows, strict=True)):
        cells = [name.ljust(name_width), type_.ljust(type_width)]
        if unit_width:
            cells.append(unit.ljust(unit_width))
        if index < max_ranges:
            cells.append(_values(column))
            if column.title:
                cells.append(f'"{clean_value(column.title, TITLE_LIMIT)}"')
        yield f"  {'  '.join(cells)}".rstrip()


def _unit(column: Column) -> str:
    return f"[{clean_value(column.unit, NAME_LIMIT)}]" if column.unit else ""


def _span(low: float, high: float) -> str:
    texts = number_text(low), number_text(high)
    # Numbers of runs and events differ only in their last digits.
    return " .. ".join(texts if texts[0] != texts[1] else (f"{low:.12g}", f"{high:.12g}"))


def _values(column: Column) -> str:
    parts = []
    if column.minimum is not None and column.maximum is not None:
        if column.n_distinct_capped == 1:
            parts.append(f"all {number_text(column.minimum)}" if column.n_values > 1 else number_text(column.minimum))
        else:
            parts.append(_span(column.minimum, column.maximum))
            if column.mean is not None:
                parts.append(f"mean {number_text(column.mean)}")
    if column.n_nonfinite:
        parts.append(f"{column.n_nonfinite} of {column.n_values} missing, NaN or infinite")
    if column.per_entry is not None:
        fewest, most = column.per_entry
        parts.append(f"{fewest if fewest == most else f'{fewest}-{most}'} per entry")
    if column.examples:
        parts.append("such as " + ", ".join(repr(clean_value(text, NAME_LIMIT)) for text in column.examples))
    return ", ".join(parts)
