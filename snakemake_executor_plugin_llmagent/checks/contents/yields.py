"""Expected signal and background beside an observed number of events: of the same region, with the weights' signs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import shown, varies, weights_of
from snakemake_executor_plugin_llmagent.checks.contents.regions import Condition, inside, regions
from snakemake_executor_plugin_llmagent.checks.contents.results import number, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions, unweighted
from snakemake_executor_plugin_llmagent.checks.contents.weights import POSITIVE

EXPECTED = ("signal", "background")
_ALL = r"(before|without) (the |any )?(selection|cut)|inclusive"
FEWEST = 10
"""A region with fewer events may be found by chance [events]."""
SAME = 1e-6
Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Weighted events of an input, and which of them lie in the region."""

    part: Part
    name: str
    weights: Numbers
    rows: Numbers


def yields_of_the_region(case: Case) -> Iterable[Found]:
    """What is expected is the sum of the weights in the region in which the observed events were counted.

    Which conditions of the sentence make the region is known where they leave exactly as many events of an input as
    were observed.
    """
    if case.slice:
        return
    for place in places(case):
        observed = number(place.found.get("observed"))
        if observed is None or observed < FEWEST or not any(key in place.found for key in EXPECTED):
            continue
        region = _region(case, observed)
        samples = list(_samples(case, region)) if region else []
        for key in EXPECTED:
            value = number(place.found.get(key))
            if value is not None and value > 0 and samples:
                yield from _judge(case, place.label(key), value, samples, region)


def _region(case: Case, observed: float) -> Sequence[Condition]:
    """The conditions, as many as possible, that leave just the observed events of an input; none if none do so."""
    found = [
        region
        for part in case.inputs
        for sheet in part.tables
        for region in regions(case, sheet)
        if sheet.entries == sheet.shown and (rows := inside(sheet, region)) is not None
        if np.count_nonzero(rows) == observed < sheet.entries
    ]
    return found[0] if found else ()


def _samples(case: Case, region: Sequence[Condition]) -> Iterator[Sample]:
    for part in case.inputs:
        for sheet in part.tables:
            rows = inside(sheet, region)
            if rows is None or sheet.entries != len(rows):
                continue
            for name, weights in weights_of(sheet).items():
                if varies(weights) and len(weights) == len(rows):
                    yield Sample(part=part, name=name, weights=weights, rows=rows)


def _judge(case: Case, label: str, value: float, samples: list[Sample], region: Sequence[Condition]) -> Iterator[Found]:
    """What is wrong with an expected number, if it is that of a sample by one of the usual mistakes."""
    if any(_same(value, float(one.weights[one.rows].sum())) for one in samples):
        return
    said = " and ".join(f"`{one.said}`" for one in region)
    for one in samples:
        right = float(one.weights[one.rows].sum())
        if _same(value, float(one.weights.sum())):
            yield Found(
                check="counts.not_selected",
                warning=mentions(case.text, _ALL),
                message=f"{label} is {value:.6g}, the sum of all weights {shown(one.name)} in {one.part.label}, but "
                f"the observed events are those with {said}. There it is {right:.6g}: select it in the same way.",
            )
            return
        for what, wrong in _without_signs(one.weights[one.rows]).items():
            if _same(value, wrong) and not (unweighted(case.text) or mentions(case.text, POSITIVE)):
                yield Found(
                    check="weights.one_sign",
                    message=f"{label} is {value:.6g}, the sum of the {what} of the weights {shown(one.name)} in "
                    f"{one.part.label} with {said}. Negative weights belong to the sum, which is {right:.6g}.",
                )
                return


def _without_signs(weights: Numbers) -> Mapping[str, float]:
    return {"absolute values": float(np.abs(weights).sum()), "positive ones alone": float(weights[weights > 0].sum())}


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= SAME * max(abs(one), abs(other))
