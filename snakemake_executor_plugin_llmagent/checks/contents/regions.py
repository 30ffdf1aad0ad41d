"""Regions that a sentence gives (`122 < m_yy < params.window[1]`, `score > 0.8`), tried on tables of the inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, combinations
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case
from snakemake_executor_plugin_llmagent.checks.contents.names import flat
from snakemake_executor_plugin_llmagent.data.contents import Sheet

MOST_CONDITIONS = 4
"""Of more conditions nobody knows which belong together."""
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_NAME = r"`?([A-Za-z_]\w*)`?"
_BETWEEN = re.compile(rf"(?<![\w.]){_NUMBER}\s*(<=|<|≤)\s*{_NAME}\s*(<=|<|≤)\s*{_NUMBER}(?![\w.]*\w)")
_ONE_SIDE = re.compile(rf"(?<![<≤]\s)(?<!<=\s)(?<![<≤\w.`]){_NAME}\s*(>=|>|≥|<=|<|≤)\s*{_NUMBER}(?!\s*(?:<|≤))")
_PARAM = re.compile(r"`?\b(?:snakemake\.)?params\.([A-Za-z_]\w*)(?:\[(\d+)\])?`?")
Rows = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One column between two bounds, one of which may be infinite.

    Attributes:
        said: in the sentence, with the numbers of the params in their places.
        column: its name.
        low, high: bounds.
        with_low, with_high: whether the bounds themselves are inside.
    """

    said: str
    column: str
    low: float = -np.inf
    high: float = np.inf
    with_low: bool = False
    with_high: bool = False

    def rows(self, sheet: Sheet) -> Rows:
        """The rows of a table that fulfil it."""
        values = flat(sheet)[self.column].astype(np.float64)
        above = values >= self.low if self.with_low else values > self.low
        below = values <= self.high if self.with_high else values < self.high
        return np.asarray(above & below)


def conditions(case: Case) -> list[Condition]:
    """The conditions in the sentence, each once."""
    text = _PARAM.sub(lambda match: _value(case.params, match), case.text)
    found = []
    for match in _BETWEEN.finditer(text):
        low, first, name, second, high = match.groups()
        if float(low) < float(high):
            found.append(
                Condition(
                    said=" ".join(match[0].split()), column=name, low=float(low), high=float(high),
                    with_low=first != "<", with_high=second != "<",
                )
            )  # fmt: skip
    for match in _ONE_SIDE.finditer(_BETWEEN.sub(" ", text)):
        name, sign, bound = match[1], match[2], float(match[3])
        said, closed = " ".join(match[0].split()), sign not in "<>"
        if sign[0] in ">≥":
            found.append(Condition(said=said, column=name, low=bound, with_low=closed))
        else:
            found.append(Condition(said=said, column=name, high=bound, with_high=closed))
    return list(dict.fromkeys(found))


def _value(params: Mapping[str, Any], match: re.Match[str]) -> str:
    """A param as it would stand in the sentence; what is no number stays as it is."""
    value = params.get(match[1])
    if match[2] is not None:
        value = value[int(match[2])] if isinstance(value, list) and int(match[2]) < len(value) else None
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.12g}" if known else match[0]


def regions(case: Case, sheet: Sheet) -> Iterator[Sequence[Condition]]:
    """The conditions that can be tried on a table, all of them together first, then fewer, each alone last."""
    known = [one for one in conditions(case) if one.column in flat(sheet)]
    if len(known) <= MOST_CONDITIONS:
        yield from chain.from_iterable(combinations(known, size) for size in range(len(known), 0, -1))


def inside(sheet: Sheet, region: Sequence[Condition]) -> Rows | None:
    """The rows of a table in a region; None if it lacks a column."""
    if not all(one.column in flat(sheet) for one in region):
        return None
    return reduce(np.logical_and, [one.rows(sheet) for one in region])
