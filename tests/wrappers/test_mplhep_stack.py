"""`phys/mplhep/stack`: the drawn numbers against NumPy, and what the figure says and hides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot
from PIL import Image

from tests.wrappers.kit import SHARED_DATA, WrapperFailed, call, run_snakefile
from wrappers.common import histograms as part
from wrappers.common import plots
from wrappers.common.job import WrongInput

PLACE = "phys/mplhep/stack"
DATA = [5.0, 0.0, 2.0]
CONTENTS: dict[str, Any] = {
    "a": {"nominal": [4.0, 1.0, 1.0], "x_up": [5.0, 1.0, 0.0], "x_down": [4.5, 0.5, 1.0], "y_up": [4.0, 1.0, 3.0]},
    "b": {"nominal": [1.0, 1.0, 1.0], "x_up": [2.0, 1.0, 1.0], "x_down": [0.0, 1.0, 1.0], "y_up": [1.0, 1.0, 1.0]},
}


def write(path: Path, contents: dict[str, Any], *, data: list[float] | None = None, weight: float = 0.5) -> Path:
    """Histograms of given contents, with sum w^2 = weight * |content|, and 1 in underflow and overflow of each."""
    contents = {**({"data": {"nominal": data}} if data is not None else {}), **contents}
    systematics = list(dict.fromkeys(["nominal", *(name for one in contents.values() for name in one)]))
    bins = len(next(iter(contents.values()))["nominal"])
    axes: list[Any] = [
        hist.axis.Regular(bins, 0, 10 * bins, name="m", label="m [GeV]"),
        hist.axis.StrCategory(list(contents), name="process", overflow=False),
        hist.axis.StrCategory(systematics, name="systematic", overflow=False),
    ]
    histogram = hist.Hist(*axes, storage=hist.storage.Weight(), name="m")
    for i, (process, one) in enumerate(contents.items()):
        for j, systematic in enumerate(systematics):
            values = np.array([1.0, *one.get(systematic, one["nominal"]), 1.0])
            view = histogram.view(flow=True)[:, i, j]
            view["value"] = values
            view["variance"] = np.abs(values) * (1 if process == "data" else weight)
    part.write_histograms(path, {"m": histogram}, {})
    return path


def drawn(tmp_path: Path, path: Path, **params: Any) -> tuple[dict[str, Any], str]:
    """The numbers that are drawn, and the figure as SVG."""
    outputs = [tmp_path / "plot.svg", tmp_path / "plot.json"]
    call(PLACE, tmp_path, input=[path], output=outputs, params={"status": "Toy Data", **params})
    return json.loads(outputs[1].read_text()), outputs[0].read_text()


def words(svg: str) -> str:
    return "\n".join(re.findall(r"<!-- (.*?) -->", svg, flags=re.DOTALL))


def test_snakefile(tmp_path: Path) -> None:
    folder = run_snakefile(PLACE, tmp_path) / "results"
    with Image.open(folder / "m_yy.png") as image:
        assert json.loads(image.info["provenance"])["wrapper"] == PLACE
        shades = np.asarray(image.convert("L"))
    assert shades.shape == (900, 960) and 0.05 < np.mean(shades < 250) < 0.9
    numbers = json.loads((folder / "m_yy.numbers.json").read_text())
    stored: Any = hist.Hist(json.loads((folder / "histograms.json").read_text())["histograms"]["m_yy"])
    expected = stored[:, "diphoton", "nominal"].values() + stored[:, "photon_jet", "nominal"].values()
    np.testing.assert_allclose(numbers["total"], expected, rtol=1e-12)
    centres = np.linspace(106.25, 158.75, 22)
    for centre, data, seen in zip(centres, numbers["data"], stored[:, "data", "nominal"].values(), strict=True):
        assert data == (None if 120 < centre < 130 else seen)
    said = words((folder / "m_yy_simulation.svg").read_text())
    assert "Simulation" in said and "Data" not in said
    assert f"diphoton ({stored[:, 'diphoton', 'nominal'].values().sum():,.0f})" in said


def test_stack_total_and_band(tmp_path: Path) -> None:
    numbers, _ = drawn(tmp_path, write(tmp_path / "h.json", CONTENTS, data=DATA))
    assert numbers["total"] == [5, 2, 2] and numbers["data"] == DATA
    assert list(numbers["processes"]) == ["b", "a"], "the smallest is at the bottom"
    # sums: nominal 5 2 2; x_up 7 2 1; x_down 4.5 1.5 2; y_up 5 2 4; statistics: sum w^2 = 2.5 1 1
    down, up = numbers["total_errors"]
    np.testing.assert_allclose(up, np.sqrt([2.5 + 2**2, 1, 1 + 2**2]), rtol=1e-12)
    np.testing.assert_allclose(down, np.sqrt([2.5 + 0.5**2, 1 + 0.5**2, 1 + 1**2]), rtol=1e-12)


def test_the_band_has_only_the_systematics_that_the_rule_names(tmp_path: Path) -> None:
    path = write(tmp_path / "h.json", CONTENTS, data=DATA)
    numbers, _ = drawn(tmp_path, path, systematics=["y_up"])
    np.testing.assert_allclose(numbers["total_errors"][1], np.sqrt([2.5, 1, 1 + 2**2]), rtol=1e-12)
    np.testing.assert_allclose(numbers["total_errors"][0], np.sqrt([2.5, 1, 1]), rtol=1e-12)


def test_errors_of_counts_are_garwood_s() -> None:
    """Textbook values of the central 68.27 % interval: 0 -> +1.841, 1 -> -0.827 +2.300, 10 -> -3.109 +4.267."""
    down, up = part.garwood(np.array([0.0, 1.0, 10.0]))
    np.testing.assert_allclose(up, [1.841, 2.300, 4.267], atol=6e-4)
    np.testing.assert_allclose(down, [0.0, 0.827, 3.109], atol=6e-4)


def test_weighted_data_have_symmetric_errors() -> None:
    down, up = part.count_errors(np.array([2.0, -1.0]), np.array([0.25, 4.0]))
    assert down.tolist() == up.tolist() == [0.5, 2.0]


def test_blinded_data_appear_nowhere(tmp_path: Path) -> None:
    path = write(tmp_path / "h.json", CONTENTS, data=[5.0, 7777.0, 2.0])
    numbers, svg = drawn(tmp_path, path, blind=[12, 18], yields=True)
    _, twin = drawn(tmp_path, write(tmp_path / "h.json", CONTENTS, data=[5.0, 3.0, 2.0]), blind=[12, 18], yields=True)
    assert numbers["data"] == [5, None, 2] and [one[1] for one in numbers["data_errors"]] == [None, None]
    assert "7777" not in json.dumps(numbers) and "7,77" not in svg
    provenance = re.compile(r"<dc:description>.*?</dc:description>", flags=re.DOTALL)
    assert provenance.sub("", svg) == provenance.sub("", twin), "the figure does not depend on what is blinded"
    assert "Pseudo-data (7) (blinded)" in words(svg)


@pytest.mark.parametrize(
    ("window", "expected"),
    [([10, 20], [0, 1, 0]), ([9, 10], [1, 0, 0]), ([9.9, 20.1], [1, 1, 1]), ([-5, 0], [0, 0, 0]), (None, [0, 0, 0])],
)
def test_which_bins_a_window_hides(window: Any, expected: list[int]) -> None:
    assert plots.hidden(np.array([0.0, 10, 20, 30]), window).tolist() == [bool(one) for one in expected]


def test_overlay_scale_flow_and_density(tmp_path: Path) -> None:
    path = write(tmp_path / "h.json", CONTENTS, data=DATA)
    numbers, svg = drawn(tmp_path, path, overlay={"a": 10}, scale={"b": 3}, flow="add", density=True)
    assert numbers["total"] == [6, 3, 6] and numbers["data"] == [6, 0, 3]
    np.testing.assert_allclose(np.square(numbers["total_errors"][0][1]), 9 * 0.5, rtol=1e-12)
    assert "Events / GeV" in words(svg) and r"a $\times$ 10" in svg


def test_label_says_what_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "h.json", CONTENTS, data=DATA)
    _, svg = drawn(tmp_path, path, status="Open Data", experiment="ATLAS", luminosity=36.1, energy=13)
    assert {"ATLAS", "Open Data", "Data"} <= set(words(svg).splitlines()) and "36.1 fb" in words(svg)
    _, svg = drawn(tmp_path, path, status="Simulation Open Data", experiment="CMS")
    assert {"CMS", "Simulation Open Data", "Pseudo-data"} <= set(words(svg).splitlines())
    numbers, svg = drawn(tmp_path, path, data=[], status=None)
    assert list(numbers["processes"]) == ["b", "a"]
    assert "Simulation" in words(svg).splitlines() and "Data" not in words(svg)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"status": "Preliminary"}, "gives such labels to its own reviewed results"),
        ({"status": "Internal", "experiment": "CMS"}, "CMS gives such labels"),
        ({"status": "Work in Progress"}, "gives such labels"),
        ({"status": "Nice"}, 'is none of "Simulation"'),
        ({"status": None}, "status is missing: there are data in this plot"),
        ({"status": "Open Data", "data": []}, 'it must say "Simulation"'),
        ({"experiment": "UA1"}, 'is none of "", "ATLAS", "CMS"'),
        ({"histogram": "mm"}, "no histogram 'mm'. Did you mean m?"),
        ({"data": "dta"}, "data: there is no process 'dta'. Did you mean data"),
        ({"processes": ["a", "c"]}, "processes: there is no process 'c'"),
        ({"processes": ["data"]}, "processes: there is no process 'data'"),
        ({"labels": {"q": "Q"}}, "labels: there is no process 'q'"),
        ({"systematics": ["z"]}, "systematics: there is no 'z'"),
        ({"blind": [130, 120]}, "two numbers are needed"),
        ({"flow": "sum"}, "flow='sum' is none of hide, add"),
        ({"ratio": True, "data": []}, "ratio needs data"),
        ({"color": "red"}, "there is no 'color'. Did you mean colours"),
    ],
)
def test_wrong_params(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "h.json", CONTENTS, data=DATA)
    if params.get("ratio"):
        params = {**params, "status": "Simulation"}
    with pytest.raises(WrapperFailed) as caught:
        drawn(tmp_path, path, **params)
    assert message in str(caught.value) and "Traceback" not in str(caught.value)


def test_wrong_outputs_and_inputs(tmp_path: Path) -> None:
    path = write(tmp_path / "h.json", CONTENTS, data=DATA)
    same = write(tmp_path / "same.json", CONTENTS)
    for inputs, outputs, message in (
        ([path], [tmp_path / "p.gif"], "figures are written to"),
        ([path], [], "name a .png"),
        ([], [tmp_path / "p.png"], "there are no histograms"),
        ([path, same], [tmp_path / "p.png"], "process 'a' comes from another file too"),
        ([path, write(tmp_path / "g.json", {"c": {"nominal": [1.0]}})], [tmp_path / "p.png"], "have different bins"),
    ):
        with pytest.raises(WrapperFailed, match=message):
            call(PLACE, tmp_path, input=inputs, output=outputs, params={"status": "Toy Data"})


@pytest.mark.parametrize(
    ("contents", "log"),
    [
        ({"a": {"nominal": [0.0, 0.0, 0.0]}}, False),
        ({"a": {"nominal": [0.0, 0.0, 0.0]}}, True),
        ({"a": {"nominal": [-1.0, 0.5, 2.0]}, "b": {"nominal": [0.5, -2.0, 1.0]}}, True),
        ({"a": {"nominal": [3.0]}}, False),
    ],
)
def test_empty_negative_and_single_bins_are_drawn(tmp_path: Path, contents: dict[str, Any], log: bool) -> None:
    bins = len(contents["a"]["nominal"])
    numbers, svg = drawn(tmp_path, write(tmp_path / "h.json", contents, data=[0.0] * bins), log=log)
    np.testing.assert_allclose(numbers["total"], np.sum([one["nominal"] for one in contents.values()], axis=0))
    assert ("no entries" in words(svg)) == (not any(contents["a"]["nominal"]))


def test_no_data_and_no_stack_but_an_overlay(tmp_path: Path) -> None:
    numbers, _ = drawn(
        tmp_path, write(tmp_path / "h.json", {"a": {"nominal": [1.0, 2.0]}}), overlay={"a": 1}, status=None
    )
    assert numbers["total"] == [0, 0] and "data" not in numbers


def test_the_bytes_of_png_pdf_and_svg_are_the_same_again(tmp_path: Path) -> None:
    path = write(tmp_path / "h.json", CONTENTS, data=DATA)
    both = []
    for place in ("one", "two"):
        outputs = [tmp_path / place / f"p.{suffix}" for suffix in ("png", "pdf", "svg")]
        call(PLACE, tmp_path, input=[path], output=outputs, params={"status": "Toy Data"})
        both.append([one.read_bytes() for one in outputs])
    assert both[0] == both[1] and all(str(tmp_path).encode() not in one for one in both[0])


def test_root_histograms_take_the_name_of_their_input(tmp_path: Path) -> None:
    files = {}
    for name, count in (("data", 3), ("mc", 2)):
        histogram = hist.Hist.new.Reg(2, 0, 2, name="x", label="x").Weight().fill([0.5] * count)
        with uproot.recreate(tmp_path / f"{name}_file.root") as file:
            file["h"] = histogram
        files[name] = tmp_path / f"{name}_file.root"
    call(PLACE, tmp_path, input=files, output=[tmp_path / "n.json"], params={"status": "Toy Data"})
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["data"] == [3, 0] and numbers["processes"] == {"mc": [2, 0]}


@pytest.mark.skipif(not (SHARED_DATA / "atlas_hyy_10fb_hists").is_dir(), reason="needs the published ATLAS histograms")
def test_the_published_atlas_histograms(tmp_path: Path) -> None:
    folder = SHARED_DATA / "atlas_hyy_10fb_hists"
    params = {"histogram": "hist_mYY_bin1", "status": "Open Data", "experiment": "ATLAS"}
    files = {"data": folder / "data.root", "ggH": folder / "ggH125_gamgam.root"}
    call(PLACE, tmp_path, input=files, output=[tmp_path / "n.json", tmp_path / "p.png"], params=params)
    assert sum(json.loads((tmp_path / "n.json").read_text())["data"]) == 76394


def test_check_label_knows_what_is_simulated() -> None:
    given = {"experiment": "", "status": None}
    assert plots.check_label(given, has_data=False) == "Simulation"
    with pytest.raises(WrongInput, match="status is missing"):
        plots.check_label(given, has_data=True)
    assert [plots.data_name(one) for one in plots.STATUSES] == ["Pseudo-data"] * 3 + ["Data"]
