"""`phys/awkward/flatten`: columns against plain loops, padding, order and types; what is refused."""

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

WRAPPER = "phys/awkward/flatten"
PAPER = [f"{name}{number}_{key}" for name, most in (("ph", 2), ("lep", 2), ("jet", 6))
         for number in range(1, most + 1) for key in ("pt", "eta", "phi")]  # fmt: skip
PAPER += ["met_pt", "met_phi", "weight", "ph1_isTightID", "ph2_isTightID"]


def sample(number: int = 150, seed: int = 8) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "event_number": np.arange(number) + 2**40,
        "weight": random.normal(0.5, 1, number),
        "passes": random.random(number) < 0.5,
    }
    for name, most in (("photon", 4), ("jet", 9)):
        lengths = random.integers(0, most, number)
        total = int(lengths.sum())
        columns[f"{name}_pt"] = ak.unflatten(20 + random.exponential(30, total), lengths)
        columns[f"{name}_eta"] = ak.unflatten(random.uniform(-2, 2, total), lengths)
        columns[f"{name}_is_tight"] = ak.unflatten(random.random(total) < 0.5, lengths)
    return columns


def write(path: Path, columns: dict[str, Any]) -> Path:
    if path.suffix == ".parquet":
        ak.to_parquet(ak.zip(columns, depth_limit=1), path, row_group_size=61)
    else:
        with uproot.recreate(path) as file:
            file.mktree("events", columns)
    return path


def flatten(tmp_path: Path, events: dict[str, Any], /, out: str = "out.npz", **params: Any) -> dict[str, np.ndarray]:
    source = write(tmp_path / "in.parquet", events)
    kit.call(WRAPPER, tmp_path, input=[source], output=[tmp_path / out], params=params)
    with np.load(tmp_path / out) as file:
        return {name: file[name] for name in file.files if name != "provenance"}


def by_hand(columns: dict[str, Any], name: str, number: int, fill: float, sort: str | None) -> np.ndarray:
    rows = []
    for event in range(len(columns["weight"])):
        values = [float(one) for one in columns[name][event]]
        if sort:
            ranks = np.argsort([-float(one) for one in columns[sort][event]], kind="stable")
            values = [values[place] for place in ranks]
        rows.append([*values[:number], *[fill] * (number - len(values))])
    return np.array(rows)


