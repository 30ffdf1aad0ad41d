"""Keys, numbers, fits and tests in documents."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.contents.conditions import failing_shares
from snakemake_executor_plugin_llmagent.checks.contents.fits import fits_sound, goodness
from snakemake_executor_plugin_llmagent.checks.contents.keys import keys_promised
from snakemake_executor_plugin_llmagent.checks.contents.numbers import cutflows_fall, errors_positive, probabilities
from snakemake_executor_plugin_llmagent.checks.contents.significances import significances
from tests.unit.checks.test_contents_files import N, a_case, events, said, weights

# --- json.keys --------------------------------------------------------------------------------------------------------

BRACES = '- `result`: a JSON file `{"cutflow": [{"cut", "events"}, ...], "total"}`, cumulative. `events` counts.'
NAMED = "- `result`: a JSON file with `auc` (area under the curve of `score`), `n_signal`, `n_data` and `importance`."


@pytest.mark.parametrize(
    ("text", "document", "expected"),
    [
        (BRACES, {"cutflow": [{"cut": "a", "events": 1}], "total": 1}, []),
        (BRACES, {"cutflow": [{"name": "a", "n_events": 1}], "total": 1}, ["error json.keys"]),
        (BRACES, {"cutflow": [], "total": 1}, ["warning json.keys"]),
        (BRACES.replace("a JSON", "optional, a JSON"), {"total": 1}, []),
        (BRACES + " Optional keys may be left out.", {"total": 1}, ["warning json.keys"]),
        (BRACES.replace("`result`", "`other`"), {"total": 1}, ["error json.keys"]),
        (NAMED, {"auc": 1, "n_signal": 1, "n_data": 1, "importance": {"a": 1}}, []),
        (NAMED, {"AUC": 1, "n_signal": 1, "n_data": 1, "importance": 1}, ["error json.keys"]),
        (NAMED, {"auc": 1, "results": {"signal": 1}}, ["warning json.keys"]),
        ('Write JSON such as `{"a": 1}`.', {"b": 1}, []),
        ("The input is a JSON file with `x`.", {"b": 1}, []),
        ("Write a JSON file with n_events, yield and yield_error.", {"n_events": 1, "yield_error": 1}, []),
        ("Write a JSON file with n_events, yield and yield_error.", {"n": 1, "error": 1}, ["warning json.keys"]),
        ("JSON with `bins`, a list of {low, high, eff}.", {"bins": [{"low": 1, "high": 2, "eff": 3}]}, []),
        ("JSON with `bins`, a list of {low, high, eff}.", {"bins": [{"lo": 1, "hi": 2}]}, ["error json.keys"]),
        ("JSON with the number of events with x in {low, high}.", {"b": 1}, []),
        ("As JSON: `data` and `mc`, and the list `ratio`.", {"data": 1, "mc": 1, "ratios": 2}, ["error json.keys"]),
        ("As JSON: `data` and `mc`, and the list `ratio`.", {"data": 1, "mc": 1, "ratio": 2}, []),
        ('JSON {"<sample>": {"yield", "error"}}', {"ggF": {"yield": 1, "error": 1}}, []),
        ('JSON {"SAMPLE": {"yield", "error"}}', {"ggF": {"yield": 1, "error": 1}}, []),
        ('JSON {"SAMPLE": {"yield", "error"}}', {"ggF": {"yield": 1}}, ["error json.keys"]),
        ("JSON with `auc`, computed with `sklearn`, and `n`.", {"auc": 1, "n": 1}, []),
        ("fit m_yy", {"b": 1}, []),
    ],
)
def test_keys_of_the_sentence(tmp_path: Path, text: str, document: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, {"in.parquet": events()}, {"result:r.json": document}, text=text)
    assert said(keys_promised, case) == expected


def test_keys_of_another_file_are_not_asked_for(tmp_path: Path) -> None:
    files = {"result:r.json": {"cutflow": [{"cut": 1, "events": 1}], "total": 2}, "other:o.json": {"x": 1}}
    assert said(keys_promised, a_case(tmp_path, None, files, text=BRACES)) == []
    near = list(keys_promised(a_case(tmp_path, None, {"result:s.json": {"AUC": 1}}, text=NAMED)))
    assert "`auc` (there is `AUC`)" in near[0].message


def test_names_of_columns_are_no_keys(tmp_path: Path) -> None:
    text = "- `result`: a JSON file with the mean of `m_yy` and `pt_yy` for `params`."
    case = a_case(tmp_path, {"in.parquet": events()}, {"result:r.json": {"mean": 1}}, text=text, params={"params": 1})
    assert said(keys_promised, case) == []


# --- cut flows --------------------------------------------------------------------------------------------------------


def flow(*counts: float) -> dict[str, Any]:
    return {"cutflow": [{"cut": f"cut{i}", "events": n} for i, n in enumerate(counts)]}


@pytest.mark.parametrize(
    ("text", "document", "expected"),
    [
        ("", flow(2000, 900, 900 - 1), []),
        ("", flow(2000, 900, 950), ["error cutflow.rises"]),
        ("events per category", flow(2000, 900, 950), ["warning cutflow.rises"]),
        ("", {"cutflow": {"all": 10, "a": 3, "b": 5}}, ["warning cutflow.rises"]),
        ("each cut alone (N-1)", flow(2000, 900, 950), []),
        ("", flow(2000, 2000, 30, 30), ["warning cutflow.idle"]),
        ("`cut1` (m_yy > 135)", flow(2000, 2000, 30), ["error cutflow.idle"]),
        ("`cut1` (m_yy > 99)", flow(2000, 2000, 30), ["warning cutflow.idle"]),
        ("`cut1` (neither with 120 < m_yy < 130)", flow(2000, 2000, 30), ["error cutflow.idle"]),
    ],
)
def test_cut_flows(tmp_path: Path, text: str, document: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, {"in.parquet": events()}, {"flow.json": document}, text=text)
    assert said(cutflows_fall, case) == expected


def test_conditions_of_a_sentence(tmp_path: Path) -> None:
    arrays = {"ph1_eta": np.linspace(-2, 2, 1000), "ph1_pt": np.linspace(0, 100, 1000)}
    text = "`crack` (no photon with 1 <= |eta| <= 1.5), `pt` (ph1_pt > 40 and met > 3), `other`"
    case = a_case(tmp_path, {"in.npz": arrays}, None, text=text)
    assert dict(failing_shares(case, "crack")) == {"`1 <= |eta| <= 1.5`": pytest.approx(0.25, abs=0.01)}
    assert dict(failing_shares(case, "pt")) == {"`ph1_pt > 40`": pytest.approx(0.4, abs=0.01)}
    assert list(failing_shares(case, "other")) == []


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"p_value": 1.2}, ["error probability.range"]),
        ({"z_obs": 1.0, "p0": -0.1}, ["error probability.range"]),
        ({"gof": {"chi2": 3, "p": 2}}, ["error probability.range"]),
        ({"auc": {"value": 1.3}}, ["error probability.range"]),
        ({"trigger_efficiency": 34.8}, ["warning probability.range"]),
        ({"p_value": 0.2, "auc": 0.7, "efficiency": 0.3}, []),
        ({"parameters": {"p0": {"value": 94325}}, "p": 45.2, "auc_loss": -0.1, "n_eff": 300, "log_p_value": -3}, []),
        ({"efficiency_correction": 1.2, "p": 3, "z": 1}, []),
    ],
)
def test_probabilities(tmp_path: Path, document: Any, expected: list[str]) -> None:
    assert said(probabilities, a_case(tmp_path, None, {"out.json": document})) == expected


def test_efficiencies_in_per_cent(tmp_path: Path) -> None:
    case = a_case(tmp_path, None, {"out.json": {"efficiency": 34.8}}, text="in per cent")
    assert said(probabilities, case) == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"yield": 3.0, "yield_error": -0.1}, ["error error.negative"]),
        ({"value": 3.0, "error": -0.1}, ["error error.negative"]),
        ({"counts": [1, 2], "errors": [1, -1]}, ["error error.negative"]),
        ({"n_events": -3}, ["error error.negative"]),
        ({"yield": -3.0}, ["warning error.negative"]),
        ({"value": 3.0, "error": 0.1, "error_low": -0.1, "minos": [-0.1, 0.2]}, []),
        ({"value": 3.0, "truth": 3.1, "error": -0.1}, []),
        ({"relative_error": -0.1, "n_events": 0}, []),
    ],
)
def test_errors_are_not_negative(tmp_path: Path, document: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, {"in.parquet": events()}, {"out.json": document})
    assert said(errors_positive, case) == expected


# --- fits -------------------------------------------------------------------------------------------------------------

COVARIANCE = np.array([[900.0, -400.0, 0.3], [-400.0, 1900.0, -0.3], [0.3, -0.3, 0.04]])


def a_fit(**changes: Any) -> dict[str, Any]:
    """An extended fit to 2000 events: the variance of the sum of its yields is their number."""
    errors = np.sqrt(np.diag(COVARIANCE))
    told = {
        "n_signal": {"value": 500.0, "error": errors[0], "limits": [0, None]},
        "n_background": {"value": 1500.0, "error": errors[1], "limits": [0, None]},
        "mean": {"value": 125.0, "error": errors[2], "limits": [120, 130]},
    }
    fit = {
        "valid": True, "accurate": True, "parameters": told, "covariance": COVARIANCE.tolist(), "n_events": 2000,
        "correlation": (COVARIANCE / np.outer(errors, errors)).tolist(), "gof": {"chi2": 47.3, "ndf": 51, "p": 0.6211},
    }  # fmt: skip
    return {**fit, **changes}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The fit with another value somewhere."""
    fit = copy.deepcopy(a_fit())
    *above, last = path.split(".")
    found: Any = fit
    for key in above:
        found = found[key]
    found[last] = value
    return fit


