"""The wrapper opendata/normalise, on files in the layouts of both releases, and the published numbers of 2020."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from tests.wrappers import kit
from wrappers.common import samples
from wrappers.common.job import WrongInput

WRAPPER = "phys/opendata/normalise"
HISTOGRAMS = kit.SHARED_DATA / "atlas_hyy_10fb_hists"
N = 500
TTH = {"XSection": 0.0000026433864, "SumWeights": 485440.0}


def lists(rng: np.random.Generator, columns: dict[str, Any]) -> ak.Array:
    """Lists of 0 to 3 objects per event, with columns drawn by functions of their number."""
    counts = rng.integers(0, 4, N)
    return ak.unflatten(ak.zip({name: draw(int(counts.sum())) for name, draw in columns.items()}), counts)


def layout_2020(channel: int = 343981, seed: int = 1, **constants: float) -> dict[str, Any]:
    """Branches as in the 2020 release, a realistic subset and some that nobody needs."""
    rng = np.random.default_rng(seed)

    def momentum(size: int) -> np.ndarray:
        return ((rng.exponential(30, size) + 25) * 1000).astype(np.float32)

    def uniform(size: int) -> np.ndarray:
        return rng.uniform(-2.5, 2.5, size).astype(np.float32)

    photon = {
        **dict.fromkeys(("pt", "E", "ptcone30", "etcone20", "pt_syst"), momentum),
        **dict.fromkeys(("eta", "phi"), uniform),
        "isTightID": lambda size: rng.random(size) < 0.8,
        "convType": lambda size: rng.integers(0, 6, size).astype(np.int32),
    }
    jet = {**dict.fromkeys(("pt", "E"), momentum), **dict.fromkeys(("eta", "phi"), uniform)}
    lepton = {
        **jet,
        "charge": lambda size: rng.choice([-1, 1], size).astype(np.int32),
        "type": lambda size: rng.choice([11, 13], size).astype(np.uint32),
    }
    jet["jvt"] = lambda size: rng.random(size).astype(np.float32)
    floats = {
        "mcWeight": rng.choice([-28.0, 28.0], N, p=[0.1, 0.9]),
        "XSection": np.full(N, 0.102),
        "SumWeights": np.full(N, 55922617.6297),
        "scaleFactor_PHOTON": rng.normal(1, 0.05, N),
        "scaleFactor_PhotonTRIGGER": rng.normal(1, 0.05, N),
        "scaleFactor_PILEUP": rng.normal(1, 0.05, N),
        "scaleFactor_ELE": rng.normal(9, 0.05, N),
        "met_et": rng.exponential(30000, N),
        "met_phi": rng.uniform(-3, 3, N),
    }
    floats |= {name: np.full(N, value) for name, value in constants.items()}
    return {
        "runNumber": np.full(N, 284500, dtype=np.int32),
        "eventNumber": np.arange(N, dtype=np.int32) - 5,
        "channelNumber": np.full(N, channel, dtype=np.int32),
        **{name: values.astype(np.float32) for name, values in floats.items()},
        "trigE": np.zeros(N, dtype=bool),
        "trigP": rng.random(N) < 0.7,
        "photon": lists(rng, photon),
        "jet": lists(rng, jet),
        "lep": lists(rng, lepton),
    }


def data_2020() -> dict[str, Any]:
    return layout_2020(channel=0, mcWeight=0, XSection=0, SumWeights=0)


def layout_2025(channel: int = 343981, seed: int = 2, **constants: float) -> dict[str, Any]:
    """Branches as in the 2025 release: GeV, other names and types."""
    old = layout_2020(channel, seed)
    rng = np.random.default_rng(seed)

    def renamed(records: ak.Array, names: dict[str, str]) -> ak.Array:
        energies = ("pt", "E", "ptcone30", "etcone20", "pt_syst")
        units = {name: np.float32(1000 if name in energies else 1) for name in records.fields}
        columns = {name: records[name] / units[name] if units[name] > 1 else records[name] for name in units}
        return ak.zip({names.get(name, name): column for name, column in columns.items() if name != "convType"})

    photon = {"E": "e", "ptcone30": "ptcone20", "etcone20": "topoetcone40"}
    jet = renamed(old["jet"], {"E": "e"})
    numbers = {"sum_of_weights": 5.6e7, "xsec": 28.3, "filteff": 0.00227, "kfac": 1.717, **constants}
    return {
        "runNumber": np.full(N, 284500, dtype=np.uint32),
        "eventNumber": np.arange(N, dtype=np.uint64) + 2**63,
        "channelNumber": np.full(N, channel, dtype=np.uint32),
        **{name: np.full(N, value) for name, value in numbers.items()},
        "mcWeight": old["mcWeight"],
        "ScaleFactor_PHOTON": old["scaleFactor_PHOTON"],
        "ScaleFactor_PILEUP": old["scaleFactor_PILEUP"],
        "trigP": rng.random(N) < 0.3,
        "photon": renamed(old["photon"], photon),
        "jet": ak.with_field(jet, jet.jvt > 0.5, "jvt"),
        "lep": renamed(old["lep"], {"E": "e"}),
        "met": rng.exponential(30, N).astype(np.float32),
        "met_phi": old["met_phi"],
    }


def write(path: Path, branches: dict[str, Any], tree: str = "mini", keep: int = N) -> Path:
    with uproot.recreate(path) as file:
        types = {
            name: values.dtype if isinstance(values, np.ndarray) else values.type.content
            for name, values in branches.items()
        }
        new = file.mktree(tree, types)
        if keep:
            new.extend({name: values[:keep] for name, values in branches.items()})
    return path


def normalise(
    tmp_path: Path, *paths: Path, suffix: str = ".parquet", **params: Any
) -> tuple[ak.Array, dict[str, Any], str]:
    """Return the normalised events, the summary and the log."""
    output = {"events": tmp_path / f"events{suffix}", "summary": tmp_path / "events.json"}
    log = kit.call(WRAPPER, tmp_path, input=paths, output=output, params=params)
    return read(output["events"]), json.loads(output["summary"].read_text(encoding="utf-8")), log


def read(path: Path) -> ak.Array:
    if path.suffix == ".parquet":
        return ak.from_parquet(path)
    with uproot.open(path) as file:
        return file["events"].arrays()


def same(ours: Any, theirs: Any) -> bool:
    return bool(ak.all(ak.num(ours) == ak.num(theirs)) and ak.all(ours == theirs))


# --- the published numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, dsid, expected",
    [
        ("ggH125_gamgam", 343981, 357.2),
        ("VBFH125_gamgam", 345041, 29.86),
        ("WH125_gamgam", 345318, 5.59),
        ("ZH125_gamgam", 345319, 5.29),
        ("ttH125_gamgam", 341081, 3.88),
    ],
)
def test_expected_yields_of_2020(name: str, dsid: int, expected: float) -> None:
    """The histograms hold sums of weights; official yields follow from the published sums of weights."""
    path = HISTOGRAMS / f"{name}.root"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with uproot.open(path) as file:
        selected = float(file["hist_mYY_bin1"].values().sum())
    published, sum_of_weights = samples.PUBLISHED_2020[dsid]
    cross_section, correction = samples.corrected_cross_section("2020", dsid, published)
    weight = samples.luminosity_weight(cross_section, sum_of_weights, samples.LUMINOSITY["2020"])
    digits = 1 if expected > 100 else 2
    assert round(selected * weight, digits) == pytest.approx(expected, abs=0.6 * 10**-digits)
    assert bool(correction) == (dsid == 341081)


def test_events_in_data_of_2020() -> None:
    path = HISTOGRAMS / "data.root"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with uproot.open(path) as file:
        assert file["hist_mYY_bin1"].values().sum() == 76394


def test_tth_as_published_is_440_times_too_low() -> None:
    published, _ = samples.PUBLISHED_2020[341081]
    right, sentence = samples.corrected_cross_section("2020", 341081, published)
    assert right == pytest.approx(0.513 * 0.00227, rel=1e-3)
    assert "twice" in sentence
    assert samples.corrected_cross_section("2025", 341081, published) == (published, "")
    assert samples.corrected_cross_section("2020", 341081, right) == (right, ""), "what is right is left alone"


def test_ggh_of_2025_has_the_known_cross_section() -> None:
    """48.6 pb times the branching ratio, from the three numbers of the file."""
    product = 28.3 * 1.717 * 0.00227
    assert product == pytest.approx(48.59 * samples.HIGGS_TO_DIPHOTON, rel=1e-3)


@pytest.mark.parametrize(
    "text, value",
    [
        (10064, 10064.0),
        ("10064", 10064.0),
        ("10.064 /fb", 10064.0),
        ("36.1 fb-1", 36100.0),
        ("36.1 fb^-1", 36100.0),
        ("10064 1/pb", 10064.0),
        ("10.064/fb", 10064.0),
        ("3.2 fb⁻¹", 3200.0),
        ("1e3 pb-1", 1000.0),
    ],
)
def test_luminosities(text: Any, value: float) -> None:
    assert samples.luminosity(text) == pytest.approx(value)


@pytest.mark.parametrize("text", [0, -1, "much", "10 fb", "10 GeV", True, "", "inf", "1e999", "e"])
def test_what_is_no_luminosity(text: Any) -> None:
    with pytest.raises(WrongInput, match="is neither a number in 1/pb nor text"):
        samples.luminosity(text)


def test_alternative_generators() -> None:
    assert samples.overlapping("2025", [343981, 346525, 345317, 345318]) == []
    assert samples.overlapping("2025", range(302520, 302535)) == [], "slices in mass add up"
    assert len(samples.overlapping("2025", [343981, 346797, 346525, 346526, 346601])) == 2
    assert samples.overlapping("2020", [343981, 346797]) == []


# --- the schema ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_events_of_2020(tmp_path: Path, suffix: str) -> None:
    branches = layout_2020()
    path = write(tmp_path / "mc_343981.ggH125_gamgam.GamGam.root", branches)
    events, summary, _ = normalise(tmp_path, path, suffix=suffix, step_size=130)
    photon, jet, lepton = branches["photon"], branches["jet"], branches["lep"]
    assert len(events) == N
    thousand = np.float32(1000)
    assert same(events.photon_pt, photon.pt / thousand)
    assert same(events.photon_e, photon.E / thousand)
    assert same(events.photon_track_isolation, photon.ptcone30 / thousand)
    assert same(events.photon_calo_isolation, photon.etcone20 / thousand)
    assert same(events.photon_eta, photon.eta)
    assert same(events.photon_is_tight, photon.isTightID)
    assert same(events.photon_converted, photon.convType != 0)
    assert same(events.photon_in_crack, (abs(photon.eta) >= 1.37) & (abs(photon.eta) <= 1.52))
    assert ak.sum(events.photon_in_crack) > 0
    assert same(events.jet_pt, jet.pt / thousand)
    rejected = (jet.pt < 60000) & (abs(jet.eta) < 2.4) & (jet.jvt < 0.59)
    assert same(events.jet_pass_jvt, ~rejected)
    assert same(events.lepton_e, lepton.E / thousand)
    assert same(events.lepton_type, lepton["type"])
    assert np.array_equal(events.met, branches["met_et"] / thousand)
    assert np.array_equal(events.pass_trigger, branches["trigP"])
    assert ak.type(events.event_number).content.primitive == "uint64"
    assert events.event_number[:6].tolist() == [2**32 - 5, 2**32 - 4, 2**32 - 3, 2**32 - 2, 2**32 - 1, 0]
    assert summary["columns"]["photon_pt"] == "list of float32"
    wanted = [name for name in events.fields if not name.startswith("n")]
    assert sorted(summary["columns"]) == sorted(wanted)


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_events_of_2025(tmp_path: Path, suffix: str) -> None:
    branches = layout_2025()
    path = write(tmp_path / "events_2025.root", branches, tree="analysis")
    events, _, _ = normalise(tmp_path, path, suffix=suffix)
    photon = branches["photon"]
    assert same(events.photon_pt, photon.pt)
    assert same(events.photon_e, photon.e)
    assert same(events.photon_track_isolation, photon.ptcone20)
    assert same(events.photon_calo_isolation, photon.topoetcone40)
    assert same(events.jet_pass_jvt, branches["jet"].jvt)
    assert np.array_equal(events.met, branches["met"])
    assert np.array_equal(events.event_number, branches["eventNumber"])
    assert ak.all(events.pass_trigger), "the official selection of 2025 asks for no trigger"
    assert np.array_equal(events.trigger_photon, branches["trigP"])
    assert "photon_converted" not in events.fields


def test_both_releases_have_the_same_columns(tmp_path: Path) -> None:
    old, _, _ = normalise(tmp_path, write(tmp_path / "a.root", layout_2020()))
    new, _, _ = normalise(tmp_path, write(tmp_path / "b.root", layout_2025(), tree="analysis"))
    assert [name for name in old.fields if name != "photon_converted"] == new.fields
    for name in new.fields:
        assert str(old[name].type.content) == str(new[name].type.content), name


# --- the weights -----------------------------------------------------------------------------------------------------


def test_weights_of_2020(tmp_path: Path) -> None:
    branches = layout_2020()
    path = write(tmp_path / "mc_343981.ggH125_gamgam.GamGam.root", branches)
    events, summary, log = normalise(tmp_path, path, step_size=130)
    weight = np.ones(N)
    for name in ("mcWeight", "scaleFactor_PHOTON", "scaleFactor_PhotonTRIGGER", "scaleFactor_PILEUP"):
        weight *= branches[name].astype(np.float64)
    weight *= 10064 * 0.102 / 55922617.6297
    assert np.allclose(events.weight, weight, rtol=1e-6, atol=0)
    assert ak.type(events.weight).content.primitive == "float64"
    assert summary["yield"] == pytest.approx(weight.sum(), rel=1e-6)
    assert summary["yield_error"] == pytest.approx(math.sqrt((weight**2).sum()), rel=1e-6)
    assert summary["negative_weight_fraction"] == (branches["mcWeight"] < 0).mean() > 0
    [sample] = summary["samples"]
    assert (sample["channel_number"], sample["process"], sample["n_events"]) == (343981, "ggH", N)
    assert sample["sum_of_weights"] == pytest.approx(55922617.6, rel=1e-6)
    assert sample["produced"] == pytest.approx(10064 * 0.102, rel=1e-6)
    assert sample["fraction_in_files"] == pytest.approx(branches["mcWeight"].sum() / 55922617.6, rel=1e-6)
    assert "luminosity 10064 /pb" in log


def test_weights_of_2025(tmp_path: Path) -> None:
    branches = layout_2025()
    path = write(tmp_path / "b.root", branches, tree="analysis")
    events, summary, _ = normalise(tmp_path, path, luminosity="20 /fb")
    weight = branches["mcWeight"].astype(np.float64) * branches["ScaleFactor_PHOTON"] * branches["ScaleFactor_PILEUP"]
    weight *= 20000 * 28.3 * 0.00227 * 1.717 / 5.6e7
    assert np.allclose(events.weight, weight, rtol=1e-12, atol=0)
    assert summary["luminosity_per_pb"] == 20000
    assert summary["samples"][0]["cross_section_pb"] == pytest.approx(28.3 * 0.00227 * 1.717)


def test_a_selection_before_does_not_change_weights(tmp_path: Path) -> None:
    """The sum of weights is that of the sample; a file with half of the events has half of the yield."""
    branches = layout_2020()
    everything, _, _ = normalise(tmp_path, write(tmp_path / "a.root", branches))
    half, _, _ = normalise(tmp_path, write(tmp_path / "b.root", branches, keep=N // 2))
    assert np.array_equal(half.weight, everything.weight[: N // 2])


def test_data_have_weight_one(tmp_path: Path) -> None:
    events, summary, _ = normalise(tmp_path, write(tmp_path / "a.root", data_2020()))
    assert ak.all(events.weight == 1)
    assert (summary["kind"], summary["yield"], summary["samples"]) == ("data", N, [])
    assert summary["yield_error"] == pytest.approx(math.sqrt(N))
    assert summary["luminosity_per_pb"] is None


def test_pseudo_data_are_data(tmp_path: Path) -> None:
    """Simulated events that stand for data have scale factors and weights 1, but no sum of weights."""
    branches = layout_2020(channel=900100, mcWeight=1, XSection=0, SumWeights=0)
    _, summary, _ = normalise(tmp_path, write(tmp_path / "pseudodata.root", branches))
    assert (summary["kind"], summary["yield"]) == ("data", N)


def test_data_of_2025_without_the_branches_of_simulation(tmp_path: Path) -> None:
    branches = {
        name: values
        for name, values in layout_2025(channel=0).items()
        if name not in ("xsec", "filteff", "kfac", "sum_of_weights", "mcWeight") and not name.startswith("ScaleFactor")
    }
    events, summary, _ = normalise(tmp_path, write(tmp_path / "b.root", branches, tree="analysis"), luminosity="1 /fb")
    assert (summary["kind"], float(ak.sum(events.weight)), summary["luminosity_per_pb"]) == ("data", N, 1000)


def test_official_names_settle_the_kind(tmp_path: Path) -> None:
    name = "ODEO_FEB2025_v0_GamGam_data15_periodD.GamGam.root"
    _, summary, _ = normalise(tmp_path, write(tmp_path / name, layout_2025(), tree="analysis"))
    assert summary["kind"] == "data"
    _, summary, _ = normalise(tmp_path, tmp_path / name, kind="simulation")
    assert summary["kind"] == "simulation"


def test_what_is_neither_data_nor_simulation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", layout_2020(XSection=0))
    with pytest.raises(kit.WrapperFailed, match=r"is this data or simulation.*kind=... settles it"):
        normalise(tmp_path, path)
    with pytest.raises(kit.WrapperFailed, match="has the cross section 0 pb"):
        normalise(tmp_path, path, kind="simulation")
    _, summary, _ = normalise(tmp_path, path, kind="simulation", cross_section=0.102)
    assert summary["samples"][0]["cross_section_pb"] == 0.102
    path = write(tmp_path / "c.root", layout_2020(SumWeights=0))
    with pytest.raises(kit.WrapperFailed, match=r"has the sum of weights 0. Is it data"):
        normalise(tmp_path, path, kind="simulation")
    _, summary, _ = normalise(tmp_path, path, kind="simulation", sum_of_weights=1e6)
    assert summary["samples"][0]["sum_of_weights"] == 1e6


def test_own_simulation_needs_a_luminosity(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", layout_2020(channel=900001))
    with pytest.raises(kit.WrapperFailed, match=r'luminosity="... /fb" is needed: sample 900001 is none of ATLAS'):
        normalise(tmp_path, path)
    _, summary, _ = normalise(tmp_path, path, luminosity="8 /fb")
    assert summary["samples"][0]["process"] is None


def test_scale_factors_can_be_chosen(tmp_path: Path) -> None:
    branches = layout_2020()
    path = write(tmp_path / "a.root", branches)
    events, _, _ = normalise(tmp_path, path, scale_factors=[])
    assert np.allclose(events.weight, branches["mcWeight"] * 10064 * 0.102 / 55922617.6297, rtol=1e-6)
    with pytest.raises(kit.WrapperFailed, match=r"no branch 'scaleFactor_PHOTONS', of the weight. Did you mean scaleF"):
        normalise(tmp_path, path, scale_factors=["scaleFactor_PHOTONS"])


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    branches = layout_2020()
    branches["scaleFactor_PILEUP"][3] = np.nan
    with pytest.raises(kit.WrapperFailed, match="the weights of 1 events are no numbers"):
        normalise(tmp_path, write(tmp_path / "a.root", branches))
    assert not (tmp_path / "events.parquet").exists()


# --- the errors of the official material -----------------------------------------------------------------------------


def test_tth_of_2020_is_corrected(tmp_path: Path) -> None:
    path = write(tmp_path / "mc_341081.ttH125_gamgam.GamGam.root", layout_2020(341081, 1, **TTH))
    corrected, summary, log = normalise(tmp_path, path)
    metadata = pq.read_schema(tmp_path / "events.parquet").metadata
    assert "contains the branching ratio 0.00227 twice" in log
    assert any("twice" in note for note in summary["notes"])
    assert any("twice" in note for note in json.loads(metadata[b"provenance"])["notes"])
    published, summary, log = normalise(tmp_path, path, correct_cross_sections=False)
    assert "twice" not in log
    assert summary["samples"][0]["cross_section_pb"] == pytest.approx(0.0000026433864)
    assert np.allclose(corrected.weight, published.weight / 0.00227)


def test_missing_half_of_wh_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", layout_2020(345318, XSection=0.0019654512, SumWeights=213799.958463))
    assert "W-H is missing" in normalise(tmp_path, path)[2]


def test_alternative_generators_are_not_added(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"mc_{dsid}.x.root", layout_2025(dsid), tree="analysis") for dsid in (343981, 346797, 346525)
    ]
    with pytest.raises(kit.WrapperFailed, match="ggH: DSIDs 343981 and 346797 are the same process"):
        normalise(tmp_path, *paths)
    events, summary, log = normalise(tmp_path, *paths, alternatives="warn")
    assert "Warning: ggH: DSIDs" in log
    assert len(summary["warnings"]) == 1
    assert len(events) == 3 * N
    assert [sample["process"] for sample in summary["samples"]] == ["ggH", "ttH", "ggH"]


def test_alternative_generators_in_one_merged_file(tmp_path: Path) -> None:
    branches = layout_2025()
    branches["channelNumber"][N // 2 :] = 346797
    with pytest.raises(kit.WrapperFailed, match="ggH: DSIDs 343981 and 346797"):
        normalise(tmp_path, write(tmp_path / "a.root", branches, tree="analysis"))
    assert not (tmp_path / "events.parquet").exists()


def test_samples_in_one_merged_file_are_weighted_each(tmp_path: Path) -> None:
    branches = layout_2020()
    rear = slice(N // 2, None)
    branches["channelNumber"][rear], branches["XSection"][rear], branches["SumWeights"][rear] = 345041, 0.0085, 3.44e6
    events, summary, _ = normalise(tmp_path, write(tmp_path / "a.root", branches), scale_factors=[])
    expected = branches["mcWeight"] * 10064 * branches["XSection"].astype(float) / branches["SumWeights"]
    assert np.allclose(events.weight, expected, rtol=1e-6)
    assert [sample["n_events"] for sample in summary["samples"]] == [N // 2, N // 2]


def test_several_samples_under_one_number(tmp_path: Path) -> None:
    branches = layout_2020()
    branches["SumWeights"][7] = 1e7
    with pytest.raises(kit.WrapperFailed, match="sample 343981 differ in their sum of weights"):
        normalise(tmp_path, write(tmp_path / "a.root", branches))


def test_more_weight_than_was_generated(tmp_path: Path) -> None:
    branches = layout_2020(channel=900001, SumWeights=100, mcWeight=1)
    _, summary, log = normalise(tmp_path, write(tmp_path / "a.root", branches), luminosity=1)
    assert "sum up to 5.000 of the sum of weights" in log
    assert len(summary["warnings"]) == 1


def test_a_sum_of_weights_that_is_not_the_published_one(tmp_path: Path) -> None:
    log = normalise(tmp_path, write(tmp_path / "a.root", layout_2020(SumWeights=5e7)))[2]
    assert "the sum of weights is 5e+07, published is 5.59226e+07" in log


def test_the_wrong_unit_is_noticed(tmp_path: Path) -> None:
    branches = layout_2020()
    branches["photon"] = ak.with_field(branches["photon"], branches["photon"].pt / np.float32(1000), "pt")
    assert "Is the release right?" in normalise(tmp_path, write(tmp_path / "a.root", branches))[2]


# --- files -----------------------------------------------------------------------------------------------------------


def test_objects_can_be_chosen_and_may_be_missing(tmp_path: Path) -> None:
    branches = {name: values for name, values in layout_2020().items() if name != "jet"}
    path = write(tmp_path / "a.root", branches)
    events, _, log = normalise(tmp_path, path)
    assert "no branches of: jet." in log
    assert {name.split("_")[0] for name in events.fields} >= {"photon", "lepton", "met"}
    events, _, _ = normalise(tmp_path, path, objects=["photon"])
    assert not [name for name in events.fields if name.startswith(("jet", "lepton", "met"))]
    with pytest.raises(kit.WrapperFailed, match="no branch 'jet_pt'"):
        normalise(tmp_path, path, objects=["photon", "jet"])
    with pytest.raises(kit.WrapperFailed, match=r"'jets' is none of photon, jet.*Did you mean jet"):
        normalise(tmp_path, path, objects=["jets"])


def test_a_missing_branch(tmp_path: Path) -> None:
    branches = layout_2020()
    branches["photon"] = ak.without_field(branches["photon"], "isTightID")
    with pytest.raises(kit.WrapperFailed, match=r"a.root: tree mini: no branch 'photon_isTightID'.*release 2020"):
        normalise(tmp_path, write(tmp_path / "a.root", branches))


def test_files_of_no_or_both_releases(tmp_path: Path) -> None:
    with pytest.raises(kit.WrapperFailed, match="has the branches of neither release"):
        normalise(tmp_path, write(tmp_path / "x.root", {"x": np.zeros(N)}, tree="t"))
    paths = [write(tmp_path / "a.root", layout_2020()), write(tmp_path / "b.root", layout_2025(), tree="analysis")]
    with pytest.raises(kit.WrapperFailed, match="files of several releases"):
        normalise(tmp_path, *paths)
    with pytest.raises(kit.WrapperFailed, match=r"no branch 'photon_e' \(release 2025\)"):
        normalise(tmp_path, paths[0], release=2025)


def test_data_and_simulation_are_not_mixed(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.root", layout_2020()), write(tmp_path / "b.root", data_2020())]
    with pytest.raises(kit.WrapperFailed, match="data and simulation together"):
        normalise(tmp_path, *paths)
    with pytest.raises(kit.WrapperFailed, match="the same file is named twice"):
        normalise(tmp_path, paths[0], tmp_path / "." / "a.root")


def test_a_file_with_another_tree_beside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", layout_2020())
    with uproot.update(path) as file:
        file.mktree("other", {"x": np.float64}).extend({"x": np.zeros(3)})
    events, _, _ = normalise(tmp_path, path)
    assert len(events) == N
    with pytest.raises(kit.WrapperFailed, match="no tree 'minni'"):
        normalise(tmp_path, path, tree="minni")


@pytest.mark.parametrize("suffix", [".parquet", ".root"])
def test_no_events(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / "mc_343981.x.root", layout_2020(), keep=0)
    events, summary, _ = normalise(tmp_path, path, suffix=suffix)
    assert len(events) == 0
    assert {"photon_pt", "weight", "event_number"} <= set(events.fields)
    assert (summary["n_events"], summary["yield"], summary["yield_error"]) == (0, 0, 0)


def test_several_files_of_one_sample_with_empty_ones(tmp_path: Path) -> None:
    branches = layout_2020()
    paths = [
        write(tmp_path / "a.root", branches),
        write(tmp_path / "b.root", branches, keep=0),
        write(tmp_path / "c.root", layout_2020(seed=3)),
    ]
    events, summary, _ = normalise(tmp_path, *paths)
    assert len(events) == 2 * N
    assert len(summary["samples"]) == 1
    assert summary["yield"] == pytest.approx(float(ak.sum(events.weight)))


def test_chunks_and_threads_change_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", layout_2020())
    whole, _, _ = normalise(tmp_path, path)
    parts, _, _ = normalise(tmp_path, path, step_size=83)
    assert ak.to_list(whole) == ak.to_list(parts)


def test_parquet_is_the_same_to_the_byte_and_says_what_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", layout_2020())
    normalise(tmp_path, path, step_size=130)
    first = (tmp_path / "events.parquet").read_bytes()
    normalise(tmp_path, path, step_size=130)
    assert (tmp_path / "events.parquet").read_bytes() == first
    schema = pq.read_schema(tmp_path / "events.parquet")
    origin = json.loads(schema.metadata[b"provenance"])
    assert (origin["wrapper"], origin["release"], origin["luminosity_per_pb"]) == (WRAPPER, "2020", 10064)
    assert schema.field("photon_pt").metadata == {b"unit": b"GeV"}
    normalise(tmp_path, path, suffix=".root")
    with uproot.open(tmp_path / "events.root") as file:
        assert json.loads(str(file["provenance"]))["wrapper"] == WRAPPER


@pytest.mark.parametrize(
    "params, message",
    [
        ({"luminosity": "10 fb"}, "luminosity='10 fb' is neither"),
        ({"lumi": 1}, "there is no 'lumi'. Did you mean luminosity"),
        ({"kind": "mc"}, "kind='mc' is none of data, simulation"),
        ({"release": 2016}, "release='2016' is none of 2020, 2025"),
        ({"cross_section": -1}, "cross_section=-1 is not a number above zero"),
        ({"step_size": "huge"}, "step_size='huge' is neither"),
        ({"correct_cross_sections": "no"}, "is neither True nor False"),
    ],
)
def test_wrong_params(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "a.root", {"x": np.zeros(N)})
    with pytest.raises(kit.WrapperFailed, match=message) as failure:
        normalise(tmp_path, path, **params)
    assert "Traceback" not in str(failure.value)


def test_wrong_outputs(tmp_path: Path) -> None:
    path = write(tmp_path / "a.root", layout_2020())
    with pytest.raises(kit.WrapperFailed, match=r"events are written to .parquet and .root files, not to '.csv'"):
        kit.call(WRAPPER, tmp_path, input=[path], output=[tmp_path / "a.csv"])
    with pytest.raises(kit.WrapperFailed, match="name one file of events"):
        kit.call(WRAPPER, tmp_path, input=[path], output=[tmp_path / "a.parquet", tmp_path / "b.parquet"])
    with pytest.raises(kit.WrapperFailed, match=r"no such file. Did you mean a.root"):
        kit.call(WRAPPER, tmp_path, input=[tmp_path / "b.root"], output=[tmp_path / "a.parquet"])


def test_example(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    total = 0.0
    for dsid, cross_section, sum_of_weights in ((343981, 0.102, 55922617.63), (341081, 0.0011644874, 485440.0)):
        [path] = (folder / "data").glob(f"mc_{dsid}.*.root")
        with uproot.open(path) as file:
            branches = file["mini"].arrays(filter_name=["mcWeight", "scaleFactor_*"], library="np")
        product = np.prod([values.astype(np.float64) for values in branches.values()], axis=0)
        total += float(product.sum()) * 10064 * cross_section / sum_of_weights
    events = ak.from_parquet(folder / "results/signal.parquet")
    assert float(ak.sum(events.weight)) == pytest.approx(total, rel=1e-5)
    summary = json.loads((folder / "results/signal.json").read_text(encoding="utf-8"))
    assert summary["yield"] == pytest.approx(total, rel=1e-5)
    assert ak.all(ak.from_parquet(folder / "results/data.parquet").weight == 1)
    with uproot.open(folder / "data/ggh_2025.root") as old, uproot.open(folder / "results/ggh_2025.root") as new:
        ours, theirs = new["events"].arrays(["photon_pt", "event_number"]), old["analysis"].arrays(["photon_pt"])
    assert same(ours.photon_pt, theirs.photon_pt)
    assert ours.event_number[0] == 2**40 + 1
