"""phys/pyhf/workspace: histograms in, HistFactory out, compared with sums made by hand and with pyhf's own readers."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pyhf
import pyhf.readxml
import pytest
import uproot
from uhi.io.json import default

from tests.wrappers import kit

WRAPPER = "phys/pyhf/workspace"
EDGES = [0.0, 1.0, 2.0, 3.0, 4.0]
NOMINAL = {"signal": [1.0, 4.0, 2.0, 0.5], "top": [20.0, 15.0, 10.0, 5.0], "qcd": [8.0, 4.0, 2.0, 1.0]}
COUNTS = [30.0, 22.0, 15.0, 7.0]
PARAMS: dict[str, Any] = {
    "channels": {"SR": "mass"},
    "samples": {"signal": "signal", "background": ["top", "qcd"]},
    "norm_factors": {"mu": {"samples": ["signal"]}},
}


def made(
    folder: Path,
    values: dict[str, dict[str, list[float]]] | None = None,
    *,
    flow: float = 0.0,
    name: str = "mass",
    file: str = "histograms.json",
) -> Path:
    """Write a histogram mass x process x systematic with a tenth of each content as its variance."""
    contents = values or {**{key: {"nominal": one} for key, one in NOMINAL.items()}, "data": {"nominal": COUNTS}}
    words = list(dict.fromkeys(word for one in contents.values() for word in one))
    histogram = hist.Hist(
        hist.axis.Variable(EDGES, name="mass", label="Mass [GeV]"),
        hist.axis.StrCategory(list(contents), name="process"),
        hist.axis.StrCategory(words, name="systematic"),
        storage=hist.storage.Weight(),
    )
    view = histogram.view(flow=True)
    for place, one in enumerate(contents.values()):
        for word, numbers in one.items():
            view["value"][1:-1, place, words.index(word)] = numbers
            view["variance"][1:-1, place, words.index(word)] = np.abs(numbers) / 10
            view["value"][-1, place, words.index(word)] = flow
            view["variance"][-1, place, words.index(word)] = flow / 10
    path = folder / file
    path.write_text(json.dumps({"histograms": {name: histogram}}, default=default), encoding="utf-8")
    return path


def varied(**more: list[float]) -> dict[str, dict[str, list[float]]]:
    """Return contents in which the top has variations besides its nominal."""
    contents: dict[str, dict[str, list[float]]] = {key: {"nominal": list(one)} for key, one in NOMINAL.items()}
    contents["top"] |= more
    return {**contents, "data": {"nominal": list(COUNTS)}}


def build(folder: Path, source: Path | list[Path], **params: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Run the wrapper; return workspace, report and log."""
    outputs = {"workspace": folder / "out" / "w.json", "report": folder / "out" / "r.json"}
    inputs = source if isinstance(source, list) else [source]
    log = kit.call(WRAPPER, folder, input=inputs, output=outputs, params={**copy.deepcopy(PARAMS), **params})
    return json.loads(outputs["workspace"].read_text()), json.loads(outputs["report"].read_text()), log


def modifier(workspace: dict[str, Any], sample: str, kind: str, name: str | None = None) -> Any:
    """Return the data of a sample's only modifier of a kind in the first channel."""
    samples = {one["name"]: one for one in workspace["channels"][0]["samples"]}
    found = [mod for mod in samples[sample]["modifiers"] if mod["type"] == kind and name in (None, mod["name"])]
    assert len(found) == 1
    return found[0]["data"]


def contents(workspace: dict[str, Any], sample: str) -> list[float]:
    return next(one["data"] for one in workspace["channels"][0]["samples"] if one["name"] == sample)