BAD = COVARIANCE.copy()
BAD[0, 1] = BAD[1, 0] = -1900.0
SWAPPED = COVARIANCE[::-1, ::-1]
FIXED = np.zeros((4, 4))
FIXED[:3, :3] = COVARIANCE


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        (a_fit(), []),
        (changed("valid", False), ["warning fit.not_converged"]),
        (changed("accurate", False), ["warning fit.not_converged"]),
        (changed("parameters.mean.value", None), ["error fit.not_converged"]),
        (changed("parameters.mean.value", 130.0), ["warning fit.not_converged"]),
        (changed("parameters.mean.value", 129.9), []),
        (changed("parameters.mean.error", 0.0), ["warning fit.not_converged"]),
        (changed("covariance", None), []),
        (changed("covariance", [[1.0, None, 1], [1, 1, 1], [1, 1, 1]]), ["error fit.not_converged"]),
        (changed("covariance", BAD.tolist()), ["error fit.not_converged", "error fit.errors"]),
        (changed("covariance", (COVARIANCE / 2).tolist()), ["warning fit.correlation", "error fit.errors"]),
        (changed("covariance", SWAPPED.tolist()), ["warning fit.correlation"]),
        (changed("covariance", COVARIANCE[:2, :2].tolist()), ["warning fit.not_converged"]),
        (changed("correlation", (1.4 * np.eye(3)).tolist()), ["error fit.correlation"]),
        (changed("correlation", np.eye(3).tolist()), ["warning fit.correlation"]),
        ({"valid": True, "parameters": {"a": {"value": 1.0, "error": 0}}}, ["error fit.not_converged"]),
    ],
)
def test_fits(tmp_path: Path, fit: Any, expected: list[str]) -> None:
    assert said(fits_sound, a_case(tmp_path, None, {"fit.json": fit})) == expected


