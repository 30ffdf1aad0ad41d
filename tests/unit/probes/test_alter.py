"""Altered copies of inputs of all formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import awkward as ak
import hist
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from snakemake_executor_plugin_llmagent.data.contents import Contents
from snakemake_executor_plugin_llmagent.data.load import load
from snakemake_executor_plugin_llmagent.probes.alter import Take, alter
from snakemake_executor_plugin_llmagent.probes.first import first

ROWS = 200
COLUMNS = {
    "m_yy": np.linspace(105.0, 160.0, ROWS),
    "weight": np.linspace(0.5, 1.5, ROWS).astype("f4"),
    "n": np.arange(ROWS, dtype="i4"),
}
FORMATS = ("root", "parquet", "npz", "csv", "json")


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work/written").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def table(folder: Path, suffix: str, name: str = "in", rows: int = ROWS) -> Path:
    path = folder / f"{name}.{suffix}"
    columns = {column: values[:rows] for column, values in COLUMNS.items()}
    if suffix == "root":
        with uproot.recreate(path) as file:
            file.mktree("events", {column: values.dtype for column, values in columns.items()})
            file["events"].extend(columns)
    elif suffix == "parquet":
        pq.write_table(pa.table(columns), path)
    elif suffix == "npz":
        np.savez(path, **columns)  # type: ignore[arg-type]
    elif suffix == "csv":
        lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(lines) + "\n")
    else:
        names = list(columns)
        records = [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text(json.dumps({"events": records, "luminosity": 10.0}))
    return path


def asked(
    *files: Path, probe: str, names: Any = ("m_yy", "weight"), unasked: bool = False, take: Any = None, **arguments: Any
) -> dict[str, Any]:
    listed = [{"path": file.name, "name": file.stem, "place": str(file)} for file in files]
    one = {"probe": probe, "arguments": arguments, "take": take}
    (answer,) = alter({"files": listed, "names": names, "seed": 1, "unasked": unasked, "probes": [one]})
    return json.loads(json.dumps(answer))  # type: ignore[no-any-return]


def copy(answer: dict[str, Any], path: Path) -> Contents:
    assert answer["problem"] == ""
    return load(Path("written") / answer["files"][path.name])


@pytest.mark.parametrize("suffix", FORMATS)
def test_weights_are_multiplied(work: Path, suffix: str) -> None:
    path = table(work, suffix)
    answer = asked(path, probe="scale_weights", factor=2.0)
    (before,), (after,) = load(path).sheets, copy(answer, path).sheets
    assert answer["what"] == "all weights (`weight`) doubled" and answer["column"] == "weight"
    assert np.allclose(after.columns["weight"].values, 2 * before.columns["weight"].values)
    assert after.columns["weight"].values.dtype == before.columns["weight"].values.dtype
    assert np.array_equal(after.columns["m_yy"].values, before.columns["m_yy"].values)


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_are_chosen(work: Path, suffix: str) -> None:
    path = table(work, suffix)
    before = load(path).sheets[0].columns["m_yy"].values
    half = copy(asked(path, probe="half_events"), path).sheets[0].columns
    assert np.array_equal(half["m_yy"].values, before[::2]) and len(half["weight"].values) == ROWS // 2
    mixed = copy(asked(path, probe="shuffle_events"), path).sheets[0].columns["m_yy"].values
    assert not np.array_equal(mixed, before) and np.array_equal(np.sort(mixed), before)
    empty = asked(path, probe="empty_input")
    assert not any(sheet.entries for sheet in copy(empty, path).sheets) and empty["events"] == [ROWS, 0]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_signal_is_added(work: Path, suffix: str) -> None:
    path = table(work, suffix)
    answer = asked(path, probe="inject_signal", mass=125.0, n=50, width=1.0)
    assert answer["what"] == "50 events added around `m_yy` = 125" and answer["events"] == [ROWS, ROWS + 50]
    after = copy(answer, path).sheets[0].columns
    added = after["m_yy"].values[ROWS:]
    assert len(added) == 50 and abs(added.mean() - 125) < 0.5 and 0.7 < added.std() < 1.3
    assert len(after["weight"].values) == ROWS + 50
    assert np.array_equal(after["m_yy"].values[:ROWS], load(path).sheets[0].columns["m_yy"].values)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_branch_is_dropped(work: Path, suffix: str) -> None:
    path = table(work, suffix)
    answer = asked(path, probe="drop_branch", names=("n", "m_yy", "weight"))
    assert (answer["column"], answer["candidates"]) == ("weight", ["n", "m_yy"])
    assert set(copy(answer, path).sheets[0].columns) == {"m_yy", "n"}
    assert set(copy(asked(path, probe="drop_branch", name="n"), path).sheets[0].columns) == {"m_yy", "weight"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_first_some_events_are_taken(work: Path, suffix: str) -> None:
    path = table(work, suffix)
    take = {"least": 10, "most": 1000, "share": 10}
    answer = asked(path, probe="scale_weights", factor=3.0, unasked=True, take=take)
    after = copy(answer, path).sheets[0].columns
    assert answer["events"] == [ROWS, 20]
    assert np.allclose(after["weight"].values, 3 * COLUMNS["weight"][:40:2])
    last = asked(path, probe="copy", unasked=True, take={**take, "last": True})
    assert copy(last, path).sheets[0].columns["n"].values.tolist() == list(range(ROWS - 39, ROWS, 2))


@pytest.mark.parametrize(
    ("entries", "kept"), [(1, 1), (2, 1), (60, 30), (5000, 1000), (50_000, 5000), (1_000_000, 20_000)]
)
def test_how_many_events_are_taken(entries: int, kept: int) -> None:
    take = Take(least=1000, most=20_000, share=10)
    assert take.kept(entries) == kept
    for rows in (take.rows(entries), Take(least=1000, most=20_000, share=10, last=True).rows(entries)):
        assert len(rows) == kept and rows.min() >= 0 and rows.max() < entries and (np.diff(rows) == 2).all()


def test_tables_of_one_length_stay_together(work: Path) -> None:
    one, other = table(work, "parquet", "a"), table(work, "npz", "b")
    answer = asked(one, other, probe="shuffle_events")
    first, second = (copy(answer, path).sheets[0].columns["n"].values for path in (one, other))
    assert np.array_equal(first, second)


def test_only_inputs_that_are_meant(work: Path) -> None:
    one, other = table(work, "parquet", "signal"), table(work, "parquet", "data")
    assert set(asked(one, other, probe="scale_weights", inputs="signal")["files"]) == {"signal.parquet"}
    assert set(asked(one, other, probe="scale_weights", inputs=["data.parquet"])["files"]) == {"data.parquet"}
    assert set(asked(one, other, probe="scale_weights")["files"]) == {"signal.parquet", "data.parquet"}


def test_inputs_without_weights_are_left_as_they_are(work: Path) -> None:
    one, other = table(work, "parquet", "mc"), work / "data.parquet"
    pq.write_table(pa.table({"m_yy": COLUMNS["m_yy"]}), other)
    assert set(asked(one, other, probe="scale_weights")["files"]) == {"mc.parquet"}
    take = {"least": 10, "most": 1000, "share": 10}
    assert set(asked(one, other, probe="scale_weights", take=take)["files"]) == {"mc.parquet", "data.parquet"}


@pytest.mark.parametrize("probe", ["scale_weights", "uneven_weights"])
def test_weights_of_data_stay_one_unless_the_input_is_named(work: Path, probe: str) -> None:
    """A script rightly refuses data with other weights than 1."""
    mc, data = table(work, "parquet", "mc"), work / "data.parquet"
    pq.write_table(pa.table({"m_yy": COLUMNS["m_yy"], "weight": np.ones(ROWS)}), data)
    answer = asked(mc, data, probe=probe)
    assert set(answer["files"]) == {"mc.parquet"}
    assert "all weights are 1" in asked(data, probe=probe)["problem"]
    named = asked(mc, data, probe=probe, inputs="data")
    assert copy(named, data).sheets[0].columns["weight"].values[1] == 2.0


@pytest.mark.parametrize(
    ("columns", "names", "column"),
    [
        (("w", "weight", "x"), (), "weight"),
        (("mcWeight", "scaleFactor_PHOTON", "sum_of_weights"), (), "mcWeight"),
        (("genWeight", "puWeight"), ("puWeight",), "puWeight"),
        (("Event_Weight", "x"), (), "Event_Weight"),
        (("CMS_hgg_mass", "weight_up"), (), ""),
    ],
)
def test_weights_are_known_by_name(work: Path, columns: tuple[str, ...], names: tuple[str, ...], column: str) -> None:
    path = work / "in.parquet"
    pq.write_table(pa.table({name: np.ones(60) for name in columns}), path)
    assert asked(path, probe="scale_weights", names=names)["column"] == column


def test_weights_that_the_script_does_not_name_are_altered_only_if_a_rule_asks(work: Path) -> None:
    path = table(work, "parquet")
    assert asked(path, probe="scale_weights", names=(), unasked=True)["problem"] == "no input has a column of weights"
    assert asked(path, probe="scale_weights", names=())["column"] == "weight"


def test_whole_weights_stay_whole(work: Path) -> None:
    path = table(work, "parquet")
    answer = asked(path, probe="scale_weights", column="n", factor=0.5)
    assert answer["problem"] == "the weights `n` are whole numbers, and would not be any more with 0.5"
    assert not list(Path("written").iterdir())


def test_lists_and_records_are_carried_along(work: Path) -> None:
    path = work / "in.root"
    photons = ak.zip(
        {"pt": ak.Array([[50.0, 40.0], [], [30.0]] * 20), "tight": ak.Array([[True, False], [], [True]] * 20)}
    )
    with uproot.recreate(path) as file:
        file.mktree("mini", {"photon": photons.type.content, "mcWeight": "float32"})
        file["mini"].extend({"photon": photons, "mcWeight": np.ones(60, "f4")})
    after = copy(asked(path, probe="half_events"), path).sheets[0]
    pt = after.columns["photon_pt"]
    assert pt.offsets is not None and pt.values.tolist() == [50.0, 40.0, 30.0] * 10 and pt.entries == 30
    answer = asked(path, probe="drop_branch", names=("photon_tight",))
    assert list(copy(answer, path).sheets[0].columns) == ["nphoton", "photon_pt", "mcWeight"]
    assert asked(path, probe="inject_signal", mass=125, n=1)["problem"].startswith("no input has a column of a mass")


def test_histograms_take_the_place_of_events(work: Path) -> None:
    path = work / "in.root"
    with uproot.recreate(path) as file:
        file["m_yy"] = hist.Hist.new.Reg(55, 105, 160).Weight().fill(COLUMNS["m_yy"], weight=0.5)
        file["counts"] = np.histogram(COLUMNS["m_yy"], bins=55, range=(105, 160))
    scaled = copy(asked(path, probe="scale_weights", factor=2.0), path)
    before = load(path)
    for old, new in zip(before.histograms, scaled.histograms, strict=True):
        assert np.allclose(new.values, (2 if old.name == "m_yy" else 1) * old.values)
    bumped = copy(asked(path, probe="inject_signal", mass=125.0, n=1000), path)
    for old, new in zip(before.histograms, bumped.histograms, strict=True):
        assert abs((new.values - old.values).sum() - 1000) < 1 and (new.values - old.values).argmax() in (19, 20)
    assert np.array_equal(bumped.histograms[1].values, np.rint(bumped.histograms[1].values))
    assert asked(path, probe="scale_weights", factor=2.0, unasked=True)["problem"]
    assert asked(path, probe="half_events")["problem"] == "no input has a table of events"


def test_binned_tables_hold_no_events(work: Path) -> None:
    path = work / "in.csv"
    path.write_text("bin_low,bin_high,n\n" + "1,2,3\n" * 60)
    assert asked(path, probe="shuffle_events")["problem"] == "no input has a table of events"


def test_what_cannot_be_rewritten_is_said(work: Path) -> None:
    import h5py

    path, damaged = work / "in.h5", work / "bad.parquet"
    with h5py.File(path, "w") as file:
        file["weight"] = np.ones(60)
    damaged.write_bytes(b"PAR1")
    answer = asked(path, damaged, probe="scale_weights")
    assert set(answer["left"]) == {"in.h5", "bad.parquet"} and answer["files"] == {}
    assert "files of this format cannot be rewritten" in answer["problem"]


def test_large_files_are_altered_only_in_part(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakemake_executor_plugin_llmagent.probes.alter.LARGEST", 100)
    path = table(work, "parquet")
    assert "too large" in asked(path, probe="half_events")["problem"]
    take = {"least": 10, "most": 1000, "share": 10}
    assert asked(path, probe="copy", take=take)["problem"] == ""


# --- first entries --------------------------------------------------------------------------------------------------


def cut(*files: Path, entries: int = 60, above: int = 100, size: int = 10**9) -> dict[str, Any]:
    listed = [{"path": file.name, "place": str(file)} for file in files]
    return first({"files": listed, "entries": entries, "above": above, "size": size})


@pytest.mark.parametrize("suffix", FORMATS)
def test_large_inputs_are_cut(work: Path, suffix: str) -> None:
    path = table(work, suffix)
    answer = cut(path)
    assert answer["entries"] == {path.name: ROWS} and answer["left"] == {}
    sheet = load(Path("written") / answer["files"][path.name]).sheets[0]
    assert sheet.entries == 60 and np.allclose(sheet.columns["n"].values, np.arange(60))


def test_small_inputs_are_not_cut(work: Path) -> None:
    path = table(work, "parquet", rows=100)
    assert cut(path)["files"] == {} and cut(path, entries=100, above=0, size=0)["files"] == {}
    assert set(cut(path, size=10)["files"]) == {path.name}, "large in bytes"


def test_inputs_that_belong_together_are_cut_together(work: Path) -> None:
    large, friend, few = table(work, "parquet", "a"), table(work, "npz", "b", rows=90), table(work, "csv", "c", rows=30)
    assert set(cut(large, friend, few)["files"]) == {"a.parquet", "b.npz"}


def test_inputs_that_cannot_be_cut_are_whole(work: Path) -> None:
    (work / "bad.parquet").write_bytes(b"PAR1")
    answer = cut(table(work, "parquet"), work / "bad.parquet")
    assert set(answer["files"]) == {"in.parquet"} and set(answer["left"]) == {"bad.parquet"}
