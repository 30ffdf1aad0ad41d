"""The example's real spectrum, and what its Snakefile says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "example_workflow"
WORKFLOW = EXAMPLE / "workflow"
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


@pytest.fixture(scope="module")
def spectrum() -> dict[str, Any]:
    path = EXAMPLE / "resources" / "atlas_2020" / "myy_spectrum.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


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
    snakefile = (WORKFLOW / "Snakefile").read_text(encoding="utf-8")
    assert '"fit m_yy with DSCB+exp"\n' in snakefile
    rules = re.findall(r"^rule (\w+):", snakefile, re.MULTILINE)
    agents = [rule for rule in rules if rule != "all"]
    assert snakefile.count("    agent:\n") == len(agents) == 7
    assert sorted(path.name.removesuffix(".lock.yaml") for path in WORKFLOW.glob("agents/*.lock.yaml")) == sorted(
        agents
    )
    for text in [snakefile, *(path.read_text(encoding="utf-8") for path in WORKFLOW.glob("rules/*.smk"))]:
        for name in re.findall(r'"((?:\.\./)?(?:specs|scripts|envs)/[^"]+)"', text):
            assert (WORKFLOW / name.removeprefix("../")).is_file(), name
    for script in WORKFLOW.glob("scripts/*.py"):
        text = script.read_text(encoding="utf-8")
        if 'if "snakemake" in globals()' in text:
            # Snakemake puts its preamble before a script, where a __future__ import is a syntax error.
            assert "__future__" not in text


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
