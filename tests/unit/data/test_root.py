"""ROOT files are read as tables and histograms, and copied with all that uproot can write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, CannotWrite, Edit, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import load, rewrite
from tests.unit.formats.support import real_file

ROWS = 20
COUNTS = np.random.default_rng(3).integers(0, 4, ROWS)


def _lists(dtype: str) -> Any:
    return ak.unflatten(np.arange(COUNTS.sum()).astype(dtype), COUNTS)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.root"
    generator = np.random.default_rng(1)
    columns: dict[str, Any] = {
        "run": np.arange(ROWS, dtype="i4"),
        "event": np.arange(ROWS, dtype="u8"),
        "weight": generator.random(ROWS).astype("f4"),
        "Jet": ak.zip({"pt": _lists("f4"), "tight": _lists("bool")}),
        "ok": generator.random(ROWS) > 0.5,
        "three": generator.random((ROWS, 3)),
        "text": ak.Array([f"é{number}" for number in range(ROWS)]),
        "small": np.arange(ROWS, dtype="i1"),
        "alone": _lists("f8"),
    }
    types = {
        name: ak.type(array).content if isinstance(array, ak.Array) else array.dtype if array.ndim == 1 else "3 * f8"
        for name, array in columns.items()
    }
    types["three"] = "3 * float64"
    with uproot.recreate(path) as file:
        file.mktree("folder/events", types, title="Selected events")
        file["folder/events"].extend(columns)
        ntuple = ak.zip(
            {"a": columns["run"], "j": _lists("f4"), "s": columns["text"], "n": [[[1.0]], []] * (ROWS // 2)},
            depth_limit=1,
        )
        file.mkrntuple("ntuple", ntuple, "an ntuple")
        weighted = hist.Hist(hist.axis.Regular(5, 0, 1, label="m [GeV]"), storage=hist.storage.Weight())
        file["weighted"] = weighted.fill(generator.normal(0.5, 1, 90), weight=2.0)
        file["counts"] = np.histogram(generator.random(50), bins=4)
        file["plane"] = hist.Hist.new.Reg(5, 0, 1).Reg(3, 0, 1).Double().fill([0.5], [0.5])
        file["note"] = "from run 2"
    return path


def keep(sheet: Sheet) -> None:
    return None


def same_file(one: Path, other: Path) -> None:
    with uproot.open(one) as before, uproot.open(other) as after:
        assert before.classnames() == after.classnames()
        for name in ("folder/events", "ntuple"):
            assert before[name].keys() == after[name].keys()
            for branch in before[name].keys(recursive=False):
                first, second = before[name][branch].array(), after[name][branch].array()
                assert str(ak.type(first)) == str(ak.type(second)), branch
                assert ak.to_list(first) == ak.to_list(second), branch
        assert after["folder/events"].title == before["folder/events"].title
        assert after["ntuple"].description == "an ntuple"
        for name in ("weighted", "counts", "plane"):
            assert np.array_equal(before[name].values(flow=True), after[name].values(flow=True))
            assert np.array_equal(before[name].variances(), after[name].variances())
        assert after["weighted"].axis().member("fTitle") == "m [GeV]"
        assert str(after["note"]) == "from run 2"


def test_tables_and_histograms_are_read(source: Path) -> None:
    contents = load(source)
    tree, ntuple = contents.sheets
    assert (tree.name, tree.entries, ntuple.name, ntuple.opaque) == ("folder/events", ROWS, "ntuple", ("n",))
    assert list(tree.columns) == [
        "run", "event", "weight", "nJet", "Jet_pt", "Jet_tight", "ok", "three", "text", "small", "nalone", "alone",
    ]  # fmt: skip
    kinds = {name: array.values.dtype.str[1:] for name, array in tree.columns.items()}
    assert (kinds["run"], kinds["event"], kinds["weight"], kinds["ok"]) == ("i4", "u8", "f4", "b1")
    assert tree.columns["three"].values.shape == (ROWS, 3)
    assert tree.columns["text"].values[0] == "é0"
    jets = tree.columns["Jet_pt"]
    assert jets.offsets is not None and np.array_equal(np.diff(jets.offsets), COUNTS) and jets.entries == ROWS
    weighted, counts, plane = contents.histograms
    assert weighted.variances is not None and counts.variances is None and len(plane.edges) == 2
    assert weighted.labels == ("m [GeV]",)


def test_only_the_first_entries_are_read(source: Path) -> None:
    tree = load(source, limit=3).sheets[0]
    assert (tree.entries, tree.shown, len(tree.columns["run"].values)) == (ROWS, 3, 3)


def test_a_copy_is_the_same(source: Path, tmp_path: Path) -> None:
    assert rewrite(source, tmp_path / "copy.root", keep) == ()
    same_file(source, tmp_path / "copy.root")
    rewrite(tmp_path / "copy.root", tmp_path / "again.root", keep)
    same_file(source, tmp_path / "again.root")


def test_rows_are_taken_in_order_and_columns_replaced(source: Path, tmp_path: Path) -> None:
    rows = np.array([5, 0, 5])

    def change(sheet: Sheet) -> Edit:
        column = "weight" if "weight" in sheet.columns else "a"
        doubled = Array(values=sheet.columns[column].values[rows] * 2)
        return Edit(rows=rows, columns={column: doubled}, drop=frozenset({"ok", "j"}))

    target = tmp_path / "out.root"
    assert rewrite(source, target, change) == ("folder/events", "ntuple")
    with uproot.open(source) as before, uproot.open(target) as after:
        old, new = before["folder/events"], after["folder/events"]
        assert [name for name in list(old.keys()) if name != "ok"] == new.keys()
        assert np.array_equal(new["weight"].array(), 2 * old["weight"].array()[rows])
        assert new["weight"].array().type == ak.Array(np.zeros(3, "f4")).type
        for branch in ("Jet_pt", "text", "alone", "three"):
            assert ak.to_list(new[branch].array()) == ak.to_list(old[branch].array()[rows])
        assert ak.to_list(after["ntuple"]["n"].array()) == ak.to_list(before["ntuple"]["n"].array()[rows])
        assert "j" not in after["ntuple"].keys()  # noqa: SIM118


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows_are_left(source: Path, tmp_path: Path, rows: int) -> None:
    rewrite(source, tmp_path / "out.root", lambda sheet: Edit(rows=np.arange(rows)))
    with uproot.open(source) as before, uproot.open(tmp_path / "out.root") as after:
        for name in ("folder/events", "ntuple"):
            assert after[name].num_entries == rows
            for branch in before[name].keys(recursive=False):
                types = [str(ak.type(file[name][branch].array()).content) for file in (before, after)]
                assert types[0] == types[1]


def test_a_limit_cuts_all_trees(source: Path, tmp_path: Path) -> None:
    rewrite(source, tmp_path / "out.root", keep, limit=7)
    with uproot.open(source) as before, uproot.open(tmp_path / "out.root") as after:
        assert after["folder/events"].num_entries == after["ntuple"].num_entries == 7
        assert ak.to_list(after["ntuple"]["s"].array()) == ak.to_list(before["ntuple"]["s"].array()[:7])


def test_histograms_are_altered_but_for_flow_bins_type_and_title(source: Path, tmp_path: Path) -> None:
    def double(histogram: Histogram) -> Histogram | None:
        if len(histogram.edges) > 1:
            return None
        variances = None if histogram.variances is None else histogram.variances * 4
        return Histogram(
            name=histogram.name, edges=histogram.edges, values=histogram.values * 2, variances=variances,
            labels=histogram.labels,
        )  # fmt: skip

    assert rewrite(source, tmp_path / "out.root", keep, double) == ("weighted", "counts")
    with uproot.open(source) as before, uproot.open(tmp_path / "out.root") as after:
        assert before.classnames() == after.classnames()
        for name in ("weighted", "counts"):
            assert np.allclose(after[name].values(), 2 * before[name].values())
            assert np.array_equal(after[name].values(flow=True)[[0, -1]], before[name].values(flow=True)[[0, -1]])
            assert np.array_equal(after[name].axis().edges(), before[name].axis().edges())
        assert np.allclose(after["weighted"].variances(), 4 * before["weighted"].variances())
        assert not after["counts"].weighted


def test_titles_of_branches_stay(tmp_path: Path) -> None:
    source = tmp_path / "in.root"
    with uproot.recreate(source) as file:
        tree = file.mktree("events", {"pt": "float32"})
        tree._cascading._branch_data[0]["fTitle"] = "transverse momentum [GeV]"
        tree._cascading.write_anew(file._file.sink)
        tree.extend({"pt": np.ones(3, "f4")})
    rewrite(source, tmp_path / "out.root", keep)
    with uproot.open(tmp_path / "out.root") as after:
        assert after["events"]["pt"].title == "transverse momentum [GeV]"


def test_what_cannot_be_copied_is_said_and_leaves_no_copy(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.root"
    with pytest.raises(CannotWrite, match="one axis"):
        rewrite(source, target, keep, lambda histogram: histogram)
    assert not target.exists()
    longer = Array(values=np.ones(3), offsets=np.array([0, 3] + [3] * (ROWS - 1)))
    with pytest.raises(CannotWrite, match="Jet_pt"):
        rewrite(source, target, lambda sheet: Edit(columns={"Jet_pt": longer}))
    assert not target.exists()


def test_a_damaged_file_is_none(source: Path) -> None:
    path = source.with_name("half.root")
    path.write_bytes(source.read_bytes()[:3000])
    with pytest.raises(CannotRead, match=r"half\.root cannot be read as root"):
        load(path)


@pytest.mark.parametrize(
    "name",
    [
        "cms_misc/uproot-HZZ.root", "cms_nanoaod/nano_dy.root", "atlas_hyy_10fb_hists/ggH125_gamgam.root",
        "rntuple/Run2012BC_DoubleMuParked_Muons_1000evts_rntuple_v1-0-0-0.root",
    ],
)  # fmt: skip
def test_published_files_are_copied(tmp_path: Path, name: str) -> None:
    source = real_file(name)
    target = tmp_path / source.name
    rewrite(source, target, lambda sheet: Edit(rows=np.arange(0, sheet.shown, 2)))
    with uproot.open(source) as before, uproot.open(target) as after:
        assert before.classnames() == after.classnames()
        for tree, kind in before.classnames(cycle=False).items():
            if kind in ("TTree", "ROOT::RNTuple"):
                # Branches with one counter stand together in the copy.
                keys = sorted(before[tree].keys(recursive=False))
                assert sorted(after[tree].keys(recursive=False)) == keys
                for branch in keys[::20]:
                    expected = ak.to_list(before[tree][branch].array()[::2])
                    assert str(ak.to_list(after[tree][branch].array())) == str(expected)
