"""Contracts of fits, significances and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.case import Needs
from snakemake_executor_plugin_llmagent.checks.contracts.fits import chi2_band, closure, fit_valid, pulls
from snakemake_executor_plugin_llmagent.checks.contracts.significances import counting, limit_ordering, significance
from tests.unit.checks.test_contents_documents import BAD, COVARIANCE, a_fit, changed
from tests.unit.checks.test_contents_files import a_case


def problems(contract: Any, folder: Path, document: Any, text: str = "", **arguments: Any) -> list[str]:
    """What a contract says of a document."""
    return [one.message for one in contract(a_case(folder, None, {"out.json": document}, text=text), **arguments)]


# --- fit_valid --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        (changed("valid", False), "is not valid"),
        ({key: value for key, value in a_fit().items() if key != "valid"}, "does not say whether it is `valid`"),
        (changed("accurate", False), "not accurate"),
        (changed("parameters.mean.value", 130.0), "at a limit, or that the data do not determine: `mean`"),
        (changed("at_limit", ["mean"]), "at a limit"),
        (changed("parameters.mean.error", None), "no errors of `mean`"),
        (changed("parameters.mean.value", None), "no values of `mean`"),
        (changed("covariance", None), "has no `covariance`"),
        (changed("covariance", BAD.tolist()), "not positive definite"),
        (changed("covariance", [[1.0]]), "1 rows for 3 parameters"),
        (changed("covariance", [[None] * 3] * 3), "NaN or infinity"),
        ({"alternatives": {"poly2": changed("valid", False)}, **a_fit()}, "`alternatives.poly2` of `out.json`"),
    ],
)
def test_fits_that_are_not_valid(tmp_path: Path, fit: Any, expected: str) -> None:
    (told,) = problems(fit_valid, tmp_path, fit)
    assert expected in told


def test_fits_that_are_valid(tmp_path: Path) -> None:
    fixed = np.zeros((4, 4))
    fixed[:3, :3] = COVARIANCE
    fit = a_fit(covariance=fixed.tolist())
    fit["parameters"]["sigma"] = {"value": 1.7, "error": 0.0, "limits": [0.3, 5.0], "fixed": True}
    assert problems(fit_valid, tmp_path, {**fit, "shape_fits": {"signal": a_fit()}}) == []
    with pytest.raises(Needs, match=r"the result of a fit: .* Looked in `out.json`"):
        problems(fit_valid, tmp_path, {"mean": 125})


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("125")
    (tmp_path / "broken.json").write_text("{")
    case = a_case(tmp_path, None, {"note.txt": tmp_path / "note.txt", "fit:b.json": tmp_path / "broken.json"})
    with pytest.raises(Needs, match=r"`note.txt` \(which cannot be read as data\), `b.json` \(`fit`\) \(which cannot"):
        list(fit_valid(case))


# --- chi2_band and pulls ----------------------------------------------------------------------------------------------


def test_chi2_lies_in_its_band(tmp_path: Path) -> None:
    def told(chi2: float, ndf: float, **arguments: Any) -> list[str]:
        return problems(chi2_band, tmp_path, {"gof": {"chi2": chi2, "ndf": ndf}}, **arguments)

    assert told(50, 51) == []
    assert "= 3, outside of 0.3 to 2. The model does not" in told(153, 51)[0]
    assert "Are errors too large" in told(5, 51)[0]
    assert told(5, 51, low=0.05) == []
    assert told(60, 51, high=1.1) != []
    assert "nothing is left to test" in told(5, 0)[0]
    with pytest.raises(Needs, match="a goodness of fit"):
        problems(chi2_band, tmp_path, {"chi2": 3})


PULLS = [0.3, -1.2, 2.0, 0.1]


@pytest.mark.parametrize(
    ("document", "arguments", "expected"),
    [
        ({"pulls": PULLS}, {}, None),
        ({"pulls": [*PULLS, -6.5]}, {}, "The pull of bin 4 in `pulls` of `out.json` is -6.5"),
        ({"pulls": [*PULLS, -6.5]}, {"max_abs": 7.0}, None),
        ({"pulls": [0.0, 0.0, 0.0]}, {}, "All 3 pulls"),
        ({"spectra": [{"counts": [100, 110, 90], "total": [101, 105, 95]}]}, {}, None),
        ({"spectra": [{"counts": [100, 110, 90], "total": [101, 205, 95]}]}, {}, "bin 1 in `spectra[0]`"),
        ({"spectra": [{"counts": [1, 2, 3], "total": [1, 9, 3], "variances": [9, 9, 9]}]}, {}, None),
        ({"constraint_pulls": {"jes": {"pull": 0.4, "error": 1}, "jer": {"pull": 5.5}}}, {}, "`jer`"),
        ({"constraint_pulls": {"jes": {"pull": 0.4}, "jer": 5.5}}, {"parameters": ["jes"]}, None),
        ({"pulls": [9.0], "constraint_pulls": {"jes": 0.1}}, {"parameters": ["jes"]}, None),
    ],
)
def test_pulls(tmp_path: Path, document: Any, arguments: dict[str, Any], expected: str | None) -> None:
    told = problems(pulls, tmp_path, document, **arguments)
    assert told == [] if expected is None else expected in told[0]


def test_pulls_need_something(tmp_path: Path) -> None:
    with pytest.raises(Needs, match="`spectra` with `counts` and `total`"):
        problems(pulls, tmp_path, a_fit())
    with pytest.raises(Needs, match=r"pulls of `jec`: .* there are `jes`"):
        problems(pulls, tmp_path, {"constraint_pulls": {"jes": 1}}, parameters=["jec"])


# --- closure ----------------------------------------------------------------------------------------------------------


def test_closure(tmp_path: Path) -> None:
    def told(document: Any, parameter: str = "n_signal", **arguments: Any) -> list[str]:
        return problems(closure, tmp_path, document, **{"parameter": parameter, "truth": 450, **arguments})

    assert told(a_fit()) == []
    assert "3.33 errors away from the 400" in told(a_fit(), truth=400)[0]
    assert told(a_fit(), truth=400, max_pull=4) == []
    assert told({"n_signal": 460, "n_signal_error": 10}) == []
    assert told({"deep": {"mu": {"value": 1.0, "error": 0.1}}}, "mu", truth=1.1) == []
    assert "no value with a positive error: 460.0 ± None" in told({"n_signal": 460})[0]
    with pytest.raises(Needs, match=r"the parameter `n_sig` .* there are `mean`, `n_background`, `n_signal`"):
        told(a_fit(), "n_sig")


# --- significance -----------------------------------------------------------------------------------------------------


def test_formulas_of_counting_experiments() -> None:
    """Against the numbers of Cowan (2012) and of Li and Ma, and against scipy."""
    assert counting(130, 100) == pytest.approx(2.87, abs=0.01)
    assert counting(130, 100, 1e-3) == pytest.approx(counting(130, 100), abs=1e-3)
    assert counting(80, 100) == pytest.approx(-2.08, abs=0.01)
    on, off, alpha = 140.0, 200.0, 0.5
    b, error = alpha * off, alpha * off**0.5
    li_ma = np.sqrt(2) * np.sqrt(
        on * np.log((1 + alpha) / alpha * on / (on + off)) + off * np.log((1 + alpha) * off / (on + off))
    )
    assert counting(on, b, error) == pytest.approx(li_ma, rel=1e-9)
    stats = pytest.importorskip("scipy.stats")
    assert counting(8, 3.2, exact=True) == pytest.approx(stats.norm.isf(stats.poisson.sf(7, 3.2)), abs=1e-6)
    assert counting(0, 3.2) == pytest.approx(-np.sqrt(6.4))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"z_obs": 2.87, "p0": 0.00205, "observed": 130, "background": 100.0}, None),
        ({"z_obs": 2.87, "p0": 0.99795}, "(the wrong tail)"),
        ({"z_obs": 2.87, "p0": 0.0041}, "(two-sided)"),
        ({"z_obs": 2.87, "p0": 0.2}, "in the right tail"),
        ({"z_obs": 2.87, "p0": 1.2}, "is no probability"),
        ({"z_obs": 3.0, "observed": 13, "background": 4.0}, "13 observed and 4 ± 0 expected events have 3.556"),
        ({"z_obs": 4.5, "observed": 13, "background": 4.0}, "have 3.556"),
        ({"z_obs": 3.47, "observed": 13, "background": 4.0}, None),
        ({"z_obs": 3.24, "observed": 13, "background": 4.0}, None),
        ({"z_obs": 1.66, "observed": 130, "background": 100.0, "background_error": 15}, None),
        ({"z_obs": 2.87, "observed": 130, "background": 100.0, "background_error": 15}, "± 15 expected"),
        ({"z_obs": 0.0, "observed": 80, "background": 100.0}, None),
        ({"z_obs": 1.0, "z_exp": 2.87, "background": 100.0, "signal": 30, "p0": 0.1587}, None),
        ({"z_obs": 1.0, "z_exp": 4.0, "background": 100.0, "signal": 30, "p0": 0.1587}, "`z_exp` is 4"),
        ({"z_obs": 3.0, "q0_obs": 9.0}, None),
        ({"z_obs": 3.0, "q0_obs": 4.0}, "the square root of q0 is 2"),
        ({"z_obs": 2.0, "profile": {"values": [-1, 0, 1, 2, 3], "two_delta_nll": [9, 4, 1, 0, 1]}}, None),
        ({"z_obs": 3.0, "profile": {"values": [-1, 0, 1, 2, 3], "two_delta_nll": [9, 4, 1, 0, 1]}}, "gives 2"),
        ({"z_obs": 0.0, "profile": {"values": [-3, -1, 1], "two_delta_nll": [4, 0, 4]}}, None),
    ],
)
def test_significance(tmp_path: Path, document: Any, expected: str | None) -> None:
    told = problems(significance, tmp_path, document)
    assert told == [] if expected is None else expected in told[0]


def test_a_formula_of_the_sentence_without_an_error(tmp_path: Path) -> None:
    document = {"z_obs": 2.87, "observed": 130, "background": 100.0, "background_error": 15}
    formula = "z_obs is sqrt(2 (n ln(n / b) - n + b))"
    assert problems(significance, tmp_path, document, text=formula) == []
    assert "± 15 expected" in problems(significance, tmp_path, {**document, "z_obs": 4.5}, text=formula)[0]


def test_significance_needs_something(tmp_path: Path) -> None:
    with pytest.raises(Needs, match="a significance: `z_obs`"):
        problems(significance, tmp_path, {"z": 3})
    with pytest.raises(Needs, match="something to compare `z_obs` with"):
        problems(significance, tmp_path, {"z_obs": 3})
    assert problems(significance, tmp_path, {"z_obs": 2.9, "p0": 0.001}, tolerance=0.5) == []


# --- limits -----------------------------------------------------------------------------------------------------------


def limits(**changes: Any) -> dict[str, Any]:
    return {"observed": 1.9, "expected": {"-2": 1.0, "-1": 1.3, "0": 1.8, "1": 2.5, "2": 3.4}, "cl": 0.95, **changes}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (limits(), None),
        (limits(expected={"+1": 2.5, "0": 1.8, "-1.0": 1.3}), None),
        (limits(expected=[1.0, 1.3, 1.8, 2.5, 3.4]), None),
        (limits(observed=4.5), None),
        (limits(expected={"-2": 3.4, "-1": 2.5, "0": 1.8, "1": 1.3, "2": 1.0}), "do not rise from -2 to 2"),
        (limits(expected={"-2": 1, "-1": 1, "0": 1.8, "1": 2, "2": 3}), "do not rise"),
        (limits(expected={"-2": 1, "-1": 1.2, "0": None, "1": 2, "2": 3}), "no expected limit at 0"),
        (limits(observed=None), "the observed limit is None"),
        (limits(observed=-1.0), "not a positive number"),
        (limits(observed=19.0), "is far from the expected"),
        (limits(cl=0.05), "`cl` is 0.05"),
        ({"expected": limits()["expected"]}, None),
    ],
)
def test_limits(tmp_path: Path, document: Any, expected: str | None) -> None:
    told = problems(limit_ordering, tmp_path, {"limits": document})
    assert told == [] if expected is None else expected in told[0]


def test_limits_need_something(tmp_path: Path) -> None:
    with pytest.raises(Needs, match="limits: `observed` and `expected"):
        problems(limit_ordering, tmp_path, {"expected": 3})
