from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pytest
import uproot

from snakemake_executor_plugin_llmagent.formats import describe, spending
from tests.unit.formats.support import bytes_read, column, real_file, table


def write_tree(path: Path, arrays: dict[str, Any], **options: Any) -> Path:
    with uproot.recreate(path) as file:
        tree = file.mktree(
            "events", {name: ak.type(ak.Array(array)).content for name, array in arrays.items()}, **options
        )
        tree.extend(arrays)
    return path


def test_flat_and_jagged_branches(tmp_path: Path) -> None:
    path = tmp_path / "a:b.root"
    with uproot.recreate(path) as file:
        file.mktree("events", {"met": np.dtype("f8"), "pt": "var * float32", "hit": np.dtype("?")}, title="a title")
        file["events"].extend(
            {
                "met": np.array([1.0, np.nan, 3.0]),
                "pt": ak.Array([[10.0, 20.0], [], [30.0]]),
                "hit": [True, False, True],
            }
        )
    description = describe(path)
    assert (description.format, description.size_bytes) == ("root", path.stat().st_size)
    events = table(description, "events")
    assert (events.kind, events.entries, events.looked_at) == ("TTree", 3, 3)
    assert "a title" in (events.note or "")
    met, pt = column(events, "met"), column(events, "pt")
    assert (met.type, met.minimum, met.maximum, met.n_nonfinite) == ("float64", 1.0, 3.0, 1)
    assert (pt.type, pt.maximum, pt.per_entry, pt.n_values) == ("var * float32", 30.0, (0, 2), 3)
    assert column(events, "hit").type == "bool"


def test_fixed_size_arrays(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {"v": np.dtype(("f4", (3,)))})
        file["events"].extend({"v": np.arange(12, dtype="f4").reshape(4, 3)})
    found = column(table(describe(tmp_path / "a.root"), "events"), "v")
    assert (found.type, found.maximum, found.n_values) == ("3 * float32", 11.0, 12)


def test_an_empty_tree_and_a_file_without_objects(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {"x": np.dtype("f8")})
    events = table(describe(tmp_path / "a.root"), "events")
    assert (events.entries, events.looked_at, events.columns[0].type) == (0, 0, "float64")
    with uproot.recreate(tmp_path / "b.root"):
        pass
    assert describe(tmp_path / "b.root").tables == ()


def test_directories_and_cycles(tmp_path: Path) -> None:
    histogram = (np.array([1.0, 2.0]), np.array([0.0, 1.0, 2.0]))
    with uproot.recreate(tmp_path / "a.root") as file:
        file["h"] = histogram
        file["h"] = histogram
        file["deep/er/h"] = histogram
    description = describe(tmp_path / "a.root")
    assert [each.name for each in description.tables] == ["h", "deep/er/h"]
    assert "newest of 2 cycles" in (table(description, "h").note or "")


def test_histograms(tmp_path: Path) -> None:
    weighted = hist.Hist.new.Reg(4, 100.0, 160.0, name="m", label="m_{yy} [GeV]").Weight()
    weighted.fill([101.0, 120.0, 121.0, 300.0], weight=[0.5, 2.0, 2.0, 1.0])
    plane = hist.Hist.new.Reg(2, 0, 1, name="x").Var([0.0, 1.0, 5.0], name="y").Double()
    profile = hist.Hist.new.Reg(2, 0, 1, name="x").Mean()
    profile.fill([0.1, 0.2, 0.7], sample=[1.0, 3.0, 5.0])
    with uproot.recreate(tmp_path / "a.root") as file:
        file["m"], file["plane"], file["profile"] = weighted, plane, profile
    description = describe(tmp_path / "a.root")
    one = table(description, "m")
    axis, contents, errors = one.columns
    assert one.kind == "TH1D"
    assert (axis.type, axis.minimum, axis.maximum, axis.unit) == ("4 bins", 100.0, 160.0, "GeV")
    assert (contents.maximum, contents.n_values) == (4.0, 4)
    assert errors.maximum == pytest.approx(8**0.5)
    assert "sum 4.5" in (one.note or "") and "overflow 1" in (one.note or "") and "Sumw2" in (one.note or "")
    two = table(description, "plane")
    assert two.kind == "TH2D"
    assert column(two, "y axis").type == "2 bins, of different widths"
    assert column(two, "contents").n_values == 4
    means = column(table(description, "profile"), "means")
    assert (means.minimum, means.maximum) == (2.0, 5.0)


