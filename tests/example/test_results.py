"""The example's real spectrum, its final check, and what its Snakefile says."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "example_workflow"
HISTOGRAMS = Path(__file__).parents[3] / "shared" / "data" / "atlas_hyy_10fb_hists"
LUMINOSITY_PER_PB = 10064

# Cross-section times branching ratio [pb] and sum of weights of the samples, as the release publishes them.
SIGNAL_SAMPLES = {
    "ggH125": (0.102, 55922617.6297),
    "VBFH125": (0.008518764, 3441426.13711),
    "WH125": (0.0019654512, 213799.958463),
    "ZH125": (0.0017347836, 358401.082034),
    "ttH125": (0.0000026433864, 485440.0),
}

SIGNAL_TRUTH = {"sample": "signal", "written": 200, "selected": 100, "selected_yield": 384.0}
PSEUDODATA_TRUTH = {"sample": "pseudodata", "written": 200_000, "selected": 75_000, "selected_higgs": 380}


@pytest.fixture(scope="module")
def spectrum() -> dict[str, Any]:
    path = EXAMPLE / "resources" / "atlas_2020" / "myy_spectrum.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_results", EXAMPLE / "scripts" / "check_results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_spectrum_is_complete_and_cited(spectrum: dict[str, Any]) -> None:
    assert sum(spectrum["counts"]) == spectrum["n_events"] == 76_394
    assert len(spectrum["counts"]) == len(spectrum["signal"]["expected_counts"]) == spectrum["n_bins"] == 30
    assert np.allclose(spectrum["bin_edges"], np.linspace(105, 160, 31), atol=1e-4)
    assert sum(spectrum["signal"]["expected_counts"]) == pytest.approx(397.9, abs=0.1)
    assert sum(spectrum["signal"]["yields"].values()) == pytest.approx(397.9, abs=0.1)
    assert spectrum["simulation"] is False
    assert spectrum["source"]["doi"] == "10.7483/OPENDATA.ATLAS.B5BJ.3SGS"
    assert spectrum["source"]["record"].endswith("15006")
    assert spectrum["source"]["licence"] == "CC0-1.0"


@pytest.mark.skipif(not HISTOGRAMS.is_dir(), reason="the histogram files of the transcription are not here")
def test_transcription_equals_the_histograms(spectrum: dict[str, Any]) -> None:
    uproot = pytest.importorskip("uproot")

    def bins(name: str) -> Any:
        with uproot.open(HISTOGRAMS / f"{name}.root") as file:
            return file["hist_mYY_bin1"].values()

    signal = sum(
        bins(f"{name}_gamgam") * LUMINOSITY_PER_PB * cross_section / sum_of_weights
        for name, (cross_section, sum_of_weights) in SIGNAL_SAMPLES.items()
    )
    assert np.array_equal(spectrum["counts"], bins("data"))
    assert np.allclose(spectrum["signal"]["expected_counts"], signal, rtol=1e-4)


@pytest.mark.parametrize(
    ("degree", "exponential", "mu", "error"),
    [(3, False, 1.11, 0.39), (2, True, 0.67, 0.36), (3, True, 0.97, 0.38), (4, False, 1.14, 0.39)],
)
def test_reference_fits_of_the_spectrum(
    spectrum: dict[str, Any], degree: int, exponential: bool, mu: float, error: float
) -> None:
    minimum = fit_spectrum(spectrum, degree=degree, exponential=exponential)
    assert minimum.valid
    assert minimum.values["mu"] == pytest.approx(mu, abs=0.03)
    assert minimum.errors["mu"] == pytest.approx(error, abs=0.03)


def test_reference_significance_of_the_spectrum(spectrum: dict[str, Any]) -> None:
    best = fit_spectrum(spectrum, degree=3, exponential=False)
    without = fit_spectrum(spectrum, degree=3, exponential=False, mu=0.0)
    assert np.sqrt(without.fval - best.fval) == pytest.approx(2.85, abs=0.02)


def test_snakefile_has_the_sentences_and_their_files() -> None:
    snakefile = (EXAMPLE / "Snakefile").read_text(encoding="utf-8")
    assert '"fit m_yy with DSCB+exp"\n' in snakefile
    assert snakefile.count("    agent:\n") == 4
    assert 'spec_file="specs/select.md"' in snakefile
    for name in ("specs/select.md", "scripts/simulate.py", "scripts/check_results.py", "envs/example.yaml"):
        assert name in snakefile
        assert (EXAMPLE / name).is_file()
    for script in (EXAMPLE / "scripts" / "simulate.py", EXAMPLE / "scripts" / "check_results.py"):
        # Snakemake puts its preamble before a script, where a __future__ import is a syntax error.
        assert "__future__" not in script.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_sig": {"value": 300, "error": 130}},
        {"N_signal": {"value": 300, "error": 130}, "mu": {"value": 125.0, "error": 0.1}},
        {"signal_strength": {"value": 0.8, "error": 0.34}, "mean": {"value": 125.0, "error": 0.1}},
    ],
)
def test_check_finds_the_signal_under_common_names(check: ModuleType, parameters: dict[str, Any]) -> None:
    fit = {"valid": True, "parameters": parameters}
    assert all(c.passed for c in check.check_simulated_fit(fit, SIGNAL_TRUTH, PSEUDODATA_TRUTH))


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"n_sig": {"value": 800, "error": 130}}, r"\+3\.2 standard deviations"),
        ({"n_sig": {"value": 380, "error": 1e5}}, "380 ± 100000"),
        ({"n_sig": {"value": float("nan"), "error": 130}}, "nan"),
        ({"mu": {"value": 125.0, "error": 0.1}}, "no parameter with value and error called nsig, nsignal"),
    ],
)
def test_check_refuses_a_wrong_signal(check: ModuleType, parameters: dict[str, Any], found: str) -> None:
    valid, signal = check.check_simulated_fit({"valid": True, "parameters": parameters}, SIGNAL_TRUTH, PSEUDODATA_TRUTH)
    assert valid.passed
    assert not signal.passed
    assert re.search(found, signal.found)


def test_check_refuses_an_invalid_fit_and_one_that_does_not_say(check: ModuleType) -> None:
    assert not check.check_valid("fit", {"valid": False}).passed
    silent = check.check_valid("fit", {"parameters": {}})
    assert not silent.passed
    assert "no key called valid" in silent.found


def test_check_of_the_cut_flow(check: ModuleType) -> None:
    def flow(*events: int, last_yield: float = 384.0) -> dict[str, Any]:
        return {"cutflow": [{"cut": str(n), "events": n, "yield": last_yield, "error": 1.0} for n in events]}

    assert check.check_cutflow(flow(200, 150, 100), SIGNAL_TRUTH).passed
    assert not check.check_cutflow(flow(200, 90, 100), SIGNAL_TRUTH).passed
    assert not check.check_cutflow(flow(200, 150, 120), SIGNAL_TRUTH).passed
    assert not check.check_cutflow(flow(150, 100), SIGNAL_TRUTH).passed
    assert not check.check_cutflow(flow(200, 100, last_yield=404.0), SIGNAL_TRUTH).passed
    assert not check.check_cutflow({"cutflow": []}, SIGNAL_TRUTH).passed


def test_check_of_the_atlas_fit(check: ModuleType) -> None:
    def mu(value: float, error: float) -> dict[str, Any]:
        return {"valid": True, "parameters": {"mu": {"value": value, "error": error}, "p0": {"value": 1, "error": 1}}}

    alternatives = {"exp_poly2": mu(0.67, 0.36), "exp_poly3": mu(0.97, 0.38), "poly4": mu(1.13, 0.39)}
    good = {**mu(1.114, 0.393), "z_obs": 2.848, "alternatives": alternatives}
    assert all(c.passed for c in check.check_atlas_fit(good))
    failed = [c.name for c in check.check_atlas_fit({**good, **mu(0.67, 0.36), "z_obs": 1.85}) if not c.passed]
    assert failed == ["ATLAS mu, cubic background", "ATLAS observed significance"]
    silent = [c for c in check.check_atlas_fit({**mu(1.11, 0.39), "z_obs": 2.85}) if not c.passed]
    assert [c.name for c in silent] == [f"ATLAS mu, {name} background" for name in alternatives]


def test_check_fails_the_job_and_logs_the_table(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check.logging, "basicConfig", lambda **_: None)

    def write(name: str, content: Any) -> str:
        path = tmp_path / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    inputs = SimpleNamespace(
        summary=write("summary.json", {}),
        cutflows=[write("cutflow_signal.json", []), write("cutflow_pseudodata.json", [])],
        truths=[write("signal.json", SIGNAL_TRUTH), write("pseudodata.json", PSEUDODATA_TRUTH)],
        fit=write("fit.json", {}),
        atlas_fit=write("atlas_fit.json", {}),
    )
    output = SimpleNamespace(json=str(tmp_path / "check.json"), markdown=str(tmp_path / "check.md"))
    with pytest.raises(SystemExit, match="not as expected"):
        check.main(SimpleNamespace(input=inputs, output=output, log=[str(tmp_path / "check.log")]))
    assert json.loads((tmp_path / "check.json").read_text())["passed"] is False
    assert "| **NO** | fit of the pseudo-data is valid |" in (tmp_path / "check.md").read_text()


def fit_spectrum(spectrum: dict[str, Any], *, degree: int, exponential: bool, mu: float | None = None) -> Any:
    """Fit background plus mu times signal to the binned spectrum by maximum likelihood.

    Args:
        spectrum: the file of the example.
        degree: of the polynomial, all coefficients free.
        exponential: whether the background is the exponential of the polynomial.
        mu: fixed signal strength; free if None.
    """
    iminuit = pytest.importorskip("iminuit", reason="the reference fits need iminuit (extra 'hep')")
    edges = np.array(spectrum["bin_edges"])
    counts = np.array(spectrum["counts"], dtype=float)
    signal = np.array(spectrum["signal"]["expected_counts"])
    x = (0.5 * (edges[1:] + edges[:-1]) - 132.5) / 27.5
    powers = x[:, None] ** np.arange(degree + 1)

    def deviance(parameters: Any) -> float:
        background = powers @ parameters[1:]
        expected = (np.exp(np.clip(background, -50, 50)) if exponential else background) + parameters[0] * signal
        if np.any(expected <= 0):
            return 1e12
        return float(2 * np.sum(expected - counts + counts * np.log(counts / expected)))

    start = np.linalg.lstsq(powers, np.log(counts) if exponential else counts, rcond=None)[0]
    minimum = iminuit.Minuit(deviance, [1.0, *start], name=["mu", *(f"c{i}" for i in range(degree + 1))])
    minimum.errordef = minimum.LEAST_SQUARES  # the deviance rises by one at one standard deviation
    if mu is not None:
        minimum.values["mu"] = mu
        minimum.fixed["mu"] = True
    minimum.strategy = 2
    minimum.migrad()
    minimum.hesse()
    return minimum