def test_snakefile_against_numpy(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    workspace = json.loads((folder / "results/workspace.json").read_text())
    report = json.loads((folder / "results/workspace.report.json").read_text())
    pyhf.schema.validate(workspace, "workspace.json")
    source = json.loads((folder / "results/histograms.json").read_text())["histograms"]
    for channel, region, merged in (("SR", "signal_region", 1), ("CR", "control_region", 4)):
        storage, axes = source[region]["storage"], source[region]["axes"]
        words = axes[1]["categories"]
        values, variances = (
            np.asarray(storage[key])[1:-1].reshape(-1, merged, len(words) + 1, 5).sum(axis=1)
            for key in ("values", "variances")
        )
        spec = next(one for one in workspace["channels"] if one["name"] == channel)
        for sample in spec["samples"]:
            place = words.index(sample["name"])
            nominal, up, down, tuned = (values[:, place, number] for number in range(4))
            mods = {(mod["name"], mod["type"]): mod["data"] for mod in sample["modifiers"]}
            assert sample["data"] == pytest.approx(nominal.tolist())
            assert mods["scale", "histosys"]["hi_data"] == pytest.approx(up.tolist())
            assert mods["scale", "histosys"]["lo_data"] == pytest.approx(down.tolist())
            error = mods[f"staterror_{channel}", "staterror"]
            assert error == pytest.approx(np.sqrt(variances[:, place, 0]).tolist())
            assert ("lumi", "lumi") in mods if sample["name"] != "top" else ("k_top", "normfactor") in mods
            if sample["name"] == "top":
                mirrored = 2 * nominal - tuned
                hi, lo = (one * nominal.sum() / one.sum() for one in (tuned, mirrored))
                assert mods["tune", "histosys"]["hi_data"] == pytest.approx(hi.tolist())
                assert mods["tune", "histosys"]["lo_data"] == pytest.approx(lo.tolist())
            else:
                assert ("tune", "histosys") not in mods
        data = next(one["data"] for one in workspace["observations"] if one["name"] == channel)
        assert data == values[:, words.index("data"), 0].tolist()
    config = workspace["measurements"][0]["config"]
    assert config["poi"] == "mu"
    lumi = next(one for one in config["parameters"] if one["name"] == "lumi")
    assert (lumi["auxdata"], lumi["sigmas"], lumi["inits"]) == ([1.0], [0.017], [1.0])
    assert report["channels"][1]["edges"] == [100, 140, 180]
    assert report["channels"][0]["unit"] == "GeV"
    assert report["provenance"]["inputs"][0]["file"] == "results/histograms.json"
    assert len(report["notes"]) == 2
    assert all("mirrored" in note for note in report["notes"])


def test_same_input_same_bytes_and_unnamed_output(tmp_path: Path) -> None:
    source = made(tmp_path)
    texts = []
    for name in ("a.json", "b.json"):
        kit.call(WRAPPER, tmp_path, input={"anything": source}, output=[tmp_path / name], params=PARAMS)
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]
    assert not (tmp_path / "r.json").exists()


def test_processes_are_summed_and_scaled(tmp_path: Path) -> None:
    samples = {"signal": {"process": "signal", "scale": 2.0}, "background": ["top", "qcd"]}
    workspace, report, _ = build(tmp_path, made(tmp_path), samples=samples)
    assert contents(workspace, "signal") == pytest.approx([2, 8, 4, 1])
    assert contents(workspace, "background") == pytest.approx([28, 19, 12, 6])
    assert modifier(workspace, "signal", "staterror") == pytest.approx(2 * np.sqrt(np.array([1, 4, 2, 0.5]) / 10))
    assert modifier(workspace, "background", "staterror") == pytest.approx(np.sqrt(np.array([28, 19, 12, 6]) / 10))
    assert report["channels"][0]["samples"]["background"] == {
        "yield": pytest.approx(65),
        "yield_error": pytest.approx(6.5**0.5),
    }
    assert report["parameters"] == 1 + 4


