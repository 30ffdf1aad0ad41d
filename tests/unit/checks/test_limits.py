"""Upper limits of counting experiments: the formulas, the default check and the contract."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.case import Needs
from snakemake_executor_plugin_llmagent.checks.contents.counting import (
    BANDS,
    Counts,
    Limits,
    asymptotic,
    at_most,
    exact,
    quantile,
)
from snakemake_executor_plugin_llmagent.checks.contents.limits import limits_recomputed
from snakemake_executor_plugin_llmagent.checks.contents.tails import p_of
from snakemake_executor_plugin_llmagent.checks.contracts.limits import upper_limit
from tests.unit.checks.test_contents_files import a_case

TEXT = "CLs limit of a counting experiment. The background has a relative uncertainty params.background_uncertainty."
PARAMS = {"background_uncertainty": 0.15}
COUNTS = Counts(observed=33, signal=10.86, background=35.1, relative=0.15)


def document(limits: Limits, counts: Counts = COUNTS) -> dict[str, Any]:
    return {
        "observed": limits["observed"], "expected": {band: limits[band] for band in BANDS}, "cl": counts.level,
        "counts": {"observed": counts.observed, "signal": counts.signal, "background": counts.background},
    }  # fmt: skip


def told(folder: Path, held: Any, text: str = TEXT, params: Any = PARAMS) -> list[tuple[bool, str]]:
    case = a_case(folder, None, {"limits.json": held}, text=text, params=params)
    return [(one.warning, one.message) for one in limits_recomputed(case)]


# --- formulas -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 3, 20])
def test_without_uncertainty_limits_are_those_of_poisson_probabilities(n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    optimize = pytest.importorskip("scipy.optimize")

    def cls(mu: float) -> float:
        return float(stats.poisson.cdf(n, 2.0 * mu + 4.5) / stats.poisson.cdf(n, 4.5)) - 0.05

    expected = optimize.brentq(cls, 0, 50)
    assert exact(Counts(observed=n, signal=2.0, background=4.5))["observed"] == pytest.approx(expected, rel=1e-5)


def test_nothing_seen_excludes_three_events() -> None:
    """For n = 0 CLs is exp(-mu s), whatever the background and its uncertainty."""
    for relative in (0.0, 0.3, 0.8):
        found = exact(Counts(observed=0, signal=3.0, background=0.5, relative=relative))
        assert found["observed"] == pytest.approx(-math.log(0.05) / 3.0, rel=1e-5)


@pytest.mark.parametrize("relative", [0.02, 0.15, 0.6])
def test_the_average_over_the_background(relative: float) -> None:
    """Against a sum over very many points of a Gaussian that is cut off at zero."""
    special = pytest.importorskip("scipy.special")
    counts = Counts(observed=30, signal=10.0, background=32.0, relative=relative)
    lowest = special.ndtr(-1 / relative)
    share = lowest + (1 - lowest) * (np.arange(100_000) + 0.5) / 100_000
    means = counts.background * (1 + relative * special.ndtri(share))
    for n, mu in ((30, 0.0), (22, 0.7), (60, 1.5)):
        right = float(special.gammaincc(n + 1, mu * counts.signal + means).mean())
        assert at_most(counts, n, mu) == pytest.approx(right, rel=1e-3)


def test_many_events_join_few_ones() -> None:
    """Where the approximation for many events begins, limits do not jump."""
    special = pytest.importorskip("scipy.special")
    for n in (290, 320, 5000):
        counts = Counts(observed=n, signal=30.0, background=0.95 * n, relative=0.0)
        assert at_most(counts, n, 1.0) == pytest.approx(float(special.gammaincc(n + 1, 30 + 0.95 * n)), rel=2e-3)


def test_quantiles_are_the_smallest_numbers_that_reach_them() -> None:
    for z in BANDS.values():
        n = quantile(COUNTS, z)
        assert at_most(COUNTS, n - 1, 0.0) < p_of(-z) <= at_most(COUNTS, n, 0.0)


def test_asymptotic_limits_are_those_of_pyhf() -> None:
    pyhf = pytest.importorskip("pyhf")
    model = pyhf.simplemodels.uncorrelated_background(signal=[10.86], bkg=[35.1], bkg_uncertainty=[0.15 * 35.1])
    scan = np.linspace(0.1, 4.0, 79)
    observed, expected = pyhf.infer.intervals.upper_limits.upper_limit([33.0, *model.config.auxdata], model, scan)
    found = asymptotic(COUNTS)
    assert list(found.values()) == pytest.approx([float(observed), *map(float, expected)], rel=0.02)


def test_impossible_counts_are_told() -> None:
    assert COUNTS.possible
    for change in ({"signal": 0.0}, {"background": -1.0}, {"observed": math.nan}, {"level": 95.0}, {"relative": 2.0}):
        assert not replace(COUNTS, **change).possible


# --- the default check ----------------------------------------------------------------------------------------------

WRONG = {
    "those of CLs+b": exact(COUNTS, plus_b=True),
    "those at 90.0% CL, not 95.0%": exact(replace(COUNTS, level=0.9)),
    "those at 97.5% CL": asymptotic(replace(COUNTS, level=0.975)),
    "without the uncertainty of the background (0.15 of it)": asymptotic(replace(COUNTS, relative=0.0)),
    "those of P(n < n_obs)": exact(COUNTS, fewer=1),
    "the expected one: it does not depend on the data": {**exact(COUNTS), "observed": exact(COUNTS)["0"]},
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_recipes_are_named(tmp_path: Path, what: str) -> None:
    ((warning, message),) = told(tmp_path, document(WRONG[what]))
    assert what in message
    assert "CLs limits are observed 1.4" in message
    assert not warning


def noisy(limits: Limits, size: float) -> Limits:
    rng = np.random.default_rng(3)
    return {key: value * (1 + size * rng.uniform(-1, 1)) for key, value in limits.items()}


@pytest.mark.parametrize(
    "limits", [exact(COUNTS), asymptotic(COUNTS), noisy(exact(COUNTS), 0.03), noisy(asymptotic(COUNTS), 0.03)]
)
def test_right_limits_pass(tmp_path: Path, limits: Limits) -> None:
    """Of both ways, and with the statistics of pseudo-experiments."""
    assert told(tmp_path, document(limits)) == []


@pytest.mark.parametrize("observed", [0, 1, 4, 33, 400])
@pytest.mark.parametrize("relative", [0.05, 0.2, 0.5])
def test_right_limits_with_other_priors_are_no_known_mistake(tmp_path: Path, observed: int, relative: float) -> None:
    """Averages over a lognormal background are not those over a Gaussian one, but nothing is wrong with them."""
    special = pytest.importorskip("scipy.special")
    optimize = pytest.importorskip("scipy.optimize")
    background = 1.1 * observed + 0.7
    counts = Counts(observed=observed, signal=2 + background**0.5, background=background, relative=relative)
    backgrounds = background * np.exp(math.log1p(relative) * special.ndtri((np.arange(200) + 0.5) / 200))

    def at_most_here(n: int, mu: float) -> float:
        return float(special.gammaincc(n + 1, mu * counts.signal + backgrounds).mean())

    def limit(n: int) -> float:
        return float(optimize.brentq(lambda mu: at_most_here(n, mu) - 0.05 * at_most_here(n, 0.0), 0, 100))

    limits = {"observed": limit(observed), **{band: limit(quantile(counts, z)) for band, z in BANDS.items()}}
    params = {"background_uncertainty": relative}
    assert [
        message for warning, message in told(tmp_path, document(limits, counts), params=params) if not warning
    ] == []


def test_limits_on_events_are_limits_too(tmp_path: Path) -> None:
    on_events = {key: value * COUNTS.signal for key, value in exact(COUNTS).items()}
    assert told(tmp_path, document(on_events)) == []
    ((_, message),) = told(
        tmp_path, document({key: value * COUNTS.signal for key, value in WRONG["those of CLs+b"].items()})
    )
    assert "those of CLs+b" in message


def test_unknown_mistakes_are_warnings(tmp_path: Path) -> None:
    doubled = {key: 1.5 * value for key, value in exact(COUNTS).items()}
    ((warning, message),) = told(tmp_path, document(doubled))
    assert warning
    assert "More than 10% off: observed, -2, -1, 0, 1, 2" in message


@pytest.mark.parametrize(
    "text",
    [
        "Bayesian limit of a counting experiment, not CLs.",
        "CLs+b limit of a counting experiment (CLs would divide it).",
        "CLs limit from the shape of m_yy in 30 bins.",
        "Upper limit of a counting experiment.",
    ],
)
def test_other_limits_are_left_alone(tmp_path: Path, text: str) -> None:
    assert told(tmp_path, document(WRONG["those of CLs+b"]), text) == []


def test_the_uncertainty_is_looked_for(tmp_path: Path) -> None:
    without = exact(replace(COUNTS, relative=0.0))
    assert told(tmp_path, document(without), params={}) == []  # nobody knows how large it is
    assert told(tmp_path, document(without), "CLs limit of a counting experiment.", {}) == []
    counts = document(without)["counts"]
    for key, value in (("background_error", 0.15 * 35.1), ("background_uncertainty", 0.15)):
        ((_, message),) = told(tmp_path, {**document(without), "counts": {**counts, key: value}}, params={})
        assert "without the uncertainty" in message
    blinded = document({**exact(COUNTS), "observed": exact(COUNTS)["0"]})
    assert told(tmp_path, blinded, f"{TEXT} Blind: give the limit of the Asimov data as the observed one.") == []


# --- the contract ---------------------------------------------------------------------------------------------------


def test_the_contract(tmp_path: Path) -> None:
    def problems(held: Any, **arguments: Any) -> list[str]:
        case = a_case(tmp_path, None, {"limits.json": held}, text="some limit", params=PARAMS)
        return [one.message for one in upper_limit(case, **arguments)]

    assert problems(document(exact(COUNTS))) == []
    assert problems({"deep": document(asymptotic(COUNTS))}) == []
    assert "those of CLs+b" in problems(document(WRONG["those of CLs+b"]))[0]
    assert "More than 10% off" in problems(document({k: 1.2 * v for k, v in exact(COUNTS).items()}))[0]
    assert problems(document({k: 1.2 * v for k, v in exact(COUNTS).items()}), tolerance=0.25) == []
    without = exact(replace(COUNTS, relative=0.0))
    assert problems(document(without), background_uncertainty=0.0) == []
    assert "without the uncertainty" in problems(document(without), background_uncertainty=0.15)[0]
    with pytest.raises(Needs, match="`counts` with `observed`, `signal` and `background`"):
        problems({key: value for key, value in document(exact(COUNTS)).items() if key != "counts"})
