"""What a script changes of the one before it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup, escape

from snakemake_executor_plugin_llmagent.text import clean

MOST_LINES = 4000
"""Longer scripts are not compared."""
_CLASSES = {"+": "add", "-": "del", "@": "at", " ": "same"}


@dataclass(frozen=True)
class Diff:
    """The difference of two scripts.

    Attributes:
        html: its lines, added and removed ones marked; None if it was not made.
        added, removed: how many lines.
    """

    html: Markup | None
    added: int = 0
    removed: int = 0


def difference(before: str, after: str) -> Diff:
    """What turns one script into another; empty for the same script."""
    old, new = clean(before).splitlines(), clean(after).splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return Diff(None)
    lines = list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]
    signs = [line[:1] for line in lines]
    return Diff(Markup("".join(_blocks(lines))), signs.count("+"), signs.count("-"))


def _blocks(lines: list[str]) -> Iterator[str]:
    for sign, block in groupby(lines, key=lambda line: line[:1]):
        text = escape("\n".join(block) + "\n")
        yield f'<span class="{_CLASSES[sign]}">{text}</span>'
