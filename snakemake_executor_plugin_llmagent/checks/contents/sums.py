"""Sums of weights and their errors: yields that are counts, errors that are roots of something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.flows import ERRORS, EVENTS, YIELDS, cutflows
from snakemake_executor_plugin_llmagent.checks.contents.names import listed, shown, varies, weights_of
from snakemake_executor_plugin_llmagent.checks.contents.results import number, numbers, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions, unweighted
from snakemake_executor_plugin_llmagent.checks.contents.weights import POSITIVE

FEW = 20
EXACT = 1e-9
_ROOTS = r"poisson|asimov|sqrt\(?\s*(n|b|yield|expected)|square root of (the )?(n\b|number|count|content|yield|expect)"
_SUMS = r"sum\w* (of|up|over) (the |their |its |all )?(\w+ )?weights|weighted|add\w* up the weights|normali[sz]ed to"


@dataclass(frozen=True, kw_only=True)
class Sum:
    """A sum of weights somewhere in the outputs, with the number of events and the error as far as they are told."""

    label: str
    events: float | None
    total: float
    error: float | None


def sums(case: Case) -> Iterator[Sum]:
    """All yields: steps of cut flows, and mappings such as `{n_events, yield, yield_error}`."""
    for flow in cutflows(case):
        if flow.yields is not None:
            for at, total in enumerate(flow.yields):
                yield Sum(
                    label=flow.label, total=float(total),
                    events=None if flow.events is None else float(flow.events[at]),
                    error=None if flow.errors is None else float(flow.errors[at]),
                )  # fmt: skip
    for place in places(case):
        if place.path and any("cutflow" in key for key in place.path):
            continue
        told = [next((n for key in keys if (n := number(place.found.get(key))) is not None), None) for keys in _KEYS]
        if told[1] is not None:
            yield Sum(label=place.label(), events=told[0], total=told[1], error=told[2])


_KEYS = (EVENTS, YIELDS, ("yield_error", *ERRORS))


def yields_weighted(case: Case) -> Iterable[Found]:
    """Yields are sums of weights where the inputs are weighted, and errors square roots of sums of squared weights."""
    if unweighted(case.text):
        return
    found = [one for one in sums(case) if np.isfinite(one.total)]
    yield from _counted(case, [one for one in found if one.events is not None and one.events >= FEW])
    yield from _roots(case, [one for one in found if one.error and one.error > 0 and one.total > 0])
    yield from _whole(case)
    yield from _one_sign(case, found)


def _one_sign(case: Case, found: list[Sum]) -> Iterator[Found]:
    """Sums over all weights of an input without the sign of the negative ones, or without these."""
    if not found or mentions(case.text, POSITIVE) or not sources.weighted(case):
        return
    for name, values in sources.whole_weights(case).items():
        right, kept = float(values.sum()), float(values[values > 0].sum())
        for wrong, what in ((float(np.abs(values).sum()), "absolute values"), (kept, "positive ones alone")):
            if abs(wrong - right) < 1e-3 * wrong:
                continue
            if any(one.events in (None, len(values)) and abs(one.total - wrong) < EXACT * wrong for one in found):
                yield Found(
                    check="weights.one_sign",
                    message=f"{found[0].label} adds up the {what} of the weights {shown(name)} ({wrong:.7g}). Negative "
                    f"weights belong to the sum, which is {right:.7g}.",
                )
                return


def _counted(case: Case, found: list[Sum]) -> Iterator[Found]:
    if found and all(one.total == one.events for one in found) and sources.weighted(case):
        if len({one.total for one in found}) == 1 and _mean_is_one(case):
            return
        yield Found(
            check="weights.ignored",
            message=f"In {found[0].label} yields are mere numbers of events, but the events of the input are weighted "
            f"({listed(sorted(sources.whole_weights(case)))}). A yield is the sum of the weights, its error the square "
            "root of the sum of their squares.",
        )


def _mean_is_one(case: Case) -> bool:
    """Whether weights are normalised such that their sum is the number of events."""
    return any(abs(float(np.mean(values)) - 1.0) < 1e-6 for values in sources.whole_weights(case).values())


def _roots(case: Case, found: list[Sum]) -> Iterator[Found]:
    """Errors that are exactly square roots of the number of events, or of the yield."""
    # Of plain counts they have to be just that.
    found = [one for one in found if one.events is None or abs(one.total - one.events) > 1e-6]
    of_events = [(one, one.events) for one in found if one.events]
    of_yields = [(one, one.total) for one in found]
    for what, told in (("the number of events", of_events), ("the yield", of_yields)):
        exact = [abs((one.error or 0.0) ** 2 - root) <= EXACT * root for one, root in told]
        if exact and all(exact) and (what != "the yield" or sources.weighted(case)):
            yield Found(
                check="error.of_counts",
                warning=mentions(case.text, _ROOTS) or not sources.weighted(case),
                message=f"The error of {told[0][0].label} is the square root of {what}, but the yield is a sum of "
                "weights: its error is the square root of the sum of the squared weights.",
            )
            return


def _whole(case: Case) -> Iterator[Found]:
    """Whole numbers under the name of an input whose events have weights."""
    weighted = {
        part.name
        for part in case.inputs
        if part.name
        and any(
            varies(values) and not _whole_numbers(values)
            for sheet in part.first_rows
            for values in weights_of(sheet).values()
        )
    }
    if not weighted:
        return
    for place in places(case):
        for key in sorted(weighted & place.found.keys()):
            told = number(place.found[key])
            values = numbers(place.found[key]) if told is None else np.array([told])
            if values is not None and np.nanmax(values, initial=0) >= FEW and _whole_numbers(values):
                yield Found(
                    check="weights.ignored",
                    warning=not mentions(case.text, _SUMS),
                    message=f"{place.label(key)} holds whole numbers, but the events of the input `{key}` have "
                    "weights. Add up the weights.",
                )


def _whole_numbers(values: np.ndarray[Any, Any]) -> bool:
    finite = values[np.isfinite(values)]
    return bool((finite == np.round(finite)).all())
