"""Weights that were lost on the way: all one, all equal, not used, not numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.names import continuous, listed, shown, varies, weights_of
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions, unweighted

FEW, MANY = 20, 100
"""A table with fewer rows says nothing about its weights; with fewer than many nothing about negative ones [rows]."""
PLAIN = frozenset({"weight", "weights", "w", "event_weight", "eventweight", "total_weight"})
POSITIVE = r"absolute|abs\(|\|w|positive|negative|non-?negative|magnitude|clip"


def weights_kept(case: Case) -> Iterable[Found]:
    """Weights in the outputs are finite, and vary where those of the inputs do."""
    for part, sheet in case.tables():
        for name, values in weights_of(sheet).items():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            if bad:
                yield Found(
                    check="output.nonfinite",
                    message=f"{bad} of {len(values)} weights in {shown(name)} of {part.label} are NaN or infinite: "
                    "every sum over them is lost. Find out where they come from (a division by zero, a missing value); "
                    "do not fill them in.",
                )
            elif len(values) >= FEW and not varies(values) and not unweighted(case.text):
                yield from _constant(case, part, name, float(values[0]))


def _constant(case: Case, part: Part, name: str, value: float) -> Iterator[Found]:
    if not sources.weighted(case):
        return
    before = sources.whole_weights(case)
    same = {name: before[name]} if name in before else before
    if value == 1.0:
        # Some of the inputs' weights are one: these events may be those.
        if all(np.mean(values == 1.0) <= 0.01 for values in same.values()):
            yield Found(
                check="weights.all_one",
                warning=name not in before and not mentions(case.text, "weight"),
                message=f"All weights in {shown(name)} of {part.label} are 1, but those of the input vary "
                f"({_ranges(same)}). Carry the weights of the input over, row by row.",
            )
    # A few values are the constants of some samples, of which one may have been taken.
    elif all(map(continuous, same.values())):
        yield Found(
            check="weights.all_equal",
            warning=name not in before,
            message=f"All weights in {shown(name)} of {part.label} are {value:.6g}, but those of the input vary "
            f"({_ranges(same)}). The weight of an event is made of what belongs to that event.",
        )


def _ranges(columns: Mapping[str, np.ndarray[Any, Any]]) -> str:
    told = []
    for name, values in list(columns.items())[:3]:
        finite = values[np.isfinite(values)]
        if len(finite):
            told.append(f"{shown(name)} from {finite.min():.4g} to {finite.max():.4g}")
    return ", ".join(told)


def weights_there(case: Case) -> Iterable[Found]:
    """Tables keep their weights, of both signs where the input has them."""
    yield from _vanished(case)
    for part, sheet in case.tables():
        for name, values in weights_of(sheet).items():
            if len(values) >= MANY and values.min() >= 0 and varies(values) and not mentions(case.text, POSITIVE):
                yield from _one_sign(case, part, name, values)


def _one_sign(case: Case, part: Part, name: str, values: np.ndarray[Any, Any]) -> Iterator[Found]:
    """Weights that have lost their negative ones."""
    if not sources.weighted(case):
        return
    before = sources.whole_weights(case)
    plain = name in before or name.lower() in PLAIN
    negative = {
        column: float(np.mean(one < 0)) for column, one in before.items() if name not in before or column == name
    }
    shares = [share for share in negative.values() if share > 0]
    if plain and shares and min(shares) * len(values) >= MANY / 5:
        yield Found(
            check="weights.one_sign",
            warning=name not in before
            and not any(mentions(case.text, rf"\b{re.escape(column)}\b") for column in negative),
            message=f"No weight in {shown(name)} of {part.label} is negative, but {min(shares):.1%} of those of the "
            f"input ({listed(sorted(column for column, share in negative.items() if share > 0))}) are. Negative "
            "weights belong to the sum: neither drop them nor take their absolute value.",
        )


def _vanished(case: Case) -> Iterator[Found]:
    tables = [(part, sheet) for part, sheet in case.tables() if sheet.entries >= FEW]
    if not tables or any(weights_of(sheet) for _, sheet in tables) or unweighted(case.text):
        return
    if not mentions(case.text, r"\bweights?\b|\byields?\b|\bluminosity\b") or not sources.weighted(case):
        return
    known = sources.names(case)
    of_events = [part for part, sheet in tables if len(known & set(sheet.columns)) > 1]
    if of_events:
        yield Found(
            check="weights.vanished",
            warning=True,
            message=f"The events in {of_events[0].label} have lost their weights: the input has "
            f"{listed(sorted(sources.whole_weights(case)))}, which vary. Keep the weight as a column, if anything is "
            "to be counted later.",
        )
