"""The example's simulation: layout, units, determinism and physics, with few events."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

ak = pytest.importorskip("awkward")
uproot = pytest.importorskip("uproot")
iminuit = pytest.importorskip("iminuit", reason="the reference fits need iminuit (extra 'hep')")

SCRIPTS = Path(__file__).parents[2] / "example_workflow" / "workflow" / "scripts"
CONFIG: dict[str, Any] = {
    "luminosity_per_fb": 0.1,
    "signal_events": {"ggH": 8000, "VBF": 3000},
    "signal_strength": 1,
    "higgs_cross_section_pb": {"ggH": 0.1103, "VBF": 0.00859},
    "continuum_cross_section_pb": 52.2,
    "exponential_continuum": True,
    "seed": 1,
}

# Tree `mini` of the 2020 release. uproot cannot write std::vector: a ragged branch of floats is float[] instead of
# vector<float>, which reads the same.
RELEASE_2020 = {
    "runNumber": "int32_t",
    "eventNumber": "int32_t",
    "channelNumber": "int32_t",
    "mcWeight": "float",
    "XSection": "float",
    "SumWeights": "float",
    "scaleFactor_PILEUP": "float",
    "scaleFactor_ELE": "float",
    "scaleFactor_MUON": "float",
    "scaleFactor_PHOTON": "float",
    "scaleFactor_TAU": "float",
    "scaleFactor_BTAG": "float",
    "scaleFactor_LepTRIGGER": "float",
    "scaleFactor_PhotonTRIGGER": "float",
    "trigE": "bool",
    "trigM": "bool",
    "trigP": "bool",
    "photon_n": "uint32_t",
    "photon_truthMatched": "bool[]",
    "photon_trigMatched": "bool[]",
    "photon_pt": "float[]",
    "photon_eta": "float[]",
    "photon_phi": "float[]",
    "photon_E": "float[]",
    "photon_isTightID": "bool[]",
    "photon_ptcone30": "float[]",
    "photon_etcone20": "float[]",
    "photon_convType": "int32_t[]",
    "photon_pt_syst": "float[]",
    "jet_n": "uint32_t",
    "jet_pt": "float[]",
    "jet_eta": "float[]",
    "jet_phi": "float[]",
    "jet_E": "float[]",
    "met_et": "float",
    "met_phi": "float",
}
NAMES = ("ggH", "VBF", "data")


@pytest.fixture(scope="module")
def load() -> Iterator[Any]:
    """Import a script of the example by its name, as Snakemake lets scripts import their neighbours."""
    sys.path.insert(0, str(SCRIPTS))
    before = set(sys.modules)
    yield importlib.import_module
    sys.path.remove(str(SCRIPTS))
    for name in set(sys.modules) - before:
        if str(SCRIPTS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(scope="module")
def simulate(load: Any) -> ModuleType:
    pytest.importorskip("pythia8mc", reason="the simulation needs pythia8mc (extra 'example')")
    module: ModuleType = load("simulate")
    return module


@pytest.fixture(scope="module")
def samples(simulate: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """All samples, simulated by running the script's main as a Snakemake job would."""
    directory = tmp_path_factory.mktemp("samples")
    made = {}
    for sample in NAMES:
        ntuple, truth = simulate.SAMPLES[sample](CONFIG)
        path = directory / f"simulated_{sample}.GamGam.root"
        simulate.write_ntuple(path, ntuple)
        made[sample] = SimpleNamespace(path=path, truth=truth)
    return SimpleNamespace(**made)