def test_one_parameter_moves_the_expectation_to_its_template(tmp_path: Path) -> None:
    """The meaning of the modifiers, taken from pyhf's own evaluation: theta = 1 gives the up template."""
    up, down = [22.0, 16.0, 10.0, 4.0], [18.0, 14.5, 10.0, 5.5]
    source = made(tmp_path, varied(JES_up=up, JES_down=down))
    for extra in ({}, {"split": True}, {"normalise": True}):
        systematics = {
            "JES": {"type": "shape", "samples": ["background"], **extra},
            "xsec": {"type": "norm", "up": 1.2, "down": 0.9, "samples": ["background"], "channels": ["SR"]},
        }
        workspace, _, _ = build(tmp_path, source, systematics=systematics)
        model = pyhf.Workspace(workspace).model()
        values = np.array(model.config.suggested_init())
        values[model.config.par_map["JES"]["slice"]] = 1.0
        values[model.config.poi_index] = 0.0
        expected = np.array(up) + NOMINAL["qcd"]
        if extra == {"normalise": True}:
            expected *= 65 / expected.sum()
        assert model.expected_actualdata(values) == pytest.approx(expected)
        values[model.config.par_map["xsec"]["slice"]] = -1.0
        assert model.expected_actualdata(values) == pytest.approx(0.9 * expected)


def test_norm_from_a_variation(tmp_path: Path) -> None:
    up, down = [22.0, 16.0, 10.0, 4.0], [18.0, 14.0, 10.0, 5.0]
    source = made(tmp_path, varied(ISRUp=up, ISRDown=down))
    systematics = {"radiation": {"type": "norm", "variation": "ISR", "samples": ["background"]}}
    names = ["{name}Up", "{name}Down"]
    workspace, report, _ = build(tmp_path, source, systematics=systematics, variation_names=names)
    data = modifier(workspace, "background", "normsys")
    assert data == {"hi": pytest.approx(67 / 65), "lo": pytest.approx(62 / 65)}
    assert report["systematics"][0]["up"] == pytest.approx(67 / 65)


def test_range_rebin_and_flow(tmp_path: Path) -> None:
    source = made(tmp_path, flow=3.0)
    channels = {"SR": {"histogram": "mass", "range": [1.0, 3.0], "rebin": 2}}
    workspace, report, log = build(tmp_path, source, channels=channels)
    assert contents(workspace, "background") == pytest.approx([31])
    assert workspace["observations"][0]["data"] == [37]
    assert report["channels"][0]["edges"] == [1, 3]
    assert "process 'top': 28 events outside of the bins are dropped" in log
    channels["SR"]["flow"] = "add"
    workspace, _, log = build(tmp_path, source, channels=channels)
    assert contents(workspace, "background") == pytest.approx([31 + (20 + 5 + 3) + (8 + 1 + 3)])
    assert modifier(workspace, "background", "staterror") == pytest.approx([(71 / 10) ** 0.5])
    assert "outside" not in log


def test_processes_from_several_files(tmp_path: Path) -> None:
    first = made(tmp_path, {"signal": {"nominal": NOMINAL["signal"]}, "data": {"nominal": COUNTS}}, file="a.json")
    second = made(tmp_path, {key: {"nominal": NOMINAL[key]} for key in ("top", "qcd")}, file="b.json")
    workspace, _, _ = build(tmp_path, [first, second])
    assert contents(workspace, "background") == pytest.approx([28, 19, 12, 6])
    with pytest.raises(kit.WrapperFailed, match=r"'signal' is in several files: .*a\.json, .*c\.json"):
        build(tmp_path, [first, second, made(tmp_path, {"signal": {"nominal": NOMINAL["signal"]}}, file="c.json")])


