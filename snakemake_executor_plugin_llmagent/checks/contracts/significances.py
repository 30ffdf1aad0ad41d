"""The contracts of significances and limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, numbers, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.checks.contents.significances import PAIRS, close
from snakemake_executor_plugin_llmagent.checks.contents.tails import p_of, poisson_above, z_of
from snakemake_executor_plugin_llmagent.checks.contracts.needs import needs

BANDS = ("-2", "-1", "0", "1", "2")
_FORMULA = r"\bln\b|\blog\b|\bsqrt\b|√"
"""What the sentence says of Z if it gives a formula."""
BEYOND = 1.5
"""So many half-widths of the band may the observed limit lie outside of it."""


def significance(case: Case, tolerance: float = 0.1) -> Iterator[Found]:
    """See `catalogue.significance`."""
    found = [
        place
        for place in places(case)
        if any(number(place.found.get(key)) is not None for key in ("z_obs", "significance"))
    ]
    if not found:
        raise needs(
            case, "a significance: `z_obs` with `p0`, and for a counting experiment `observed` and `background`"
        )
    checked = False
    for place in found:
        for problem in (
            *_p_values(place, tolerance),
            *_counting(place, tolerance, case.text),
            *_likelihood(place, tolerance),
        ):
            checked = True
            if problem:
                yield Found(check="contract.significance", message=f"{place.label()}: {problem}.")
    if not checked:
        raise needs(
            case, "something to compare `z_obs` with: `p0`, `observed` and `background`, `q0_obs`, or a `profile`"
        )


def _p_values(place: Place, tolerance: float) -> Iterator[str]:
    """Z = Phi^-1(1 - p), one-sided; empty text where that holds."""
    for z_key, p_key in PAIRS:
        z, p = number(place.found.get(z_key)), number(place.found.get(p_key))
        if z is None or p is None or place.found.get("p_is_upper_limit"):
            continue
        if not 0.0 <= p <= 1.0:
            yield f"`{p_key}` is {p:g}, which is no probability"
        elif close(z, p, tolerance) or (z == 0.0 and p >= 0.5):
            yield ""
        else:
            tail = (
                " (the wrong tail)" if close(-z, p, tolerance) else " (two-sided)" if close(z, p / 2, tolerance) else ""
            )
            yield f"`{p_key}` is {p:.4g}{tail}, but `{z_key}` = {z:.4g} has {p_of(z):.4g} in the right tail"


def _counting(place: Place, tolerance: float, text: str) -> Iterator[str]:
    """Z of a counting experiment; the error of its background counts, but for a formula without one."""
    n, b, s = (number(place.found.get(key)) for key in ("observed", "background", "signal"))
    error = number(place.found.get("background_error")) or 0.0
    z_obs, z_exp = number(place.found.get("z_obs", place.found.get("significance"))), number(place.found.get("z_exp"))
    if b is None or b <= 0:
        return
    # A script may report the error of a background and still use the formula of the sentence, which knows of none.
    errors = tuple(dict.fromkeys((error, 0.0))) if mentions(text, _FORMULA) else (error,)
    if n is not None and z_obs is not None:
        ways = [counting(n, b, each, exact=exact) for each in errors for exact in (False, True)]
        yield _unlike(z_obs, ways, "z_obs", f"{n:g} observed and {b:.6g} ± {error:.3g} expected events", tolerance)
    if s is not None and z_exp is not None and s >= 0:
        ways = [counting(s + b, b, each) for each in errors]
        ways += [counting(round(s + b), b, each, exact=True) for each in errors]
        yield _unlike(z_exp, ways, "z_exp", f"{s:.6g} signal on {b:.6g} ± {error:.3g} background events", tolerance)


def _unlike(z: float, ways: list[float], key: str, what: str, tolerance: float) -> str:
    if z == 0.0 and min(ways) <= 0.0:
        return ""
    if any(abs(z - way) <= max(tolerance, tolerance * abs(way)) for way in ways):
        return ""
    return f"`{key}` is {z:.4g}; {what} have {ways[0]:.4g}"


def counting(n: float, b: float, error: float = 0.0, *, exact: bool = False) -> float:
    """Significance of `n` events where `b` ± `error` are expected.

    Asymptotic, q0 = 2 (n ln(n / b) - n + b), and with an error that of a control region with tau = b / error^2 (Li and
    Ma; Cowan 2012); `exact`: the tail of the Poisson distribution, or with an error (n - b) / sqrt(b + error^2).
    """
    if exact:
        if error > 0:
            return (n - b) / math.sqrt(b + error**2)
        return z_of(poisson_above(round(n), b))
    if error <= 0:
        q = 2 * ((n * math.log(n / b) if n > 0 else 0.0) - n + b)
    else:
        v = error**2
        first = n * math.log(n * (b + v) / (b * b + n * v)) if n > 0 else 0.0
        q = 2 * (first - b * b / v * math.log1p(v * (n - b) / (b * (b + v))))
    return math.copysign(math.sqrt(max(0.0, q)), n - b)


def _likelihood(place: Place, tolerance: float) -> Iterator[str]:
    """Z = sqrt(q0), with q0 as it is given, or from the profile of the likelihood at 0 in the same document."""
    z = number(place.found.get("z_obs"))
    if z is None:
        return
    q0 = number(place.found.get("q0_obs", place.found.get("q0")))
    if q0 is not None:
        expected = math.sqrt(max(0.0, q0))
        yield (
            ""
            if abs(abs(z) - expected) <= tolerance
            else f"`z_obs` is {z:.4g}, the square root of q0 is {expected:.4g}"
        )
    profile = place.found.get("profile")
    if isinstance(profile, dict):
        values, rises = numbers(profile.get("values")), numbers(profile.get("two_delta_nll"))
        if values is None or rises is None or len(values) != len(rises) or not values.min() <= 0 <= values.max():
            return
        best = float(values[int(np.argmin(rises))])
        expected = math.sqrt(max(0.0, _at_zero(values, rises))) if best > 0 else 0.0
        near = abs(z - expected) <= max(tolerance, 0.05 * expected) or (best <= 0 and z <= 0)
        yield "" if near else f"`z_obs` is {z:.4g}, the profile of the likelihood at 0 gives {expected:.4g}"


def _at_zero(values: np.ndarray[Any, Any], rises: np.ndarray[Any, Any]) -> float:
    """2 delta NLL at 0 by a parabola through the three points around it."""
    nearest = np.sort(np.argsort(np.abs(values))[:3])
    if len(nearest) < 3:
        return float(np.interp(0.0, values, rises))
    return float(np.polyval(np.polyfit(values[nearest], rises[nearest], 2), 0.0))


# --- limits ---------------------------------------------------------------------------------------------------------


def limit_ordering(case: Case) -> Iterator[Found]:
    """See `catalogue.limit_ordering`."""
    found = [(place, bands) for place in places(case) if (bands := _bands(place)) is not None]
    if not found:
        raise needs(case, 'limits: `observed` and `expected: {"-2", "-1", "0", "1", "2"}`')
    for place, bands in found:
        for problem in _unordered(place, bands):
            yield Found(check="contract.limit_ordering", message=f"{place.label()}: {problem}.")


def _bands(place: Place) -> dict[str, float | None] | None:
    """Expected limits by their band; None if there are none."""
    expected = place.found.get("expected")
    if isinstance(expected, list) and len(expected) == len(BANDS):
        expected = dict(zip(BANDS, expected, strict=True))
    if not isinstance(expected, dict):
        return None
    told = {str(key).removeprefix("+").removesuffix(".0"): number(value) for key, value in expected.items()}
    return {band: told[band] for band in BANDS if band in told} if len(set(BANDS) & set(told)) >= 3 else None


def _unordered(place: Place, bands: dict[str, float | None]) -> Iterator[str]:
    lost = [band for band, value in bands.items() if value is None or not math.isfinite(value)]
    if lost:
        yield f"there is no expected limit at {', '.join(lost)} standard deviations"
        return
    values = [value for value in bands.values() if value is not None]
    if any(second <= first for first, second in pairwise(values)):
        told = ", ".join(f"{value:.5g}" for value in values)
        yield f"expected limits do not rise from {next(iter(bands))} to {list(bands)[-1]}: {told}"
        return
    observed = number(place.found.get("observed"))
    if "observed" in place.found and (observed is None or not math.isfinite(observed) or observed <= 0):
        yield f"the observed limit is {place.found['observed']}, not a positive number"
    elif observed is not None and {"-2", "0", "2"} <= set(bands):
        middle = bands["0"] or 0.0
        low = middle - (1 + BEYOND) * (middle - values[0])
        high = middle + (1 + BEYOND) * (values[-1] - middle)
        if not low <= observed <= high:
            yield f"the observed limit {observed:.5g} is far from the expected {values[0]:.5g} to {values[-1]:.5g}"
    level = number(place.found.get("cl"))
    if level is not None and not 0.5 <= level < 1.0:
        yield f"`cl` is {level:g}: a confidence level such as 0.95"
