"""`wrappers/common/histograms.py`: UHI JSON and ROOT histograms, and spectra of their categories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uhi.schema
import uproot

from tests.wrappers.kit import SHARED_DATA
from wrappers.common import histograms as part
from wrappers.common.job import WrongInput


def example(*, weighted: bool = True) -> Any:
    axes: list[Any] = [
        hist.axis.Regular(3, 100.0, 160.0, name="m_yy", label="Mass [GeV]"),
        hist.axis.StrCategory(["data", "signal"], name="process", overflow=False),
        hist.axis.StrCategory(["nominal", "up"], name="systematic", overflow=False),
    ]
    histogram = hist.Hist(
        *axes, storage=hist.storage.Weight() if weighted else hist.storage.Double(), name="m", label="Events"
    )
    histogram.fill(m_yy=[90.0, 110.0, 130.0], process="data", systematic="nominal")
    histogram.fill(m_yy=[110.0, 110.0, 170.0], process="signal", systematic="nominal", weight=[0.5, -0.25, 2.0])
    histogram.fill(m_yy=[150.0], process="signal", systematic="up", weight=[3.0])
    return histogram


def test_what_is_written_is_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    part.write_histograms(path, {"m": example(), "n": example()}, {"wrapper": "x"}, yields=[1])
    assert part.read_histograms(str(path)) == {"m": example(), "n": example()}
    assert list(part.read_histograms(str(path), ["n"])) == ["n"]
    assert part.read_metadata(str(path)) == {"provenance": {"wrapper": "x"}, "yields": [1]}
    uhi.schema.validate(json.loads(path.read_text())["histograms"])


def test_a_plain_file_is_what_uhi_reads(tmp_path: Path) -> None:
    path = tmp_path / "h.uhi.json"
    part.write_histograms(path, {"m": example()}, {"wrapper": "x"})
    uhi.schema.validate(uhi.schema.load(path))
    (read,) = part.read_histograms(str(path)).values()
    assert np.array_equal(read.view(flow=True), example().view(flow=True))
    assert json.loads(read.provenance) == {"wrapper": "x"}
    assert part.read_metadata(str(path)) == {}


def test_a_bare_histogram_is_read_under_its_name_or_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "bare.json"
    path.write_text(json.dumps(part.uhi(example())))
    assert list(part.read_histograms(str(path))) == ["m"]
    nameless = part.uhi(example())
    nameless["metadata"] = {}
    path.write_text(json.dumps(nameless))
    assert list(part.read_histograms(str(path))) == ["bare"]


def test_root_histograms_are_read_with_their_folders(tmp_path: Path) -> None:
    path = tmp_path / "h.root"
    with uproot.recreate(path) as file:
        file["region/m"] = example()[:, "signal", "nominal"]
        file["other"] = "text"
    (name,) = (read := part.read_histograms(str(path)))
    assert name == "region/m"
    found = part.spectrum(read[name])
    assert found.values.tolist() == [0.25, 0, 0] and found.variances.tolist() == [0.3125, 0, 0]
    assert found.overflow == (2.0, 4.0) and found.unit == "GeV"


def test_a_spectrum_is_one_process_or_the_sum() -> None:
    signal = part.spectrum(example(), process="signal")
    assert signal.values.tolist() == [0.25, 0, 0] and signal.variances.tolist() == [0.3125, 0, 0]
    assert signal.overflow == (2.0, 4.0) and signal.underflow == (0.0, 0.0)
    assert signal.edges.tolist() == [100, 120, 140, 160] and (signal.unit, signal.observable) == ("GeV", "m_yy")
    everything = part.spectrum(example())
    assert everything.values.tolist() == [1.25, 1, 0] and everything.underflow == (1.0, 1.0)
    assert part.spectrum(example(), process="signal", systematic="up").values.tolist() == [0, 0, 3]
    assert part.spectrum(example(weighted=False)[:, "data", "nominal"]).variances.tolist() == [1, 1, 0]


def test_axes_in_any_order_and_without_flow_bins() -> None:
    process = hist.axis.StrCategory(["a", "b"], name="process")
    histogram: Any = hist.Hist(
        process, hist.axis.Variable([0, 1, 4], name="x", flow=False, label="x"), storage=hist.storage.Weight()
    )
    histogram.fill(process="b", x=[0.5, 2, 3, 9])
    found = part.spectrum(histogram, process="b")
    assert found.values.tolist() == [1, 2] and found.overflow == (0.0, 0.0) and found.unit == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"process": "signla"}, "m: no process 'signla'. Did you mean signal?"),
        ({"systematic": "uq"}, "m: no systematic 'uq'. Did you mean up?"),
    ],
)
def test_a_missing_category_is_named_with_near_matches(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(WrongInput) as caught:
        part.spectrum(example(), **arguments)
    assert str(caught.value) == message


def test_a_variation_of_a_histogram_without_variations_is_an_error() -> None:
    with pytest.raises(WrongInput, match="no systematic 'up'"):
        part.spectrum(example()[..., "nominal"], process="data", systematic="up")
    assert part.spectrum(example()[..., "nominal"], process="data").values.tolist() == [1, 1, 0]


def test_a_map_is_no_spectrum() -> None:
    with pytest.raises(WrongInput, match="one observable is needed; its axes are x, y"):
        part.spectrum(hist.Hist.new.Reg(2, 0, 1, name="x").Reg(2, 0, 1, name="y").Weight())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("h.json", "[1, 2]", "there is no histogram in it"),
        ("h.json", '{"a": {"b": 1}}', "there is no histogram in it"),
        ("h.json", "{", "no readable histograms: JSONDecodeError"),
        ("h.json", '{"uhi_schema": 1, "axes": [{"type": "regular"}], "storage": {}}', "no readable histograms"),
        ("h.root", "no ROOT", "no readable histograms"),
        ("h.txt", "", "histograms are read from .json (UHI) and .root files, not from '.txt'"),
    ],
)
def test_files_without_histograms(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(WrongInput) as caught:
        part.read_histograms(str(path))
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_a_missing_histogram_is_named_with_near_matches(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    part.write_histograms(path, {"m_yy": example()}, {})
    with pytest.raises(WrongInput, match=r"no histogram 'myy'. Did you mean m_yy\?"):
        part.read_histograms(str(path), ["myy"])


def test_rows_are_short_and_the_value_is_kept(tmp_path: Path) -> None:
    value = {"a": [1, 2.5], "b": [[1], []], "c": {}, "d": {"é": None}, "e": []}
    part.write_rows(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text) == value and '"a": [1, 2.5],' in text
    with pytest.raises(ValueError, match="JSON compliant"):
        part.write_rows(tmp_path / "y.json", [float("nan")])
    assert [one.name for one in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.skipif(not (SHARED_DATA / "atlas_hyy_10fb_hists").is_dir(), reason="needs the published ATLAS histograms")
def test_the_published_atlas_spectrum() -> None:
    read = part.read_histograms(str(SHARED_DATA / "atlas_hyy_10fb_hists" / "data.root"))
    found = part.spectrum(read["hist_mYY_bin1"])
    assert found.values.sum() == 76394 and found.values[0] == 5391 and len(found.values) == 30 and found.unit == "GeV"