def test_root_histograms_by_pattern(tmp_path: Path) -> None:
    path = tmp_path / "h.root"
    with uproot.recreate(path) as file:
        for name, numbers in {
            **NOMINAL,
            "data": COUNTS,
            "top_JES_up": [21.0, 15, 10, 5],
            "top_JES_down": [19.0, 15, 10, 5],
        }.items():
            histogram = hist.Hist(hist.axis.Variable(EDGES, name="mass"), storage=hist.storage.Weight())
            histogram.view()["value"], histogram.view()["variance"] = numbers, np.array(numbers) / 4
            file[f"SR/{name}"] = histogram
    systematics = {"JES": {"type": "shape", "samples": ["background"]}}
    workspace, report, _ = build(tmp_path, path, channels={"SR": "SR/{process}"}, systematics=systematics)
    assert contents(workspace, "background") == pytest.approx([28, 19, 12, 6])
    assert modifier(workspace, "background", "histosys")["hi_data"] == pytest.approx([29, 19, 12, 6])
    assert modifier(workspace, "background", "staterror") == pytest.approx(np.sqrt(np.array([28, 19, 12, 6]) / 4))
    assert report["channels"][0]["edges"] == EDGES
    with pytest.raises(kit.WrapperFailed, match=r"no histogram 'SR/tap'\. Did you mean SR/top"):
        build(tmp_path, path, channels={"SR": "SR/{process}"}, samples={"signal": "signal", "t": "tap"})


@pytest.mark.skipif(not kit.SHARED_DATA.is_dir(), reason="the shared data are not on this machine")
def test_histograms_of_histfactory_as_pyhf_reads_them(tmp_path: Path) -> None:
    folder = kit.SHARED_DATA / "pyhf_histfactory" / "multichannel_histfactory"
    known = pyhf.readxml.parse(folder / "config" / "example.xml", folder)
    workspace, _, _ = build(
        tmp_path,
        folder / "data" / "data.root",
        channels={"channel1": "signal_{process}", "channel2": "control_{process}"},
        samples={"signal": {"channels": ["channel1"]}, "bkg": "bkg"},
        norm_factors={"mu": {"samples": ["signal"]}},
        mc_stat=False,
    )
    nominal = {
        (channel["name"], sample["name"]): sample["data"]
        for channel in known["channels"]
        for sample in channel["samples"]
    }
    found = {
        (channel["name"], sample["name"]): sample["data"]
        for channel in workspace["channels"]
        for sample in channel["samples"]
    }
    assert found == {key: pytest.approx(one) for key, one in nominal.items()}
    observed = {one["name"]: one["data"] for one in known["observations"]}
    assert {one["name"]: one["data"] for one in workspace["observations"]} == observed


def test_negative_bins(tmp_path: Path) -> None:
    contents_ = varied()
    contents_["qcd"]["nominal"] = [8.0, 4.0, -2.5, 1.0]
    source = made(tmp_path, contents_)
    samples = {"signal": "signal", "top": "top", "qcd": "qcd"}
    with pytest.raises(kit.WrapperFailed, match=r"sample 'qcd': negative in bins 3: -2\.5.*negative_bins='zero'"):
        build(tmp_path, source, samples=samples)
    workspace, report, _ = build(tmp_path, source, samples=samples, negative_bins="zero")
    assert contents(workspace, "qcd") == [8, 4, 0, 1]
    assert modifier(workspace, "qcd", "staterror")[2] == pytest.approx(0.5)
    assert "the integral rises from 10.5 to 13" in report["notes"][0]
    workspace, _, _ = build(tmp_path, source, samples=samples, negative_bins="keep")
    assert contents(workspace, "qcd")[2] == -2.5
    # negative bins of a process that are not negative in the sum over the sample are no problem
    workspace, _, _ = build(tmp_path, source)
    assert contents(workspace, "background")[2] == pytest.approx(7.5)


