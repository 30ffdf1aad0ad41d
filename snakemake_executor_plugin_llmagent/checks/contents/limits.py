"""Upper limits of counting experiments, recomputed from their counts, and the wrong ones that are taken for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.counting import BANDS, Counts, Limits, asymptotic, exact
from snakemake_executor_plugin_llmagent.checks.contents.names import pieces
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions

TOLERANCE = 0.1
NEAR = 0.02
"""Limits this near to those of a wrong recipe, and far less near to right ones, were made by it."""
SEVERAL = 3
"""So many limits have to be there: one alone may be near to anything."""
_OTHER = r"CL_?\{?s\s*\+\s*b|CLsb|bayes|credib|feldman|without CLs|not CLs"
_COUNTING = r"\bcounting\b|\b(one|single)[ -]bin\b|cut.and.count"
_OBSERVED = ("observed", "n_obs", "n_observed", "observed_events", "n_data")


@dataclass(frozen=True, kw_only=True)
class Told:
    """Limits in an output.

    Attributes:
        place: where they stand.
        limits: the observed one and expected ones by their band, on the signal strength.
        counts: what they are limits of; the uncertainty of the background is 0 if it is not known.
        known: whether it is known.
    """

    place: Place
    limits: Limits
    counts: Counts
    known: bool


def limits_recomputed(case: Case) -> Iterable[Found]:
    """CLs limits of counting experiments are those of their counts."""
    if not mentions(case.text, r"\bCL_?s\b") or mentions(case.text, _OTHER) or not mentions(case.text, _COUNTING):
        return
    for told in limits_told(case, None):
        if not told.known and mentions(case.text, r"uncertain|systematic|nuisance"):
            continue
        problem, certain = unlike(told, TOLERANCE, blinded=mentions(case.text, r"asimov|blind"))
        if problem:
            yield Found(check="limit.recomputed", warning=not certain, message=f"{told.place.label()}: {problem}")


def limits_told(case: Case, relative: float | None) -> Iterator[Told]:
    """All limits with their counts.

    Args:
        case: to look through.
        relative: uncertainty of the background, over the background; None to look for it.
    """
    for place in places(case):
        expected, counted = place.found.get("expected"), _counted(place.found)
        if counted is None or not isinstance(expected, dict):
            continue
        limits = {
            str(key).removeprefix("+").removesuffix(".0"): number(value)
            for key, value in {"observed": place.found.get("observed"), **expected}.items()
        }
        kept = {key: limits[key] for key in ("observed", *BANDS) if limits.get(key) is not None}
        uncertainty = _uncertainty(case, counted) if relative is None else relative
        level = number(place.found.get("cl", place.found.get("confidence_level")))
        told = (next((n for key in keys if (n := number(counted.get(key))) is not None), None) for keys in _KEYS)
        observed, signal, background = told
        if observed is None or signal is None or background is None or len(kept) < SEVERAL or "observed" not in kept:
            continue
        counts = Counts(
            observed=observed, signal=signal, background=background, relative=uncertainty or 0.0,
            level=0.95 if level is None else level,
        )  # fmt: skip
        if counts.possible:
            limits_there = {key: value for key, value in kept.items() if value is not None}
            yield Told(place=place, limits=limits_there, counts=counts, known=uncertainty is not None)


_KEYS = (_OBSERVED, ("signal", "n_signal", "expected_signal"), ("background", "n_background", "expected_background"))


def _counted(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The mapping with the counts: `counts` beside the limits, or the limits' own, where `observed` is the limit."""
    inside = found.get("counts")
    if isinstance(inside, dict):
        return inside
    own = {key: value for key, value in found.items() if key != "observed"}
    return own if any(key in own for key in _OBSERVED) else None


def _uncertainty(case: Case, counted: Mapping[str, Any]) -> float | None:
    """Of the background, over the background: from the counts, or from the only param of that name."""
    error = number(counted.get("background_error", counted.get("background_uncertainty")))
    background = number(counted.get("background")) or 0.0
    if error is not None and background > 0:
        relative = "background_error" not in counted and error < 1.0
        return error if relative else error / background
    named = [value for name, value in case.params.items() if _is_uncertainty(name)]
    known = [value for one in named if (value := number(one)) is not None]
    return known[0] if len(known) == 1 and 0.0 <= known[0] < 1.0 else None