def test_script_writes_ntuple_truth_and_log(simulate: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(simulate.logging, "basicConfig", lambda **_: None)
    out = SimpleNamespace(ntuple=tmp_path / "a" / "signal.root", truth=tmp_path / "a" / "truth.json")
    simulate.main(
        SimpleNamespace(
            log=[str(tmp_path / "log")],
            wildcards=SimpleNamespace(sample="ggH"),
            params=SimpleNamespace(simulation=CONFIG | {"signal_events": {"ggH": 50, "VBF": 50}}),
            output=out,
        )
    )
    truth = json.loads(out.truth.read_text())
    assert truth["simulation"] is True
    assert truth["generated"] == 50
    with uproot.open(out.ntuple) as file:
        assert file["mini"].num_entries == truth["written"]


@pytest.mark.parametrize("sample", NAMES)
def test_tree_has_the_names_and_types_of_the_release(samples: SimpleNamespace, sample: str) -> None:
    with uproot.open(getattr(samples, sample).path) as file:
        assert file.classnames() == {"mini;1": "TTree"}
        types = file["mini"].typenames()
    assert types.pop("nphoton") == types.pop("njet") == "int32_t"
    assert types == RELEASE_2020


@pytest.mark.parametrize("sample", NAMES)
def test_sample_says_that_it_is_simulation(samples: SimpleNamespace, sample: str) -> None:
    made = getattr(samples, sample)
    assert "simulated" in made.path.name
    with uproot.open(made.path) as file:
        assert "SIMULATION, not ATLAS data" in file["mini"].title
        assert ak.all(file["mini"]["channelNumber"].array() >= 900000)


@pytest.mark.parametrize("sample", NAMES)
def test_photons_are_in_mev_sorted_and_preselected(samples: SimpleNamespace, sample: str) -> None:
    with uproot.open(getattr(samples, sample).path) as file:
        mini = file["mini"].arrays()
    assert ak.min(mini.photon_pt) > 25_000
    assert 35_000 < ak.min(mini.photon_pt[:, 0]) < 36_000
    assert 40_000 < ak.mean(mini.photon_pt) < 80_000
    assert ak.all(mini.photon_pt[:, 0] >= mini.photon_pt[:, 1])
    assert ak.max(abs(mini.photon_eta)) < 2.37
    massless = mini.photon_pt * np.cosh(mini.photon_eta)
    assert ak.max(abs(mini.photon_E / massless - 1)) < 1e-5
    assert ak.all(mini.photon_n == ak.num(mini.photon_pt))
    assert ak.min(mini.photon_n) == 2
    assert 300 < ak.std(mini.photon_etcone20) < 3000
    assert set(ak.ravel(mini.photon_convType).tolist()) == {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("sample", NAMES)
def test_jets_are_in_mev_sorted_and_apart_from_photons(samples: SimpleNamespace, sample: str) -> None:
    with uproot.open(getattr(samples, sample).path) as file:
        mini = file["mini"].arrays()
    assert ak.all(mini.jet_n == ak.num(mini.jet_pt))
    assert ak.min(mini.jet_pt, axis=None) > 25_000
    assert ak.all(mini.jet_pt[:, :-1] >= mini.jet_pt[:, 1:])
    assert ak.max(abs(mini.jet_eta), axis=None) < 4.5
    assert ak.all(mini.jet_E >= mini.jet_pt * 0.999)
    jets = ak.zip({"eta": mini.jet_eta, "phi": mini.jet_phi})
    photons = ak.zip({"eta": mini.photon_eta, "phi": mini.photon_phi})
    one, other = ak.unzip(ak.cartesian([jets, photons]))
    turn = np.abs((one.phi - other.phi + np.pi) % (2 * np.pi) - np.pi)
    assert ak.min(np.hypot(one.eta - other.eta, turn), axis=None) > 0.399
    assert 5_000 < ak.mean(mini.met_et) < 30_000
    assert ak.max(abs(mini.met_phi)) <= np.pi + 1e-6


def test_vector_boson_fusion_has_two_jets_far_apart(samples: SimpleNamespace) -> None:
    shares, distances = {}, {}
    for sample in ("ggH", "VBF"):
        with uproot.open(getattr(samples, sample).path) as file:
            mini = file["mini"].arrays(["jet_eta"])
        two = ak.num(mini.jet_eta) >= 2
        shares[sample] = float(ak.mean(two))
        distances[sample] = float(ak.mean(abs(mini.jet_eta[two][:, 0] - mini.jet_eta[two][:, 1])))
    assert shares["VBF"] > 0.6 > 0.4 > shares["ggH"]
    assert distances["VBF"] > distances["ggH"] + 0.5


def test_weights_are_those_of_simulation_and_of_data(samples: SimpleNamespace) -> None:
    with uproot.open(samples.ggH.path) as file:
        signal = file["mini"].arrays()
    with uproot.open(samples.data.path) as file:
        data = file["mini"].arrays()
    assert np.allclose(signal.XSection, 0.1103)
    assert ak.all(signal.SumWeights == CONFIG["signal_events"]["ggH"])
    assert ak.all(signal.photon_truthMatched)
    assert ak.mean(signal.scaleFactor_PHOTON * signal.scaleFactor_PhotonTRIGGER) == pytest.approx(0.947, abs=0.01)
    assert ak.mean(signal.scaleFactor_PILEUP) == pytest.approx(1, abs=0.02)
    assert ak.all(data.SumWeights == 0)
    assert ak.all(data.scaleFactor_PHOTON == 1)
    assert not ak.any(data.photon_truthMatched)


@pytest.mark.parametrize("sample", NAMES)
def test_same_seed_same_events_other_seed_others(simulate: ModuleType, sample: str) -> None:
    few = CONFIG | {"signal_events": {"ggH": 300, "VBF": 300}, "luminosity_per_fb": 0.01}
    first, again = (simulate.SAMPLES[sample](few) for _ in range(2))
    other = simulate.SAMPLES[sample](few | {"seed": 2})
    assert first[1] == again[1]
    assert all(ak.array_equal(first[0][name], again[0][name]) for name in first[0])
    assert not ak.array_equal(first[0]["photon"].pt, other[0]["photon"].pt)


def test_no_higgs_bosons_without_signal_strength(simulate: ModuleType) -> None:
    _, truth = simulate.simulate_pseudodata(CONFIG | {"signal_strength": 0, "luminosity_per_fb": 0.01})
    assert truth["selected_higgs"] == 0
    assert truth["selected"] > 30


def test_acceptance_of_gluon_fusion(samples: SimpleNamespace) -> None:
    truth = samples.ggH.truth
    assert truth["selected"] / truth["generated"] == pytest.approx(0.37, abs=0.05)
    per_fb = truth["selected_yield"] / CONFIG["luminosity_per_fb"]
    assert per_fb == pytest.approx(357.2 / 10.064, rel=0.15)  # official simulation, whose cross-section is 8 % smaller


def test_written_file_selects_what_the_truth_says(samples: SimpleNamespace) -> None:
    for made in (samples.ggH, samples.VBF, samples.data):
        mass, _ = masses_and_weights(made.path)
        assert len(mass) == pytest.approx(made.truth["selected"], abs=1)


def test_continuum_yield_is_that_of_atlas(samples: SimpleNamespace) -> None:
    continuum = samples.data.truth["selected"] - samples.data.truth["selected_higgs"]
    expected = (76394 - 398) / 10.064 * CONFIG["luminosity_per_fb"]
    assert continuum == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_signal_is_a_double_sided_crystal_ball(samples: SimpleNamespace) -> None:
    mass, weight = masses_and_weights(samples.ggH.path)
    grid = np.linspace(105, 160, 1101)

    def nll(*shape: float) -> float:
        integral = np.trapezoid(crystal_ball(grid, *shape), grid)
        return float(-(weight * np.log(crystal_ball(mass, *shape) / integral)).sum())

    fit = iminuit.Minuit(nll, 125, 2.3, 1.6, 8, 1.8, 8, name=("mean", "sigma", "a_low", "n_low", "a_high", "n_high"))
    fit.errordef = fit.LIKELIHOOD
    fit.limits["sigma", "a_low", "a_high"] = (0.3, 5)
    fit.limits["n_low", "n_high"] = (1.05, 100)
    fit.migrad()
    assert fit.valid
    assert fit.values["mean"] == pytest.approx(125, abs=0.3)
    assert fit.values["sigma"] == pytest.approx(2.35, abs=0.4)


def test_missing_pythia_says_what_to_install(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    with pytest.raises(SystemExit, match=r"pip install 'snakemake-executor-plugin-llmagent\[example\]'"):
        load("pythia_photons").generate((), n_events=1, seed=1)


def masses_and_weights(path: Path) -> tuple[Any, Any]:
    """Select from the file as the official analysis does, independently of the example's own selection."""
    with uproot.open(path) as file:
        mini = file["mini"].arrays()
    eta = abs(mini.photon_eta)
    good = mini.photon_isTightID & (mini.photon_pt > 25_000) & (eta < 2.37) & ~((eta >= 1.37) & (eta <= 1.52))
    fired = (ak.sum(good, axis=1) == 2) & mini.trigP
    mini, good = mini[fired], good[fired]
    names = ("pt", "eta", "phi", "ptcone30", "etcone20")
    p1, p2 = (
        SimpleNamespace(**{name: ak.to_numpy(mini[f"photon_{name}"][good][:, i]).astype(float) for name in names})
        for i in (0, 1)
    )
    mass = np.sqrt(2 * p1.pt * p2.pt * (np.cosh(p1.eta - p2.eta) - np.cos(p1.phi - p2.phi))) / 1000
    keep = (p1.pt / 1000 > 0.35 * mass) & (p2.pt / 1000 > 0.25 * mass) & (mass > 105) & (mass < 160)
    for photon in (p1, p2):
        keep &= (photon.ptcone30 / photon.pt < 0.065) & (photon.etcone20 / photon.pt < 0.065)
    weight = mini.mcWeight * mini.scaleFactor_PHOTON * mini.scaleFactor_PhotonTRIGGER * mini.scaleFactor_PILEUP
    return mass[keep], ak.to_numpy(weight)[keep].astype(float)


def crystal_ball(x: Any, mean: float, sigma: float, a_low: float, n_low: float, a_high: float, n_high: float) -> Any:
    """Return the double-sided Crystal Ball function, one at its peak."""
    t = (x - mean) / sigma
    core = np.exp(-0.5 * np.clip(t, -a_low, a_high) ** 2)
    low = np.maximum(1 - a_low / n_low * (a_low + np.minimum(t, -a_low)), 1e-9) ** -n_low
    high = np.maximum(1 - a_high / n_high * (a_high - np.maximum(t, a_high)), 1e-9) ** -n_high
    return core * low * high
