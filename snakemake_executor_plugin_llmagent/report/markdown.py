"""A document as Markdown (CommonMark with tables as on GitHub)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from snakemake_executor_plugin_llmagent.report.document import Block, Code, Run, Table
from snakemake_executor_plugin_llmagent.text import one_line

LIMIT = 2000
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")


def markdown(blocks: Sequence[Block]) -> str:
    """The document as text."""
    return "\n\n".join(_table(block) if isinstance(block, Table) else _runs(block.runs) for block in blocks) + "\n"


def _runs(runs: Sequence[Run], *, cell: bool = False) -> str:
    return "".join(_code(run.text, cell=cell) if isinstance(run, Code) else escape(run) for run in runs)


def escape(text: str) -> str:
    """A text in which nothing is markup; blanks at its ends stay."""
    ends = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :]
    inner = _SPECIAL.sub(r"\\\1", one_line(text, LIMIT))
    return f"{ends[0]}{inner}{ends[1]}" if inner else " " * bool(text)


def _code(text: str, *, cell: bool) -> str:
    line = one_line(text, LIMIT)
    if not line:
        return ""
    fence = "`" * (1 + max((len(found) for found in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    # Within a table a bar ends the cell, in code as well, unless it is escaped; a backslash before it cannot be shown.
    shown = line.replace("|", "\\|") if cell else line
    return f"{fence}{pad}{shown}{pad}{fence}"


def _table(table: Table) -> str:
    head = [f"**{escape(table.caption)}**", "", f"| {' | '.join(map(escape, table.titles))} |"]
    rows = [f"| {' | '.join(_runs([cell], cell=True) for cell in row)} |" for row in table.rows]
    return "\n".join([*head, f"|{'---|' * len(table.titles)}", *rows])
