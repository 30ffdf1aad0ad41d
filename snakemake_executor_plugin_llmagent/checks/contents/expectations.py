"""Observed numbers of events that nobody would expect."""

from __future__ import annotations

import math
from collections.abc import Iterable

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions

SIGMAS = 5.0
"""Fewer events than the background alone by so many standard deviations are no fluctuation."""
SHORT = 0.25
"""A background from simulation may be off by some per cent, and hundreds of standard deviations; not by this share."""


def observation_expected(case: Case) -> Iterable[Found]:
    """What is observed is not far below the background: no signal takes events away, but a wrong normalisation does.

    The deviation is (n - b) / sqrt(b + sigma_b^2) (G. Cowan et al., Eur. Phys. J. C 71 (2011) 1554), with the error of
    the background, if it is given. An excess may be a discovery, so it is told, and stops nothing.
    """
    # Masked data lack events, and of first entries a background is not there as a whole that is scaled to other data.
    if case.blinded or case.slice or mentions(case.text, r"\bblind"):
        return
    for place in places(case):
        values = _values(place)
        if values is None:
            continue
        observed, background, signal, error = values
        below = (observed - background) / math.hypot(math.sqrt(background), error)
        above = (observed - background - signal) / math.hypot(math.sqrt(background + signal), error)
        if below < -SIGMAS:
            yield Found(
                check="counts.unlikely",
                warning=observed > (1.0 - SHORT) * background or not _is_test(place),
                message=f"{place.label()}: {observed:g} events are observed where {background:.6g} of background are "
                f"expected, {-below:.3g} standard deviations fewer. No signal takes events away: look at the "
                "normalisation of the background (widths of sidebands, luminosity, a factor), and whether both are of "
                "the same region.",
            )
        elif above > SIGMAS:
            yield Found(
                check="counts.unlikely",
                warning=True,
                message=f"{place.label()}: {observed:g} events are observed, {above:.3g} standard deviations more than "
                f"the {background:.6g} of background and {signal:.6g} of signal that are expected. If it is no "
                "discovery, a background is left out or too small.",
            )


def _is_test(place: Place) -> bool:
    """Whether both numbers are of one region: in a significance result, or in the counts of limits."""
    return "z_obs" in place.found or place.path[-1:] == ("counts",)


def _values(place: Place) -> tuple[float, float, float, float] | None:
    """Observed events, background, signal and error of the background; None if `observed` is a limit, or nothing."""
    if "expected" in place.found:
        return None
    observed, background = number(place.found.get("observed")), number(place.found.get("background"))
    if observed is None or background is None or observed < 0 or not 0 < background < math.inf:
        return None
    told = (number(place.found.get(key)) for key in ("signal", "background_error"))
    signal, error = (value if value is not None and math.isfinite(value) else 0.0 for value in told)
    return observed, background, max(0.0, signal), error
