"""Significances that contradict their p-values or their counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, places
from snakemake_executor_plugin_llmagent.checks.contents.tails import p_of, z_of

PAIRS = (
    ("z_obs", "p0"),
    ("z_exp", "p0_exp"),
    ("z_obs", "p_value"),
    ("significance", "p0"),
    ("significance", "p_value"),
)
"""Keys of significances and of their p-values."""


def significances(case: Case) -> Iterable[Found]:
    """A significance is that of its p-value, one-sided, and has the sign of the excess."""
    for place in places(case):
        seen = set()
        for z_key, p_key in PAIRS:
            z, p = number(place.found.get(z_key)), number(place.found.get(p_key))
            if z is not None and p is not None and p_key not in seen and 0.0 <= p <= 1.0 and math.isfinite(z):
                seen.add(p_key)
                yield from _agree(place, z_key, z, p_key, p)
        yield from _sign(place)


def _agree(place: Place, z_key: str, z: float, p_key: str, p: float) -> Iterator[Found]:
    if place.found.get("p_is_upper_limit") or close(z, p) or (z == 0.0 and p >= 0.5):
        return
    name, expected = place.label(p_key), p_of(z)
    if abs(z) > 0.3 and close(-z, p):
        yield Found(
            check="significance.tail",
            message=f"{name} is {p:.4g}, which is the wrong tail of `{z_key}` = {z:.4g}: p0 is the probability of a "
            f"result at least as signal-like, {expected:.3g}.",
        )
    elif close(z, p / 2):
        yield Found(
            check="significance.tail",
            warning=True,
            message=f"{name} is {p:.4g}, the two-sided value of `{z_key}` = {z:.4g}. Discoveries are one-sided: "
            f"{expected:.3g}.",
        )
    else:
        yield Found(
            check="significance.tail",
            warning=True,
            message=f"{name} is {p:.4g}, but `{z_key}` = {z:.4g} belongs to {expected:.3g} (one-sided).",
        )


def close(z: float, p: float, tolerance: float = 0.1) -> bool:
    """Whether a significance is that of a one-sided p-value."""
    if p <= 0.0 or p >= 1.0:
        return abs(z) > 7.5 if p <= 0.0 else z <= 0.0
    return abs(z - z_of(p)) <= max(tolerance, 0.05 * abs(z))


def _sign(place: Place) -> Iterator[Found]:
    observed, background = number(place.found.get("observed")), number(place.found.get("background"))
    z = number(place.found.get("z_obs"))
    if observed is None or background is None or z is None or background <= 0:
        return
    spread = math.sqrt(background + (number(place.found.get("background_error")) or 0.0) ** 2)
    excess = (observed - background) / spread
    if (excess > 1.0 and z < 0) or (excess < -1.0 and z > 0.5):
        yield Found(
            check="significance.tail",
            message=f"{place.label('z_obs')} is {z:.4g}, but {observed:g} events are observed where {background:.5g} "
            "are expected without signal: its sign is wrong.",
        )
