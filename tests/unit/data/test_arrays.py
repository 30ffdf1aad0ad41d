"""NumPy's files, HDF5 and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, CannotWrite, Edit, Sheet
from snakemake_executor_plugin_llmagent.data.load import load, rewrite

ARRAYS: dict[str, Any] = {
    "m": np.arange(6, dtype="f4"),
    "three": np.arange(18.0).reshape(6, 3),
    "name": np.array(["a", "b", "c", "d", "e", "f"]),
    "edges": np.linspace(0, 1, 4),
    "luminosity": np.array(10.064),
    "n": np.arange(6, dtype="u2"),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.npz"
    np.savez_compressed(path, **ARRAYS)
    return path


def keep(sheet: Sheet) -> None:
    return None


def test_arrays_of_one_length_are_a_table(source: Path) -> None:
    events, edges = load(source).sheets
    assert (list(events.columns), events.entries) == (["m", "three", "name", "n"], 6)
    assert (list(edges.columns), edges.entries, edges.name) == (["edges"], 4, "of length 4")
    assert load(source, limit=2).sheets[0].shown == 2


def test_a_copy_is_the_same(source: Path, tmp_path: Path) -> None:
    rewrite(source, tmp_path / "out.npz", keep)
    with np.load(tmp_path / "out.npz") as after:
        assert after.files == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert np.array_equal(after[name], array) and after[name].dtype == array.dtype


def test_rows_columns_and_types(source: Path, tmp_path: Path) -> None:
    def change(sheet: Sheet) -> Edit | None:
        if "m" not in sheet.columns:
            return None
        return Edit(rows=np.array([4, 1]), columns={"n": Array(values=np.array([9.0, 8.0]))}, drop=frozenset({"name"}))

    assert rewrite(source, tmp_path / "out.npz", change) == ("arrays",)
    with np.load(tmp_path / "out.npz") as after:
        assert after.files == [name for name in ARRAYS if name != "name"]
        assert after["m"].tolist() == [4, 1] and after["m"].dtype == "f4"
        assert after["three"].tolist() == ARRAYS["three"][[4, 1]].tolist()
        assert after["n"].tolist() == [9, 8] and after["n"].dtype == "u2"
        assert after["edges"].tolist() == ARRAYS["edges"].tolist() and after["luminosity"] == 10.064


def test_a_limit_cuts_what_is_longer(source: Path, tmp_path: Path) -> None:
    rewrite(source, tmp_path / "out.npz", keep, limit=5)
    with np.load(tmp_path / "out.npz") as after:
        assert (len(after["m"]), len(after["edges"])) == (5, 4)


@pytest.mark.parametrize("linked", [np.array([0, 2, 2, 7]), np.array([2, 0, 5])])
def test_lists_in_two_arrays_are_left_alone(tmp_path: Path, linked: Any) -> None:
    source = tmp_path / "in.npz"
    np.savez(source, pt=np.arange(7.0), how_many=linked)
    with pytest.raises(CannotWrite, match="'how_many' says how arrays of length 7 are divided"):
        rewrite(source, tmp_path / "out.npz", keep)


def test_one_array(tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, np.arange(8, dtype="f4").reshape(4, 2))
    assert load(source).sheets[0].columns["array"].values.shape == (4, 2)
    rewrite(source, target, lambda sheet: Edit(rows=np.array([3, 0])))
    assert np.load(target).tolist() == [[6, 7], [0, 1]]


def test_one_array_of_records(tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    records = np.array([(1, 2.5, "x"), (3, 4.5, "y")], dtype=[("a", "i2"), ("b", "f8"), ("c", "U3")])
    np.save(source, records)
    assert list(load(source).sheets[0].columns) == ["a", "b", "c"]
    rewrite(source, target, keep)
    assert np.array_equal(np.load(target), records)
    rewrite(source, target, lambda sheet: Edit(rows=np.array([1]), drop=frozenset({"b"})))
    after = np.load(target)
    assert after.dtype == np.dtype([("a", "i2"), ("c", "U3")]) and after.tolist() == [(3, "y")]


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    source = tmp_path / "in.npz"
    np.savez(source, evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CannotRead, match="allow_pickle"):
        load(source)
    with pytest.raises(CannotWrite):
        rewrite(source, tmp_path / "out.npz", keep)
    assert not (tmp_path / "out.npz").exists()


def test_hdf5_is_read_and_not_written(tmp_path: Path) -> None:
    source = tmp_path / "in.h5"
    with h5py.File(source, "w") as file:
        file["group/x"] = np.arange(3)
        file["group/title"] = "no numbers"
    assert list(load(source).sheets[0].columns) == ["group/x"]
    with pytest.raises(CannotWrite, match="cannot be rewritten"):
        rewrite(source, tmp_path / "out.h5", keep)


def test_an_image_is_read_on_white_ground(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    image = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    image.putpixel((0, 0), (255, 0, 0, 255))
    image.save(source)
    pixels = load(source).pixels
    assert pixels is not None and pixels.shape == (2, 4, 3)
    assert pixels[0, 0].tolist() == [255, 0, 0] and pixels[1, 3].tolist() == [255, 255, 255]


def test_what_is_no_data_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.doc").write_text("hello")
    with pytest.raises(CannotRead, match="no format that holds data"):
        load(tmp_path / "notes.doc")
    with pytest.raises(CannotWrite, match="of this format"):
        rewrite(tmp_path / "notes.doc", tmp_path / "out.doc", keep)