def test_rntuple(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mkrntuple(
            "events",
            {
                "x": np.array([1.0, 2.0, 3.0]),
                "jagged": ak.Array([[1.0, 2.0], [], [3.0]]),
                "name": ak.Array(["a", "b", "c"]),
                "photons": ak.Array([[{"pt": 1.0, "q": 1}], [], []]),
                "nested": ak.Array([[[1, 2], []], [], [[1]]]),
                "maybe": ak.Array([1, None, 3]),
            },
            description="about them",
        )
    events = table(describe(tmp_path / "a.root"), "events")
    assert (events.kind, events.entries, events.looked_at) == ("RNTuple", 3, 3)
    types = {each.name: each.type for each in events.columns}
    assert types == {
        "x": "float64",
        "jagged": "var * float64",
        "name": "string",
        "photons.pt": "var * float64",
        "photons.q": "var * int64",
        "nested": "var * var * int64",
        "maybe": "?int64",
    }
    assert column(events, "name").examples == ("a", "b", "c")
    assert column(events, "jagged").per_entry == (0, 2)
    assert (column(events, "maybe").n_nonfinite, column(events, "maybe").n_values) == (1, 3)


def test_many_branches_get_types_but_not_all_get_ranges(tmp_path: Path) -> None:
    names = [f"Obj{i}_{leaf}" for i in range(60) for leaf in ("flag", "pt", "eta", "x")]
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {name: np.dtype("f4") for name in names})
        file["events"].extend({name: np.arange(5, dtype="f4") for name in names})
    events = table(describe(tmp_path / "a.root"), "events")
    assert [each.name for each in events.columns] == names
    ranged = [each.name for each in events.columns if each.n_values]
    assert len(ranged) == spending.MOST_IN_TREE
    assert all(f"Obj{i}_pt" in ranged and f"Obj{i}_eta" in ranged for i in range(60))
    assert f"{len(names) - len(ranged)} of {len(names)} branches are listed without ranges" in (events.note or "")