def _is_uncertainty(name: str) -> bool:
    words = set(pieces(name))
    return bool(words & {"background", "bkg", "bg"}) and bool(words & {"uncertainty", "unc", "error", "systematic"})


# --- comparison -----------------------------------------------------------------------------------------------------


def unlike(told: Told, tolerance: float, *, blinded: bool = False) -> tuple[str, bool]:
    """What is wrong with limits, empty if nothing is, and whether the wrong recipe is known.

    Limits are those on the signal strength, or on the number of signal events.
    """
    scale = 1.0 if _scaled(told) else told.counts.signal
    counts = replace(told.counts, signal=told.counts.signal / scale)
    right = [exact(counts), asymptotic(counts)]
    distance = min(_distance(told.limits, way) for way in right)
    if distance <= 0.5 * NEAR:
        return "", False
    wrong = [(_distance(told.limits, way), what) for what, way in _recipes(counts)]
    if not blinded and told.limits["observed"] == told.limits.get("0"):
        wrong += [
            (_distance(told.limits, {**way, "observed": way["0"]}), "the expected one: it does not depend on the data")
            for way in right
        ]
    near, what = min(wrong)
    if near <= NEAR and near <= 0.5 * distance:
        return f"{_compared(told.limits, right[0])} The limits are {what}.", True
    far = [key for key, value in told.limits.items() if not _allowed(counts, key, value, right, tolerance)]
    if not far:
        return "", False
    return f"{_compared(told.limits, right[0])} More than {tolerance:.0%} off: {', '.join(far)}.", False


def _scaled(told: Told) -> bool:
    """Whether limits are on the signal strength rather than on events."""
    limit = asymptotic(told.counts)["observed"]
    by_strength, by_events = (
        abs(math.log(max(told.limits["observed"], 1e-300) / max(value, 1e-300)))
        for value in (limit, limit * told.counts.signal)
    )
    return by_strength <= by_events


def _compared(limits: Limits, right: Limits) -> str:
    def shown(which: Limits) -> str:
        return ", ".join(f"{key} {which[key]:.4g}" for key in limits)

    return f"from its counts CLs limits are {shown(right)}, but it says {shown(limits)}."


def _distance(limits: Limits, way: Limits) -> float:
    """The largest relative difference."""
    return max(abs(value - way[key]) / max(abs(value), abs(way[key]), 1e-300) for key, value in limits.items())


def _recipes(counts: Counts) -> Iterator[tuple[str, Limits]]:
    """Limits that are often taken for CLs, and how."""
    alpha = 1.0 - counts.level
    for way in (exact, asymptotic):
        yield "those of CLs+b: divide P(n <= n_obs | mu s + b) by P(n <= n_obs | b)", way(counts, plus_b=True)
        for other in (2.0 * alpha, 0.5 * alpha):
            if other <= 0.5:
                what = f"those at {1.0 - other:.1%} CL, not {counts.level:.1%}: CLs is {alpha:.3g} at the limit"
                yield what, way(replace(counts, level=1.0 - other))
        if counts.relative > 0:
            what = f"those without the uncertainty of the background ({counts.relative:.3g} of it)"
            yield what, way(replace(counts, relative=0.0))
    fewer = "those of P(n < n_obs): the events that were observed are among those of P(n <= n_obs)"
    yield fewer, exact(counts, fewer=1)
    yield fewer, exact(counts, fewer=1, fewer_expected=1)


def _allowed(counts: Counts, key: str, value: float, right: list[Limits], tolerance: float) -> bool:
    """Whether a limit is within the tolerance of one of both ways, or between what one event more or less gives."""
    if any(abs(value - way[key]) <= tolerance * max(abs(way[key]), 1e-300) for way in right):
        return True
    if key == "observed":
        return False
    sides = [exact(counts, fewer_expected=shift)[key] for shift in (1, -1)]
    return (1.0 - tolerance) * min(sides) <= value <= (1.0 + tolerance) * max(sides)