def test_negative_variations_end_at_zero(tmp_path: Path) -> None:
    source = made(tmp_path, varied(JES_up=[20.0, 15, 10, -3], JES_down=[20.0, 15, 10, 8]))
    systematics = {"JES": {"type": "shape", "samples": ["top"]}}
    samples = {"signal": "signal", "top": "top", "qcd": "qcd"}
    workspace, report, _ = build(tmp_path, source, systematics=systematics, samples=samples)
    assert modifier(workspace, "top", "histosys")["hi_data"] == pytest.approx([20, 15, 10, 0])
    assert "JES_up: negative in bins 4: set to 0" in report["notes"][0]


def test_missing_variations(tmp_path: Path) -> None:
    source = made(tmp_path, varied(JES_up=[22.0, 16.0, 10.0, 4.0]))
    systematics = {"JES": {"type": "shape", "samples": ["background"]}}
    with pytest.raises(kit.WrapperFailed, match=r"systematic 'JES': no variation JES_down"):
        build(tmp_path, source, systematics=systematics)
    workspace, _, log = build(tmp_path, source, systematics=systematics, missing="skip")
    assert "does not vary" in log
    kinds = {mod["type"] for sample in workspace["channels"][0]["samples"] for mod in sample["modifiers"]}
    assert kinds == {"normfactor", "staterror"}
    workspace, _, log = build(tmp_path, source, systematics=systematics, missing="mirror")
    assert modifier(workspace, "background", "histosys") == {
        "hi_data": pytest.approx([30, 20, 12, 5]),
        "lo_data": pytest.approx([26, 18, 12, 7]),
    }
    # the signal was never filled in JES_up: all zero, which is no variation of 100 %
    with pytest.raises(kit.WrapperFailed, match=r"sample 'signal', systematic 'JES': no variation JES_up and JES_down"):
        build(tmp_path, source, systematics={"JES": {"type": "shape"}}, missing="mirror")


def test_empty_bins(tmp_path: Path) -> None:
    contents_ = varied()
    contents_["top"]["nominal"][3] = contents_["qcd"]["nominal"][3] = 0.0
    contents_["data"]["nominal"] = [30.0, 22.0, 15.0, 0.0]
    source = made(tmp_path, contents_)
    with pytest.raises(kit.WrapperFailed, match="no background is expected in bins 4"):
        build(tmp_path, source)
    workspace, report, _ = build(tmp_path, source, empty_bins="keep")
    assert contents(workspace, "background")[3] == 0
    assert "no background is expected in bins 4: kept" in report["notes"][0]
    contents_["signal"]["nominal"][3] = 0.0
    _, report, _ = build(tmp_path, made(tmp_path, contents_))
    assert "bins 4 are empty in data and expectation" in report["notes"][0]
    contents_["data"]["nominal"][3] = 1.0
    with pytest.raises(kit.WrapperFailed, match="there are data, but nothing is expected, in bins 4"):
        build(tmp_path, made(tmp_path, contents_), empty_bins="keep")


def test_mc_stat(tmp_path: Path) -> None:
    source = made(tmp_path)
    workspace, _, _ = build(tmp_path, source, mc_stat=["background"])
    types = {one["name"]: [mod["type"] for mod in one["modifiers"]] for one in workspace["channels"][0]["samples"]}
    assert types == {"signal": ["normfactor"], "background": ["staterror"]}
    workspace, _, _ = build(tmp_path, source, mc_stat=False)
    assert pyhf.Workspace(workspace).model().config.npars == 1
    # relative errors of the sum are sqrt(0.1 / n) with n = 29, 23, 14, 6.5: only the last two are above 7 %
    workspace, _, _ = build(tmp_path, source, mc_stat_threshold=0.07)
    assert modifier(workspace, "background", "staterror") == pytest.approx([0, 0, 1.2**0.5, 0.6**0.5])
    assert sum(pyhf.Workspace(workspace).model().config.suggested_fixed()) == 2