def test_snakefile(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    data = ak.from_parquet(folder / "data/events.parquet")
    columns = {name: data[name] for name in data.fields}
    names = json.loads((folder / "results/columns.json").read_text())["columns"]
    assert names == PAPER
    matrix = np.load(folder / "results/arrays.npy", allow_pickle=False)
    assert matrix.shape == (2000, 35)
    assert matrix.dtype == np.float32
    expected = [
        (short, long, most, by_hand(columns, f"{long}_{key}", most, 0.0, f"{long}_pt"), key)
        for short, long, most in (("ph", "photon", 2), ("lep", "lepton", 2), ("jet", "jet", 6))
        for key in ("pt", "eta", "phi")
    ]
    for short, _, most, values, key in expected:
        found = matrix[:, [names.index(f"{short}{number}_{key}") for number in range(1, most + 1)]]
        np.testing.assert_array_equal(found, values.astype(np.float32))
    np.testing.assert_array_equal(matrix[:, names.index("met_pt")], np.asarray(columns["met"], dtype=np.float32))
    tight = by_hand(columns, "photon_is_tight", 2, 0.0, "photon_pt")
    np.testing.assert_array_equal(matrix[:, -2:], tight)
    table = pq.read_table(folder / "results/features.parquet")
    assert table.column_names == [
        "photon_pt_1", "photon_eta_1", "photon_pt_2", "photon_eta_2", "jet_pt_1", "jet_pt_2", "jet_pt_3",
        "event_number", "weight", "met",
    ]  # fmt: skip
    jets = by_hand(columns, "jet_pt", 3, math.nan, "jet_pt")
    np.testing.assert_array_equal(table["jet_pt_3"].to_numpy(), jets[:, 2].astype(np.float32))
    assert table["event_number"].to_pylist() == list(range(2000))
    assert json.loads(table.schema.metadata[b"provenance"])["wrapper"] == WRAPPER


@pytest.mark.parametrize("sort", ["pt", None])
def test_padding_order_and_chunks(tmp_path: Path, sort: str | None) -> None:
    columns = sample()
    found = flatten(
        tmp_path, columns, columns={"photon_pt": 2, "photon_eta": 3, "jet_pt": 10}, keep=["passes", "event_number"],
        sort=sort, fill={"photon_eta": -9}, dtype="float64", step_size=23,
    )  # fmt: skip
    order = ["photon_pt1", "photon_eta1", "photon_pt2", "photon_eta2", "photon_eta3"]
    assert list(found) == [*order, *(f"jet_pt{number}" for number in range(1, 11)), "passes", "event_number"]
    for name, number, fill in (("photon_pt", 2, math.nan), ("photon_eta", 3, -9.0), ("jet_pt", 10, math.nan)):
        expected = by_hand(columns, name, number, fill, sort and f"{name.partition('_')[0]}_pt")
        np.testing.assert_array_equal(np.stack([found[f"{name}{n}"] for n in range(1, number + 1)], axis=1), expected)
    assert found["passes"].dtype == bool
    assert found["event_number"].dtype == np.int64
    assert found["event_number"].tolist() == columns["event_number"].tolist()


def test_objects_of_equal_pt_keep_their_order(tmp_path: Path) -> None:
    columns = {"jet_pt": ak.Array([[30.0, 50.0, 30.0, 50.0]]), "jet_eta": ak.Array([[1.0, 2.0, 3.0, 4.0]])}
    found = flatten(tmp_path, columns, columns={"jet_eta": 4})
    assert [found[f"jet_eta{number}"][0] for number in range(1, 5)] == [2, 4, 1, 3]


def test_scale_and_names(tmp_path: Path) -> None:
    columns = sample()
    found = flatten(
        tmp_path, columns, columns={"photon_pt": 1}, keep=["weight"], scale={"photon_pt": 0.001, "weight": 2},
        names="<collection><number>_<variable>", rename={"photon": "y", "weight": "w"}, fill=-1, dtype="float64",
    )  # fmt: skip
    assert list(found) == ["y1_pt", "w"]
    expected = by_hand(columns, "photon_pt", 1, math.nan, "photon_pt")[:, 0] * 0.001
    np.testing.assert_allclose(found["y1_pt"], np.where(np.isnan(expected), -1, expected), rtol=1e-15)
    np.testing.assert_allclose(found["w"], 2 * columns["weight"], rtol=1e-15)


def test_fixed_size_branches_of_a_tree(tmp_path: Path) -> None:
    grid = np.arange(12.0).reshape(4, 3)
    source = write(tmp_path / "in.root", {"grid": grid, "met": np.arange(4.0)})
    kit.call(WRAPPER, tmp_path, input=[source], output=[tmp_path / "out.root"],
             params={"columns": {"grid": 2}, "sort": None, "keep": ["met"]})  # fmt: skip
    with uproot.open(tmp_path / "out.root") as file:
        found = file["events"].arrays(library="np")
        assert json.loads(str(file["provenance"]))["wrapper"] == WRAPPER
    assert found["grid2"].tolist() == grid[:, 1].tolist()
    assert found["met"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet"])
def test_same_bytes_again_and_several_files(tmp_path: Path, suffix: str) -> None:
    source = write(tmp_path / "in.parquet", sample())
    for number in (1, 2):
        output = {"table": tmp_path / str(number) / f"out{suffix}", "columns": tmp_path / str(number) / "columns.json"}
        params = {"columns": {"jet_pt": 3}, "keep": ["weight"]}
        kit.call(WRAPPER, tmp_path, input=[source, source], output=output, params=params, threads=number)
    one, two = (tmp_path / str(number) / f"out{suffix}" for number in (1, 2))
    assert one.read_bytes() == two.read_bytes()
    assert json.loads((tmp_path / "1/columns.json").read_text())["n_events"] == 300
    if suffix == ".npy":
        matrix = np.load(one, allow_pickle=False)
        np.testing.assert_array_equal(matrix[:150], matrix[150:])
        assert matrix.shape == (300, 4)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".parquet", ".root"])
