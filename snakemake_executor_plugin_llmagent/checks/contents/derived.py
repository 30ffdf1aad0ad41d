"""What is made of histograms beside it: ratios, and sums with their errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.names import listed, pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.ratios import ratios_as_told
from snakemake_executor_plugin_llmagent.checks.contents.refill import same
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, numbers, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.data.contents import Histogram

_RATIO = frozenset({"ratio", "scale_factor", "sf", "double_ratio"})
_SIDES: tuple[frozenset[str], ...] = (
    frozenset({"data", "observed", "obs"}),
    frozenset({"simulation", "sim", "simulated", "mc", "prediction", "predicted", "expected", "exp", "model"}),
)
"""Words for what stands above the line by the usage of the field, and for what stands below it."""
_WORD = r"(?:the |an? )?`?([A-Za-z]\w*)`?"
_DIRECTIONS = (
    re.compile(rf"\b{_WORD}\s*(?:/|÷|\bdivided by\b)\s*{_WORD}", re.IGNORECASE),
    # Data are also drawn over a simulation, and fitted to it.
    re.compile(rf"\bratio (?:of )?{_WORD}\s*\b(?:over|to)\b\s*{_WORD}", re.IGNORECASE),
)
ROUNDED = 5e-3
"""Numbers that were rounded for a page are this near to what they were [relative]."""
DIFFERENT = 0.03
"""A ratio this far from its inverse somewhere can be told from it."""
FEW, MOST_PARTS = 3, 8
_OTHER_ERRORS = (
    r"systematic|correlat|\btotal (error|uncertaint)|envelope|asimov|pseudo|toys?\b|poisson|\bfit|theor|covarian|linear"
)
_NO_SUM = frozenset({"asimov", "pseudo", "toy", "toys", "fit", "fitted", "data", "observed", "obs"})
Numbers = np.ndarray[Any, Any]


# --- ratios ----------------------------------------------------------------------------------------------------------


def ratios_upright(case: Case) -> Iterable[Found]:
    """A ratio is what the sentence says of the things beside it, not the inverse."""
    if any(found.check == "ratio.inverted" for found in ratios_as_told(case)):
        return  # said already, of the ratio that the sentence defines
    for place in places(case):
        for key in place.found:
            if _is_ratio(str(key)):
                found = _inverted(case, place, str(key))
                if found is not None:
                    yield found
                    return


def _is_ratio(key: str) -> bool:
    words = set(pieces(key))
    named = bool(words & _RATIO) or {"scale", "factor"} <= words
    return named and not words & {"error", "errors", "err", "up", "down", "unc", "uncertainty", "variance", "log"}


def _inverted(case: Case, place: Place, key: str) -> Found | None:
    values = _numbers(place.found[key])
    above, below = (_side(place, side, key) for side in _SIDES)
    if values is None or above is None or below is None:
        return None
    told = _told(case.text)
    if told is None or told is True:
        certain = told is True
    else:
        above, below, certain = below, above, True
    if not len(values) == len(above[1]) == len(below[1]):
        return None
    known = (above[1] != 0) & (below[1] != 0) & np.isfinite(values) & np.isfinite(above[1]) & np.isfinite(below[1])
    right, wrong = above[1][known] / below[1][known], below[1][known] / above[1][known]
    differs = np.abs(right / wrong - 1) > DIFFERENT
    if not differs.any() or not np.allclose(values[known], wrong, rtol=ROUNDED, atol=ROUNDED):
        return None
    if np.allclose(values[known], right, rtol=2 * ROUNDED, atol=2 * ROUNDED):
        return None
    return Found(
        check="ratio.inverted",
        warning=not certain,
        message=f"{place.label(key)} is {shown(below[0])} / {shown(above[0])} of the numbers beside it; "
        f"{'the rule says' if certain else 'the usual ratio is'} {shown(above[0])} / {shown(below[0])}.",
    )


def _numbers(found: Any) -> Numbers | None:
    """A number or a list of them; of a histogram or a value with its error what is drawn."""
    if isinstance(found, Mapping):
        for name in ("counts", "values", "value", "contents"):
            if name in found:
                return _numbers(found[name])
        return None
    one = number(found)
    return np.array([one]) if one is not None else numbers(found)


def _side(place: Place, words: frozenset[str], ratio: str) -> tuple[str, Numbers] | None:
    """The only thing beside a ratio that goes by one of these words; the same as the ratio in its other words."""
    found = []
    for key, value in place.found.items():
        named = set(pieces(str(key)))
        if key == ratio or not named & words or named & {"error", "errors", "err", "variance", "variances", "n"}:
            continue
        held = _numbers(value)
        if held is not None:
            found.append((str(key), held))
    return found[0] if len(found) == 1 else None


def _told(text: str) -> bool | None:
    """Whether a sentence wants the usual ratio (True), or its inverse (False); None if it does not say."""
    said = set()
    for match in (match for form in _DIRECTIONS for match in form.finditer(text)):
        one, other = match[1].lower(), match[2].lower()
        if one in _SIDES[0] and other in _SIDES[1]:
            said.add(True)
        if one in _SIDES[1] and other in _SIDES[0]:
            said.add(False)
    return said.pop() if len(said) == 1 else None


# --- sums ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Total:
    """A histogram that is the sum of others."""

    label: str
    histogram: Histogram
    parts: tuple[Histogram, ...]


def sums_in_quadrature(case: Case) -> Iterable[Found]:
    """Errors of a sum of histograms are those of its parts in quadrature."""
    for total in _totals(case):
        variances = total.histogram.variances
        right = np.sum([part.variances for part in total.parts if part.variances is not None], axis=0)
        if variances is None or np.allclose(variances, right, rtol=0.01, atol=1e-9 * float(right.max())):
            continue
        recipe = _recipe(total, variances)
        names = listed([part.name for part in total.parts])
        at = int(np.argmax(np.abs(variances - right)))
        yield Found(
            check="histogram.sum_errors",
            warning=not recipe or mentions(case.text, _OTHER_ERRORS),
            message=f"{total.label} is the sum of {names}, but its errors{recipe} are not theirs in quadrature: the "
            f"error of bin {at} is {np.sqrt(abs(variances[at])):.5g}, from the parts it is {np.sqrt(right[at]):.5g}. "
            "Add up the variances.",
        )


def _totals(case: Case) -> Iterator[_Total]:
    for part in case.outputs:
        histograms = part.contents.histograms if part.contents is not None else ()
        groups: dict[tuple[str, bytes], list[Histogram]] = {}
        for histogram in histograms:
            if len(histogram.edges) == 1 and _has_errors(histogram):
                beside = re.split(r"[./]", histogram.name)[:-1]
                groups.setdefault((".".join(beside), np.round(histogram.edges[0], 9).tobytes()), []).append(histogram)
        for group in groups.values():
            if 3 <= len(group) <= MOST_PARTS:
                for one in group:
                    parts = _parts(one, [other for other in group if other is not one])
                    if parts and not set(pieces(one.name)) & _NO_SUM:
                        yield _Total(label=f"{shown(one.name)} of {part.label}", histogram=one, parts=parts)


def _has_errors(histogram: Histogram) -> bool:
    variances = histogram.variances
    return (
        variances is not None
        and variances.shape == histogram.values.shape
        and bool(np.isfinite(histogram.values).all() and np.isfinite(variances).all())
        and int(np.count_nonzero(histogram.values)) >= FEW
    )


def _parts(total: Histogram, others: list[Histogram]) -> tuple[Histogram, ...]:
    """Which of the others add up to a histogram, none of them being nothing; empty if none do."""
    for size in range(2, len(others) + 1):
        for parts in combinations(others, size):
            if same(np.sum([part.values for part in parts], axis=0), total.values):
                return parts
    return ()


def _recipe(total: _Total, variances: Numbers) -> str:
    """What the errors are, if they are something that is known to be wrong; empty if they are not."""
    if np.allclose(variances, np.abs(total.histogram.values), rtol=0.01):
        return " (square roots of the contents)"
    errors = [np.sqrt(np.abs(part.variances)) for part in total.parts if part.variances is not None]
    if np.allclose(np.sqrt(np.abs(variances)), np.sum(errors, axis=0), rtol=0.01):
        return " (added up linearly)"
    for part, error in zip(total.parts, errors, strict=True):
        if np.allclose(variances, error**2, rtol=1e-6):
            return f" (those of {shown(part.name)} alone)"
    return ""