def test_fits_with_fixed_parameters(tmp_path: Path) -> None:
    fit = a_fit(covariance=FIXED.tolist(), correlation=None, at_limit=["edge"])
    fit["parameters"]["sigma"] = {"value": 1.7, "error": 0.0, "limits": [1.7, 5], "fixed": True}
    assert said(fits_sound, a_case(tmp_path, None, {"fit.json": fit})) == []
    fit = a_fit()
    fit["parameters"]["sigma"] = {"value": 1.7, "error": None, "fixed": True}
    assert said(fits_sound, a_case(tmp_path, None, {"fit.json": fit})) == []


def test_errors_of_weighted_fits_are_their_own(tmp_path: Path) -> None:
    half = (COVARIANCE / 2).tolist()
    assert "error fit.errors" in said(fits_sound, a_case(tmp_path, None, {"f.json": a_fit(covariance=half)}))
    weighted = a_fit(covariance=half, **{"yield": 1800.5})
    assert "error fit.errors" not in said(fits_sound, a_case(tmp_path, None, {"f.json": weighted}))
    inputs = {"in.npz": {"weight": weights()}}
    assert "error fit.errors" not in said(fits_sound, a_case(tmp_path, inputs, {"f.json": a_fit(covariance=half)}))


@pytest.mark.parametrize(
    ("gof", "expected"),
    [
        ({"chi2": 47.3, "ndf": 51, "p": 0.6211}, []),
        ({"chi2": 0.9, "ndf": 51}, ["warning fit.chi2"]),
        ({"chi2": 2000.5, "ndf": 51, "p": 0.0}, ["warning fit.chi2"]),
        ({"chi2": 55.0, "ndf": 51}, ["error fit.chi2"]),
        ({"chi2": 70.3, "ndf": 51, "p": 0.9622}, ["error fit.p_value"]),
        ({"chi2": 47.3, "ndf": 51, "p": 0.2}, ["warning fit.p_value"]),
        ({"chi2": 0.1, "ndf": 1, "p": 0.7518}, []),
        ({"chi2": 3.0, "ndf": 0, "p": None}, []),
    ],
)
def test_goodness_of_fit(tmp_path: Path, gof: Any, expected: list[str]) -> None:
    assert said(goodness, a_case(tmp_path, None, {"fit.json": {"gof": gof}})) == expected


