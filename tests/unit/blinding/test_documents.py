"""Twins of JSON, YAML and NumPy's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uhi.io.json
import yaml
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.blinding.documents import Document
from snakemake_executor_plugin_llmagent.blinding.veil import CannotMask, Veil
from tests.unit.blinding.support import CANARIES, EVENT, LEFT, MASS, NAME, masked, twin_of


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def twin(document: Any, **asked: Any) -> tuple[Any, list[str]]:
    """What is left of a document, and what is said about it."""
    Path("x.json").write_text(json.dumps(document))
    _, told = twin_of(Path("x.json"), **asked)
    return json.loads(Path("written/twin-x.json").read_text()), told["notes"]


EDGES = [110, 115, 120, 125, 130, 135]
SPECTRUM = {
    "title": "masses, 2020", "quantity": "mass", "unit": "GeV", "luminosity_per_pb": 10064, "simulation": False,
    "range": [110, 135], "n_bins": 5, "bin_width": 5, "bin_edges": EDGES, "counts": [10, 20, 31337, 40, 50],
    "errors": [1.0, 2.0, 31.337, 4.0, 5.0], "centres": [112.5, 117.5, 122.5, 127.5, 132.5], "n_events": 31457,
    "mean": 123.4, "comment": "31337 in the third bin", "source": "a paper", "by_bin": ["a", "b", "c", "d", "e"],
    "largest": {"bin": 2, "counts_of_it": 31337}, "fit": [1.0, 31337.0],
}  # fmt: skip


def test_spectrum() -> None:
    left, notes = twin(SPECTRUM)
    assert left == SPECTRUM | {
        "counts": [10, 20, 0, 0, 50], "errors": [1.0, 2.0, 0.0, 0.0, 5.0], "n_events": 80, "mean": None,
        "comment": None, "largest": {"bin": None, "counts_of_it": None}, "fit": None,
    }  # fmt: skip
    assert sorted(notes) == [
        "`comment` is null", "`largest.bin` is null", "`largest.counts_of_it` is null", "`mean` is null",
        "`n_events` is the sum of what is left", "the list `fit` is null",
    ]  # fmt: skip
    assert list(left) == list(SPECTRUM)


def test_counts_that_look_like_edges() -> None:
    document = {"quantity": "mass", "edges": [0, 1, 2, 3, 4], "counts": [0, 1, 2, 3], "best": 2, "low": 1, "n": 2}
    left, _ = twin(document, windows={"mass": (2, 4)})
    assert left == document | {"counts": [0, 1, 0, 0], "best": None, "n": None}
    np.savez("h.npz", edges=np.arange(5), counts=np.arange(4), mass=np.array([2.5]))
    twin_of(Path("h.npz"), windows={"mass": (2, 4)})
    with np.load("written/twin-h.npz") as file:
        assert not file["counts"].any() and not file["mass"].size


def test_histogram_that_is_told_by_its_place() -> None:
    pair = {"edges": EDGES, "values": [1.0, 2.0, 3.0, 4.0, 5.0]}
    left, notes = twin({"mass": pair, "pt": pair, "sum": 15.0, "entries": 30})
    assert left["mass"]["values"] == [1, 2, 0, 0, 5]
    assert left["pt"]["values"] == [0] * 5, "nobody can tell what another observable would give away"
    assert left["sum"] is None, "it could be either, and their sums differ now"
    assert left["entries"] is None
    assert any("'pt' is empty" in note for note in notes)
    only, _ = twin({"whatever": pair, "sum": 15.0})
    assert only == {"whatever": {"edges": EDGES, "values": [1, 2, 0, 0, 5]}, "sum": 8}
    Path("x.json").write_text(json.dumps({**pair, "edges": [0, 1, 2, 3, 4, 5]}))
    assert "no column and no axis" in masked(Path("x.json"))[0]["problem"]


@pytest.mark.parametrize("flow", [True, False])
def test_uhi(flow: bool) -> None:
    made = hist.Hist.new.Reg(5, 110, 135, name="mass", flow=flow).Reg(2, 0, 2, name="y", flow=flow).Weight()
    made.fill(mass=[100, 112, 117, 122, 127, 132, 140], y=[0.5, 0.5, 0.5, 0.5, 1.5, 5, 0.5], weight=3.0)
    document = {"spectrum": json.loads(json.dumps(made, default=uhi.io.json.default)), "n_events": 7, "sumw": 21.0}
    left, _ = twin(document)
    again = hist.Hist(json.loads(json.dumps(left["spectrum"]), object_hook=uhi.io.json.object_hook))
    expected = made.copy()
    first = 3 if flow else 2
    view = expected.view(flow=True)
    view.value[first : first + 2], view.variance[first : first + 2] = 0, 0
    assert again == expected
    assert left["spectrum"]["axes"] == document["spectrum"]["axes"]
    assert left["n_events"] is None
    assert left["sumw"] == (15.0 if flow else None)


def test_what_a_histogram_says_of_itself() -> None:
    made = json.loads(json.dumps(hist.Hist.new.Reg(2, 100, 160, name="mass").Double(), default=uhi.io.json.default))
    made["axes"][0]["metadata"] |= {"label": "mass 2015", "entries": 31337}
    made["metadata"] = {"note": "31337 events", "unit": "GeV"}
    left, _ = twin(made)
    assert left["axes"][0]["metadata"] == {"name": "mass", "label": "mass 2015", "entries": None}
    assert left["metadata"] == {"note": None, "unit": "GeV"}


def test_window_beyond_an_axis() -> None:
    made = hist.Hist.new.Reg(2, 122, 128, name="mass").Double().fill([100, 125, 150])
    left, _ = twin(json.loads(json.dumps(made, default=uhi.io.json.default)))
    assert left["storage"]["values"] == [0, 0, 0, 0], "what lies below and above may be hidden too"


def test_rows() -> None:
    records = [
        {"mass": None if np.isnan(m) else m, "event": int(e), "name": n}
        for m, e, n in zip(MASS, EVENT, NAME, strict=True)
    ]
    columns = {name: [record[name] for record in records] for name in ("mass", "event", "name")}
    named = {f"e{number}": record for number, record in enumerate(records)}
    summary = {"n_events": 8, "sum_of_numbers": int(EVENT.sum()), "lumi_fb": 139.5, "best": 125.123456}
    left, notes = twin({"records": records, "columns": columns, "named": named, "summary": summary})
    assert [record["event"] for record in left["records"]] == left["columns"]["event"] == LEFT
    assert [record["event"] for record in left["named"].values()] == LEFT
    assert left["summary"] == {"n_events": 5, "sum_of_numbers": sum(LEFT), "lumi_fb": 139.5, "best": None}
    assert all(canary not in json.dumps(left) for canary in CANARIES)
    assert "`summary.best` is null" in notes


def test_lists_in_rows_and_rows_without_a_mass() -> None:
    left, notes = twin([{"mass": [100.0, 125.0], "n": 1}, {"mass": [], "n": 2}, {"total": 31337}])
    assert left == [{"mass": [], "n": 2}]
    assert notes == ["entries of `` that lack a hidden column are left out"]


KEYS = st.sampled_from(["a", "b", "n_events", "counts", "edges", "values", "rows", "axes", "storage", "sum"])
LEAVES = st.sampled_from([31337, 31337.5, "31337 events", None, True, "text", [31337, 1], [[31337]], [{"a": 31337}]])
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@given(tree=TREES)
def test_no_number_is_forgotten_wherever_it_stands(tree: Any) -> None:
    for veil in (Veil(windows={"mass": (120.0, 40000.0)}), Veil(everything=True)):
        try:
            left = Document(veil).masked({"mass": {"edges": [100, 120, 130], "counts": [1, 31337]}, "tree": tree})
        except CannotMask:
            continue
        assert "31337" not in json.dumps(left)


def test_yaml() -> None:
    Path("x.yaml").write_text(yaml.safe_dump(SPECTRUM, sort_keys=False))
    twin_of(Path("x.yaml"))
    assert yaml.safe_load(Path("written/twin-x.yaml").read_text()) == twin(SPECTRUM)[0]


def test_everything_of_a_document() -> None:
    document = {"spectrum": SPECTRUM, "rows": [{"mass": 1.0}], "columns": {"a": [1], "b": [2]}, "n": 3, "unit": "GeV"}
    left, _ = twin(document, windows={}, everything=True)
    assert left["rows"] == [] and left["columns"] == {"a": [], "b": []} and left["unit"] == "GeV"
    assert left["spectrum"]["counts"] == [0] * 5 and left["spectrum"]["bin_edges"] == EDGES
    assert left["n"] is None
    assert "31337" not in json.dumps(left)


@pytest.mark.parametrize(
    "document",
    [{"n": 1}, [], 5, {"mass": 125.1, "n": 3}, {"mass": "125"}, {"deep": {"mass": {"list": [125.1, 3]}}}],
)  # fmt: skip
def test_documents_without_rows_and_bins(document: Any) -> None:
    Path("x.json").write_text(json.dumps(document))
    told, path = masked(Path("x.json"))
    assert told["problem"] and not path.exists()


def test_documents_that_nobody_called_data() -> None:
    other = {"pt": {"edges": [1, 2], "counts": [3]}}
    for document, words in (({"n": 31337}, ""), ({"mass": [1, 2]}, None), (other, "it has histograms (pt)")):
        Path("x.json").write_text(json.dumps(document))
        told, _ = masked(Path("x.json"), declared=False)
        assert told["written"] is (words is None)
        assert (words or "") in told["problem"]
    Path("x.json").write_text(json.dumps({"columns": ["mass", "n"], "data": [[125.123456, 31337]]}))
    assert masked(Path("x.json"), declared=False)[0]["written"]
    assert "31337" not in Path("written/twin-x.json").read_text()
    np.savez("fields.npz", table=np.zeros(2, dtype=[("mass", "f4")]))
    assert "one of its fields" in masked(Path("fields.npz"), declared=False)[0]["problem"]
    np.savez("h.npz", edges=np.arange(3), counts=np.arange(2))
    assert "it is a histogram" in masked(Path("h.npz"), declared=False)[0]["problem"]
    np.savez("other.npz", pt=np.arange(3))
    np.save("other.npy", np.arange(3))
    assert not any(masked(Path(name), declared=False)[0]["written"] for name in ("other.npz", "other.npy"))


def test_archive() -> None:
    counts = np.array([10, 20, 31337, 40, 50])
    np.savez(
        "x.npz", mass=MASS, event=EVENT, name=NAME, matrix=np.ones((8, 2)), n_events=8, total=EVENT.sum(), lumi=139.5,
        weights_sum=31337.5, other=np.arange(31337, 31340), label="data",
    )  # fmt: skip
    _, told = twin_of(Path("x.npz"))
    with np.load("written/twin-x.npz") as file:
        left = {name: file[name].tolist() for name in file.files}
    assert left["event"] == LEFT and left["matrix"] == [[1, 1]] * 5
    assert (left["n_events"], left["total"], left["lumi"], left["label"]) == (5, sum(LEFT), 139.5, "data")
    assert set(left) == {"mass", "event", "name", "matrix", "n_events", "total", "lumi", "label"}
    assert "array 'weights_sum' is left out" in told["notes"]
    np.savez("h.npz", bin_edges=np.array(EDGES), counts=counts, n=counts.sum())
    twin_of(Path("h.npz"))
    with np.load("written/twin-h.npz") as file:
        assert file["counts"].tolist() == [10, 20, 0, 0, 50] and file["n"] == 80
        assert file["counts"].dtype == counts.dtype and file["bin_edges"].tolist() == EDGES


def test_single_arrays() -> None:
    np.save("mass.npy", MASS)
    contents, _ = twin_of(Path("mass.npy"))
    assert np.nansum(contents.sheets[0].columns["array"].values) == pytest.approx(100.5 + 119.999 + 130 + 160.25)
    table = np.zeros(8, dtype=[("mass", "f4"), ("event", "i8"), ("name", "U8")])
    table["mass"], table["event"], table["name"] = MASS, EVENT, NAME
    np.save("table.npy", table)
    contents, _ = twin_of(Path("table.npy"))
    assert contents.sheets[0].columns["event"].values.tolist() == LEFT
    assert np.load("written/twin-table.npy").dtype == table.dtype
    for name in ("mass.npy", "table.npy"):
        contents, _ = twin_of(Path(name), windows={}, everything=True)
        assert all(sheet.entries == 0 for sheet in contents.sheets)
    np.save("other.npy", MASS)
    assert "no column" in masked(Path("other.npy"))[0]["problem"]
    np.save("pickled.npy", np.array([{"mass": 1}]), allow_pickle=True)
    assert masked(Path("pickled.npy"))[0]["problem"]