def test_a_large_tree_is_read_in_small_part(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    with uproot.recreate(tmp_path / "large.root", compression=None) as file:
        file.mktree("events", {name: np.dtype("f8") for name in "abcd"})
        for part in range(30):
            file["events"].extend({name: generator.normal(part, 1.0, 20_000) for name in "abcd"})
    path = tmp_path / "large.root"
    assert path.stat().st_size > 19_000_000
    events = table(describe(path), "events")
    assert (events.entries, events.looked_at) == (600_000, spending.MOST_ENTRIES)
    # The first entries and the middle ones were looked at, and nothing else.
    assert column(events, "a").mean == pytest.approx(7.5, abs=0.1)
    assert bytes_read(lambda: describe(path)) < 3_000_000


def test_a_branch_in_one_large_basket_is_listed_without_ranges(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root", compression=None) as file:
        file.mktree("events", {"large": np.dtype("f8"), "small": np.dtype("i1")})
        entries = spending.MOST_EACH // 8 + 1
        file["events"].extend({"large": np.zeros(entries), "small": np.ones(entries, dtype="i1")})
    path = tmp_path / "a.root"
    events = table(describe(path), "events")
    assert (column(events, "large").type, column(events, "large").n_values) == ("float64", 0)
    assert column(events, "small").n_distinct_capped == 1
    assert "1 of 2 branches are listed without ranges" in (events.note or "")
    assert bytes_read(lambda: describe(path)) < 2 * entries + 1_000_000


def test_a_basket_that_unpacks_to_too_much_is_not_read(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {"x": np.dtype("f8")})
        file["events"].extend({"x": np.zeros(spending.MOST_UNPACKED // 8 + 1)})
    assert (tmp_path / "a.root").stat().st_size < 5_000_000
    assert column(table(describe(tmp_path / "a.root"), "events"), "x").n_values == 0


def test_a_large_rntuple_is_read_in_small_part(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    with uproot.recreate(tmp_path / "large.root", compression=None) as file:
        ntuple = file.mkrntuple("events", {"x": generator.normal(size=20_000), "y": generator.normal(size=20_000)})
        for _ in range(29):
            ntuple.extend({"x": generator.normal(size=20_000), "y": generator.normal(size=20_000)})
    path = tmp_path / "large.root"
    assert path.stat().st_size > 9_000_000
    events = table(describe(path), "events")
    assert (events.entries, column(events, "x").n_values) == (600_000, spending.MOST_ENTRIES)
    assert bytes_read(lambda: describe(path)) < 2_500_000


@pytest.mark.parametrize("keep", [3, 50, 300, 0.5, 0.95])
def test_truncated_files_do_not_open(tmp_path: Path, keep: float) -> None:
    path = write_tree(tmp_path / "a.root", {"x": np.arange(1000.0)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep > 1 else keep * len(whole))])
    description = describe(path)
    assert (description.format, description.opened) == ("root", False)
    assert description.problem


def test_damage_never_raises(tmp_path: Path) -> None:
    whole = write_tree(tmp_path / "a.root", {"x": np.arange(1000.0), "y": ak.Array([[1, 2], []] * 500)}).read_bytes()
    generator = np.random.default_rng(1)
    path = tmp_path / "b.root"
    for _ in range(25):
        damaged = bytearray(whole)
        for position in generator.integers(4, len(whole), 20):
            damaged[position] = int(generator.integers(0, 256))
        path.write_bytes(damaged)
        assert describe(path).opened in (True, False)


def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["bad\x1b[2J\u202e```"] = (np.array([1.0]), np.array([0.0, 1.0]))
    (found,) = describe(tmp_path / "a.root").tables
    assert found.name == "bad\\x1b[2J\\u202e```"


def test_nanoaod() -> None:
    events = table(describe(real_file("cms_nanoaod/nano_dy.root")), "Events")
    assert (events.entries, len(events.columns)) == (40, 1499)
    assert column(events, "HTXS_Higgs_pt").title == "pt of the Higgs boson as identified in HTXS"
    pt = column(events, "Muon_pt")
    assert pt.type == "var * float32" and pt.minimum is not None and pt.per_entry is not None
    runs = table(describe(real_file("cms_nanoaod/nano_dy.root")), "Runs")
    assert column(runs, "genEventSumw_").n_values == 1


def test_published_tree_with_strings_and_leaf_lists() -> None:
    zmumu = table(describe(real_file("cms_misc/uproot-Zmumu.root")), "events")
    assert column(zmumu, "Type").type == "string" and "GT" in column(zmumu, "Type").examples
    hzz = table(describe(real_file("cms_misc/uproot-HZZ.root")), "events")
    assert column(hzz, "Jet_Px").title is None and column(hzz, "Jet_Px").unit is None


def test_published_histogram_and_rntuple() -> None:
    histogram = table(describe(real_file("atlas_hyy_10fb_hists/ggH125_gamgam.root")), "hist_mYY_bin1")
    assert (histogram.kind, column(histogram, "x axis").unit) == ("TH1F", "GeV")
    name = "rntuple/Run2012BC_DoubleMuParked_Muons_1000evts_rntuple_v1-0-0-0.root"
    events = table(describe(real_file(name)), "Events")
    assert (events.entries, column(events, "Muon_pt").type) == (1000, "var * float32")
