"""Cuts of the sentence that the rows of an output do not fulfil."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.kinds import Slot, slot_of
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, is_energy, pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions, units
from snakemake_executor_plugin_llmagent.checks.contents.thresholds import (
    Threshold,
    Window,
    thresholds,
    windows_of_columns,
)

FEW = 20
SHARE, LEAST = 1e-3, 3
"""So many values have to be beyond a bound, at least this share of them: a rounded one is not."""
SLACK = 1e-5
"""Values this near to a bound may lie at it, in single precision [relative]."""
_EVERYTHING = (
    r"\b(one|a) (row|entry|line) per event\b|\ball (rows|events|entries)\b|every (row|event|entry)\b"
    r"|(rows|events|entries) of the inputs?\b|equal length"
)
_PT = frozenset({"pt"})
Numbers = np.ndarray[Any, Any]


def cuts_applied(case: Case) -> Iterable[Found]:
    """No object has less pT than the sentence asks for, and no row lies outside of a window of a column."""
    tables = [(part, sheet) for part, sheet in case.tables() if sheet.entries >= FEW]
    told = list(thresholds(case.text, case.params, frozenset(name for _, sheet in tables for name in sheet.columns)))
    for part, sheet in tables:
        yield from _momenta(case, part, flat(sheet), told)
    if len(tables) == 1 and not mentions(case.text, _EVERYTHING):
        part, sheet = tables[0]
        columns = flat(sheet)
        for window in windows_of_columns(case.text, case.params, frozenset(columns)):
            yield from _outside(part, columns[window.column], window)


def _momenta(case: Case, part: Part, columns: Mapping[str, Numbers], told: list[Threshold]) -> Iterator[Found]:
    found = {name: slot for name in columns if (slot := slot_of(name, _PT))}
    kinds = {slot.kind for slot in found.values()}
    from_zero = any(slot.place == 0 for slot in found.values())
    for name, slot in found.items():
        fitting = [one for one in told if _fits(one, slot, kinds, from_zero)]
        if not fitting:
            continue
        # Of several that may be meant the weakest.
        least = min(fitting, key=lambda one: one.low)
        values = columns[name].astype(np.float64)
        values = values[np.isfinite(values) & (values > 0)]
        below = values < least.low * (1 - SLACK)
        if _many(below):
            yield Found(
                check="cut.not_applied",
                warning=not (least.certain or units(case.text) == {"GeV"}),
                message=f"{np.mean(below):.1%} of {shown(name)} of {part.label} are below {least.low:g} GeV, down to "
                f"{values.min():.5g}, but the rule says `{least.said}`. Apply the cut, in the unit that the column has "
                "(GeV or MeV).",
            )


def _fits(one: Threshold, slot: Slot, kinds: set[str | None], from_zero: bool) -> bool:
    """Whether a threshold is meant for a column."""
    if one.kind is not None and slot.kind is not None and one.kind != slot.kind:
        return False
    if (one.kind is None) != (slot.kind is None) and len(kinds) > 1:
        return False
    place = slot.place + 1 if slot.place is not None and from_zero else slot.place
    if one.first is not None and (place is None or place > one.first):
        return False
    return one.place is None or one.place == place


def _outside(part: Part, column: Numbers, window: Window) -> Iterator[Found]:
    values = column.astype(np.float64)
    values = values[np.isfinite(values)]
    # What lies within it in another unit is looked at elsewhere.
    if is_energy(window.column) and any(not _many(_beyond(values * by, window)) for by in (1e-3, 1e3)):
        return
    outside = _beyond(values, window)
    if _many(outside) and not set(pieces(window.column)) & {"mev", "tev"}:
        yield Found(
            check="cut.not_applied",
            message=f"{np.mean(outside):.1%} of {shown(window.column)} of {part.label} do not fulfil "
            f"`{window.said}` of the rule (they run from {values.min():.5g} to {values.max():.5g}). Apply the cut to "
            "all rows.",
        )


def _beyond(values: Numbers, window: Window) -> Numbers:
    low = -np.inf if window.low is None else window.low - SLACK * abs(window.low)
    high = np.inf if window.high is None else window.high + SLACK * abs(window.high)
    return np.asarray((values < low) | (values > high))


def _many(beyond: Numbers) -> bool:
    return int(np.count_nonzero(beyond)) >= LEAST and float(np.mean(beyond)) > SHARE