def test_no_events(tmp_path: Path, suffix: str) -> None:
    none = {name: values[:0] for name, values in sample(10).items()}
    source = write(tmp_path / "in.parquet", none)
    output = {"table": tmp_path / f"out{suffix}", "columns": tmp_path / "columns.json"}
    kit.call(WRAPPER, tmp_path, input=[source], output=output, params={"columns": {"jet_pt": 2}, "keep": ["weight"]})
    assert json.loads((tmp_path / "columns.json").read_text())["n_events"] == 0
    if suffix == ".npy":
        assert np.load(tmp_path / "out.npy").shape == (0, 3)
    elif suffix == ".root":
        with uproot.open(tmp_path / "out.root") as file:
            assert file["events"].keys() == ["jet_pt1", "jet_pt2", "weight"]
            assert file["events"].num_entries == 0


def test_log_says_what_was_left_out(tmp_path: Path) -> None:
    columns = sample()
    flatten(tmp_path, columns, columns={"jet_pt": 3})
    events = int(ak.sum(ak.num(columns["jet_pt"]) > 3))
    assert f"jet: {events:,} events" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "name columns of lists"),
        ({"columns": {"photn_pt": 2}}, "Did you mean photon_pt"),
        ({"columns": {"photon_pt": 0}}, "1 or more"),
        ({"columns": ["photon_pt"]}, "is a mapping such as"),
        ({"columns": {"weight": 2}, "sort": None}, "is one value per event"),
        ({"keep": ["photon_pt"]}, "give it a number in columns"),
        ({"keep": ["wieght"]}, "Did you mean weight"),
        ({"keep": "weight"}, "keep is a list"),
        ({"columns": {"photon_pt": 2}, "sort": "e"}, "no column 'photon_e' to sort photon by"),
        ({"columns": {"photon_pt": 2}, "names": "<collection>"}, "two output columns are called 'photon'"),
        ({"columns": {"photon_pt": 2}, "names": "<nmber>"}, "Did you mean number"),
        ({"columns": {"photon_pt": 2}, "fill": "nan"}, "is not a number"),
        ({"columns": {"photon_pt": 2}, "scale": {"jet_pt": 0.001}}, "scale or fill: 'jet_pt' is not written"),
        ({"columns": {"photon_pt": 2}, "dtype": "int"}, "none of float32, float64"),
        ({"layout": "papers"}, "Did you mean paper"),
        ({"layout": "paper"}, "no column 'photon_phi'"),
    ],
)
def test_refused(tmp_path: Path, params: dict[str, Any], words: str) -> None:
    with pytest.raises(kit.WrapperFailed) as error:
        flatten(tmp_path, sample(10), **params)
    assert words in str(error.value)
    assert "Traceback" not in str(error.value)
    assert not (tmp_path / "out.npz").exists()


def test_columns_of_one_collection_must_be_of_the_same_objects(tmp_path: Path) -> None:
    columns = sample(10)
    columns["photon_jets"] = columns["jet_pt"]
    with pytest.raises(kit.WrapperFailed, match="they are not of the same objects"):
        flatten(tmp_path, columns, columns={"photon_pt": 1, "photon_jets": 1})


def test_a_matrix_needs_names_and_numbers_that_fit(tmp_path: Path) -> None:
    source = write(tmp_path / "in.parquet", sample(10))
    params = {"columns": {"jet_pt": 1}, "keep": ["event_number"]}
    with pytest.raises(kit.WrapperFailed, match="does not say what its columns are"):
        kit.call(WRAPPER, tmp_path, input=[source], output=[tmp_path / "out.npy"], params=params)
    output = {"table": tmp_path / "out.npy", "columns": tmp_path / "columns.json"}
    with pytest.raises(kit.WrapperFailed, match="cannot hold 'event_number' exactly"):
        kit.call(WRAPPER, tmp_path, input=[source], output=output, params=params)
    kit.call(WRAPPER, tmp_path, input=[source], output=output, params={**params, "dtype": "float64"})
    assert np.load(tmp_path / "out.npy")[:, 1].tolist() == [2**40 + number for number in range(10)]