# --- significances ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"z_obs": 2.847, "p0": 0.0022}, []),
        ({"z_obs": 0.0, "p0": 0.5}, []),
        ({"z_obs": 0.0, "p0": 1.0}, []),
        ({"z_obs": -0.5, "p0": 0.6915}, []),
        ({"z_obs": 9.0, "p0": 0.0}, []),
        ({"z_obs": 2.847, "p0": 0.9978}, ["error significance.tail"]),
        ({"z_obs": 2.847, "p0": 0.0044}, ["warning significance.tail"]),
        ({"z_obs": 2.847, "p0": 0.1}, ["warning significance.tail"]),
        ({"z_obs": 3.0, "p0": 0.01, "p_is_upper_limit": True}, []),
        ({"observed": 130, "background": 100.0, "z_obs": 2.8}, []),
        ({"observed": 130, "background": 100.0, "z_obs": -2.8}, ["error significance.tail"]),
        ({"observed": 80, "background": 100.0, "z_obs": 2.1}, ["error significance.tail"]),
        ({"observed": 80, "background": 100.0, "z_obs": 0.0}, []),
    ],
)
def test_significances(tmp_path: Path, document: Any, expected: list[str]) -> None:
    assert said(significances, a_case(tmp_path, None, {"z.json": document})) == expected


def test_the_sizes_of_these_files_are_as_meant() -> None:
    assert float(COVARIANCE[:2, :2].sum()) == N
