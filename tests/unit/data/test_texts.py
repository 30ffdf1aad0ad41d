"""CSV and JSON as tables, histograms and documents, and as copies that differ in nothing but what was altered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, Edit, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import load, rewrite


def keep(sheet: Sheet) -> None:
    return None


def csv(folder: Path, text: str, name: str = "in.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def document(folder: Path, value: Any) -> Path:
    path = folder / "in.json"
    path.write_text(json.dumps(value))
    return path


# --- CSV ------------------------------------------------------------------------------------------------------------


def test_csv_columns_are_numbers_or_texts(tmp_path: Path) -> None:
    (sheet,) = load(csv(tmp_path, "n, x ,label,gap\n1,1.50,a,\n2,2e3,b,4\n")).sheets
    assert list(sheet.columns) == ["n", "x", "label", "gap"]
    assert sheet.columns["n"].values.dtype.kind == "i"
    assert sheet.columns["x"].values.tolist() == [1.5, 2000.0]
    assert sheet.columns["label"].values.tolist() == ["a", "b"]
    assert np.array_equal(sheet.columns["gap"].values, [np.nan, 4.0], equal_nan=True)


@pytest.mark.parametrize(("name", "delimiter"), [("in.csv", ","), ("in.csv", ";"), ("in.tsv", "\t")])
def test_csv_keeps_delimiter_digits_and_quotes(tmp_path: Path, name: str, delimiter: str) -> None:
    text = f'n,x,label\n1,1.50,"a{delimiter} b"\n2,2.000,c\n3,1e-3,ä\n'.replace(",", delimiter)
    source = csv(tmp_path, text, name)
    target = tmp_path / f"out-{name}"
    assert rewrite(source, target, keep) == () and target.read_text() == text
    assert rewrite(source, target, lambda sheet: Edit(rows=np.array([2, 0]))) == ("table",)
    assert target.read_text() == f'n,x,label\n3,1e-3,ä\n1,1.50,"a{delimiter} b"\n'.replace(",", delimiter)


def test_csv_columns_are_replaced_and_dropped(tmp_path: Path) -> None:
    source = csv(tmp_path, "# from run 2\nn,w,x\n1,2,0.10\n3,4,0.20\n")
    doubled = {"w": Array(values=np.array([4, 8])), "x": Array(values=np.array([0.2, 0.4]))}
    rewrite(source, tmp_path / "out.csv", lambda sheet: Edit(columns=doubled, drop=frozenset({"n"})))
    assert (tmp_path / "out.csv").read_text() == "# from run 2\nw,x\n4,0.2\n8,0.4\n"


def test_csv_without_names(tmp_path: Path) -> None:
    source = csv(tmp_path, "1,2.5\n3,4.5\n5,6.5\n")
    (sheet,) = load(source).sheets
    assert (list(sheet.columns), sheet.entries) == (["0", "1"], 3)
    rewrite(source, tmp_path / "out.csv", lambda sheet: Edit(rows=np.array([1])))
    assert (tmp_path / "out.csv").read_text() == "3,4.5\n"


def test_csv_is_cut_and_emptied(tmp_path: Path) -> None:
    source = csv(tmp_path, "x\n1\n2\n3\n")
    rewrite(source, tmp_path / "out.csv", keep, limit=2)
    assert (tmp_path / "out.csv").read_text() == "x\n1\n2\n"
    rewrite(source, tmp_path / "out.csv", lambda sheet: Edit(rows=np.arange(0)))
    assert (tmp_path / "out.csv").read_text() == "x\n"
    assert load(tmp_path / "out.csv").sheets[0].entries == 0


def test_an_empty_csv_has_no_columns(tmp_path: Path) -> None:
    assert load(csv(tmp_path, "")).sheets[0].columns == {}


def test_a_long_csv_is_cut_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from snakemake_executor_plugin_llmagent.data import textfile

    monkeypatch.setattr(textfile, "LONGEST", 100)
    source = csv(tmp_path, "x,y\n" + "1,2\n" * 100)
    with pytest.raises(CannotRead, match="too long"):
        load(source)
    (sheet,) = load(source, limit=3).sheets
    assert (sheet.entries, sheet.shown) == (100, 3)
    rewrite(source, tmp_path / "out.csv", keep, limit=3)
    assert (tmp_path / "out.csv").read_text() == "x,y\n1,2\n1,2\n1,2\n"


# --- JSON -----------------------------------------------------------------------------------------------------------

RECORDS = [{"m": 1.5, "n": 1, "ok": True, "note": None}, {"m": 2.5, "n": 2, "ok": False, "note": "x"}]


def test_tables_in_a_document(tmp_path: Path) -> None:
    columns = {"x": [1, 2, 3], "y": [0.5, None, 1.5]}
    contents = load(document(tmp_path, {"a": {"events": RECORDS}, "b": columns, "mass": 125}))
    events, table = contents.sheets
    assert (events.name, events.entries, table.name) == ("a.events", 2, "b")
    assert events.columns["n"].values.dtype.kind == "i" and events.columns["ok"].values.dtype.kind == "b"
    assert np.array_equal(table.columns["y"].values, [0.5, np.nan, 1.5], equal_nan=True)
    assert contents.document["mass"] == 125


def test_a_document_stays_the_same_but_for_its_table(tmp_path: Path) -> None:
    whole = {"z": 1, "a.b": {"events": RECORDS * 2}, "config": {"range": [105, 160], "flags": [True]}, "none": None}
    source, target = document(tmp_path, whole), tmp_path / "out.json"
    assert rewrite(source, target, keep) == () and target.read_text() == json.dumps(whole)

    def change(sheet: Sheet) -> Edit:
        return Edit(rows=np.array([3, 0]), columns={"m": Array(values=np.array([7.0, 8.0]))}, drop=frozenset({"ok"}))

    assert rewrite(source, target, change) == ("a.b.events",)
    after = json.loads(target.read_text())
    assert after["a.b"]["events"] == [{"m": 7.0, "n": 2, "note": "x"}, {"m": 8.0, "n": 1, "note": None}]
    assert {**after, "a.b": None} == {**whole, "a.b": None} and list(after) == list(whole)


@pytest.mark.parametrize("whole", [RECORDS * 3, {"m": [1.0, 2.0, 3.0], "n": [1, None, 3]}])
def test_a_document_that_is_a_table(tmp_path: Path, whole: Any) -> None:
    source, target = document(tmp_path, whole), tmp_path / "out.json"
    rewrite(source, target, keep)
    assert json.loads(target.read_text()) == whole
    rewrite(source, target, keep, limit=2)
    assert load(target).sheets[0].entries == 2
    rewrite(source, target, lambda sheet: Edit(rows=np.arange(0)))
    assert json.loads(target.read_text()) == ([] if isinstance(whole, list) else {"m": [], "n": []})


def _double(histogram: Histogram) -> Histogram:
    variances = None if histogram.variances is None else histogram.variances * 4
    return Histogram(name=histogram.name, edges=histogram.edges, values=histogram.values * 2, variances=variances)


def test_edges_and_counts_are_a_histogram(tmp_path: Path) -> None:
    spectrum = {"bin_edges": [105, 106, 108], "counts": [10, 20], "errors": [3.0, 4.0], "unit": "GeV"}
    source = document(tmp_path, {"data": spectrum, "luminosity": 10.06})
    (histogram,) = load(source).histograms
    assert (histogram.name, histogram.values.tolist()) == ("data", [10, 20])
    assert histogram.variances is not None and histogram.variances.tolist() == [9, 16]
    assert rewrite(source, tmp_path / "out.json", keep, _double) == ("data",)
    after = json.loads((tmp_path / "out.json").read_text())
    assert after == {"data": {**spectrum, "counts": [20, 40], "errors": [6.0, 8.0]}, "luminosity": 10.06}
    assert all(isinstance(count, int) for count in after["data"]["counts"])


@pytest.mark.parametrize("flow", [True, False])
def test_uhi_histograms_keep_their_flow_bins(tmp_path: Path, flow: bool) -> None:
    inner, variances = [1.0, 2.0, 3.0], [1.0, 4.0, 9.0]
    ends = [7.0] if flow else []
    axis = {
        "type": "regular",
        "lower": 0,
        "upper": 3,
        "bins": 3,
        "underflow": flow,
        "overflow": flow,
        "circular": False,
    }
    uhi = {
        "uhi_schema": 1,
        "axes": [{**axis, "metadata": {"label": "m [GeV]"}}],
        "storage": {"type": "weighted", "values": ends + inner + ends, "variances": ends + variances + ends},
    }
    source = document(tmp_path, {"h": uhi})
    (histogram,) = load(source).histograms
    assert histogram.values.tolist() == inner and histogram.edges[0].tolist() == [0, 1, 2, 3]
    assert histogram.variances is not None and histogram.variances.tolist() == variances
    assert histogram.labels == ("m [GeV]",)
    rewrite(source, tmp_path / "out.json", keep, _double)
    after = json.loads((tmp_path / "out.json").read_text())["h"]
    assert after["storage"]["values"] == [*ends, 2.0, 4.0, 6.0, *ends]
    assert after["storage"]["variances"] == [*ends, 4.0, 16.0, 36.0, *ends]
    assert after["axes"] == uhi["axes"]


def test_what_the_library_of_uhi_writes_is_read(tmp_path: Path) -> None:
    serialization = pytest.importorskip("hist.serialization")
    uhi_json = pytest.importorskip("uhi.io.json")
    import hist

    filled = hist.Hist.new.Reg(4, 0, 2, name="m").Weight().fill([0.1, 0.6, 1.9, 5.0], weight=2.0)
    text = json.dumps(serialization.to_uhi(filled), default=uhi_json.default)
    (tmp_path / "in.json").write_text(text)
    (histogram,) = load(tmp_path / "in.json").histograms
    assert histogram.values.tolist() == filled.values().tolist()
    assert histogram.edges[0].tolist() == filled.axes[0].edges.tolist()


def test_two_dimensions(tmp_path: Path) -> None:
    axes = [{"type": "regular", "lower": 0, "upper": 2, "bins": 2}, {"type": "category_str", "categories": ["a"]}]
    source = document(tmp_path, {"axes": axes, "storage": {"type": "int", "values": [[1], [2]]}})
    (histogram,) = load(source).histograms
    assert histogram.values.shape == (2, 1) and len(histogram.edges) == 2
    rewrite(source, tmp_path / "out.json", keep, _double)
    assert json.loads((tmp_path / "out.json").read_text())["storage"]["values"] == [[2], [4]]


def test_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "in.yaml"
    path.write_text("yield: 10.5\nbins: {x: [1, 2], y: [3, 4]}\n")
    contents = load(path)
    assert contents.document["yield"] == 10.5 and contents.sheets[0].name == "bins"


def test_a_damaged_document_is_none(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"a": ')
    with pytest.raises(CannotRead, match="cannot be read as json"):
        load(tmp_path / "in.json")