def test_asimov_and_odd_data(tmp_path: Path) -> None:
    factors = {"mu": {"samples": ["signal"], "initial": 2.0}}
    workspace, _, log = build(tmp_path, made(tmp_path), data="asimov", norm_factors=factors)
    assert workspace["observations"][0]["data"] == pytest.approx([30, 27, 16, 7])
    assert "Asimov" in log
    contents_ = varied()
    contents_["data"] = {"nominal": [30.0, 22.0, -1.0, 2.0]}
    with pytest.raises(kit.WrapperFailed, match="the data have negative bins"):
        build(tmp_path, made(tmp_path, contents_))
    contents_["data"] = {"nominal": [30.0, 22.0, float("nan"), 2.0]}
    path = made(tmp_path, contents_)
    with pytest.raises(kit.WrapperFailed, match="process 'data': there are bins that are NaN"):
        build(tmp_path, path)


def test_a_sample_without_events(tmp_path: Path) -> None:
    contents_ = varied(JES_up=[22.0, 16.0, 10.0, 4.0], JES_down=[18.0, 15, 10, 5])
    contents_["qcd"]["nominal"] = [0.0] * 4
    samples = {"signal": "signal", "top": "top", "qcd": "qcd"}
    systematics = {"JES": {"type": "shape", "samples": ["top", "qcd"]}}
    workspace, report, _ = build(tmp_path, made(tmp_path, contents_), samples=samples, systematics=systematics)
    assert contents(workspace, "qcd") == [0, 0, 0, 0]
    assert any("sample 'qcd': all bins are empty" in note for note in report["notes"])
    assert any("'JES' is left out" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"channels": {"SR": "mas"}}, r"channel 'SR': no histogram 'mas'\. Did you mean mass"),
        ({"samples": {"signal": "signal", "b": "toop"}}, r"has no process 'toop'\. Did you mean top"),
        ({"data": "dat"}, r"has no process 'dat'\. Did you mean data"),
        ({"sample": {}}, r"there is no 'sample'\. Did you mean samples"),
        ({"poi": "sigma"}, r"parameter of interest 'sigma' is no norm factor"),
        ({"norm_factors": {"mu": {"samples": ["sig"]}}}, r"mu: samples: there is no 'sig'"),
        ({"norm_factors": {"mu": {}}}, r"mu: samples is missing"),
        ({"norm_factors": {"mu": {"samples": ["signal"], "initial": 20}}}, r"20 is not within the bounds"),
        ({"systematics": {"x": {"type": "shap"}}}, r"type='shap' is none of norm, shape, lumi.*Did you mean shape"),
        ({"systematics": {"x": {"type": "norm", "up": 1.1}}}, r"x: needs `up` and `down`"),
        ({"systematics": {"x": {"type": "norm", "up": 1.1, "dn": 0.9}}}, r"x: there is no 'dn'"),
        ({"systematics": {"x": {"type": "norm", "up": 1.1, "down": -0.9}}}, r"must be above 0"),
        ({"systematics": {"x": {"type": "lumi", "error": 0.02}}}, r"named 'lumi'"),
        ({"systematics": {"lumi": {"type": "lumi", "error": 2}}}, r"relative error"),
        ({"channels": {"SR": {"histogram": "mass", "rebin": 3}}}, r"4 bins cannot be merged by 3"),
        ({"channels": {"SR": {"histogram": "mass", "range": [0.5, 3]}}}, r"limit 0.5 is no bin edge"),
        ({"channels": {"SR": {"histogram": "mass", "range": [3, 1]}}}, r"two rising numbers"),
        ({"channels": ["mass"]}, r"channels must be a mapping"),
        ({"negative_bins": "ignore"}, r"negative_bins='ignore' is none of"),
        ({"variation_names": ["up", "down"]}, r"variation_names must be two patterns"),
    ],
)
def test_mistakes(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    source = made(tmp_path)
    with pytest.raises(kit.WrapperFailed, match=message) as failed:
        build(tmp_path, source, **params)
    assert "Traceback" not in str(failed.value)
    assert not (tmp_path / "out" / "w.json").exists()
