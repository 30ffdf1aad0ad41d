"""Parquet, NumPy and HDF5."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snakemake_executor_plugin_llmagent.formats import describe
from tests.unit.formats.support import bytes_read, column, read_by_describe, table


def test_parquet_columns_of_all_sorts(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            pa.field("pt", pa.float32(), metadata={"unit": "MeV"}),
            pa.field("jagged", pa.list_(pa.float64())),
            pa.field("photon", pa.struct([("e", pa.float64()), ("name", pa.string())])),
            pa.field("category", pa.dictionary(pa.int32(), pa.string())),
            pa.field("fixed", pa.list_(pa.int16(), 2)),
            pa.field("when", pa.timestamp("us")),
        ]
    )
    rows = {
        "pt": [1.5, None, float("nan")],
        "jagged": [[1.0, 2.0], [], None],
        "photon": [{"e": 1.0, "name": "x"}] * 3,
        "category": ["u", "v", "u"],
        "fixed": [[1, 2]] * 3,
        "when": [0, 1, 2],
    }
    pq.write_table(pa.table(rows, schema=schema), tmp_path / "a.parquet")
    found = table(describe(tmp_path / "a.parquet"))
    assert (found.kind, found.entries, found.looked_at) == ("table", 3, 3)
    pt = column(found, "pt")
    assert (pt.type, pt.unit, pt.maximum, pt.n_values, pt.n_nonfinite) == ("float32", "MeV", 1.5, 3, 2)
    assert (column(found, "jagged").type, column(found, "jagged").per_entry) == ("var * float64", (0, 2))
    assert (column(found, "photon.e").type, column(found, "photon.name").examples) == ("float64", ("x",))
    assert (column(found, "category").type, column(found, "category").examples) == ("category<string>", ("u", "v"))
    assert column(found, "fixed").type == "2 * int16"
    assert column(found, "when").type == "timestamp[us]"


def test_parquet_ranges_cover_all_row_groups_by_statistics(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": np.arange(50_000.0)}), tmp_path / "a.parquet", row_group_size=5_000)
    found = table(describe(tmp_path / "a.parquet"))
    assert (found.looked_at, column(found, "x").maximum, column(found, "x").n_values) == (5_000, 49_999.0, 5_000)
    assert "statistics" in (found.note or "")


def test_parquet_without_rows_and_with_equal_names(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([], pa.float64())}), tmp_path / "a.parquet")
    found = table(describe(tmp_path / "a.parquet"))
    assert (found.entries, found.columns[0].type, found.columns[0].minimum) == (0, "float64", None)
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), tmp_path / "b.parquet")
    assert [each.type for each in table(describe(tmp_path / "b.parquet")).columns] == ["int64", "int64"]


def test_a_large_parquet_file_is_read_in_small_part(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "small.parquet")
    path = tmp_path / "large.parquet"
    columns = {name: generator.normal(size=600_000) for name in "abcd"}
    pq.write_table(pa.table(columns), path, use_dictionary=False, compression="none")
    assert path.stat().st_size > 19_000_000
    assert read_by_describe(path, tmp_path / "small.parquet") < 8_000_000
    assert table(describe(path)).looked_at == 10_000


def test_npz_members(tmp_path: Path) -> None:
    structured = np.zeros(5, dtype=[("a", "f4"), ("b", "i8", (2,)), ("s", "U5")])
    np.savez(tmp_path / "a.npz", x=np.arange(4.0), scalar=np.array(3.0), st=structured, empty=np.zeros((0, 3)))
    description = describe(tmp_path / "a.npz")
    assert column(table(description, "x"), "x").maximum == 3.0
    scalar = table(description, "scalar")
    assert (scalar.entries, scalar.columns[0].minimum) == (None, 3.0)
    assert [each.type for each in table(description, "st").columns] == ["float32", "2 * int64", "string"]
    assert (table(description, "empty").entries, table(description, "empty").note) == (0, "shape (0, 3)")


def test_pickled_arrays_are_not_read(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    found = table(describe(tmp_path / "a.npy"))
    assert (found.entries, found.columns[0].type) == (1, "object")
    assert "pickled" in (found.note or "")
    assert not (tmp_path / "sprung").exists()


def test_a_huge_npy_is_read_in_small_part(tmp_path: Path) -> None:
    path = tmp_path / "huge.npy"
    with path.open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (1_000_000_000,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 8_000_000_000)
    found = table(describe(path))
    assert (found.entries, found.looked_at, found.columns[0].n_distinct_capped) == (1_000_000_000, 10_000, 1)
    assert bytes_read(lambda: describe(path)) < 1_000_000


def test_npy_that_lies_about_its_length(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
        file.write(b"\0" * 80)
    description = describe(path)
    assert description.opened is False and "cut short" in (description.problem or "")


def test_npy_in_two_dimensions(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(60_000).reshape(20_000, 3))
    found = table(describe(tmp_path / "a.npy"))
    assert (found.entries, found.looked_at, found.columns[0].type) == (20_000, 10_000, "3 * int64")


def test_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("events")
        group["pt"] = np.arange(20_000.0)
        group["pt"].attrs["unit"] = "GeV"
        group.create_dataset("eta", data=np.zeros((20_000, 2)), chunks=(1000, 2), compression="gzip")
        file["names"] = ["a", "b"]
        file["compound"] = np.zeros(4, dtype=[("x", "f4"), ("y", "i4")])
        file["scalar"] = 3.0
        jagged = file.create_dataset("jagged", (3,), dtype=h5py.vlen_dtype(np.float32))
        jagged[0], jagged[2] = [1, 2], [3]
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/x")
        file.attrs["title"] = "made by a test"
    description = describe(tmp_path / "a.h5")
    events = table(description, "events")
    assert (events.entries, events.looked_at) == (20_000, 10_000)
    assert (column(events, "pt").unit, column(events, "eta").type) == ("GeV", "2 * float64")
    flat = {each.name: each for found in description.tables for each in found.columns}
    assert flat["names"].examples == ("a", "b")
    assert (flat["compound.x"].type, flat["compound.y"].type) == ("float32", "int32")
    assert flat["scalar"].minimum == 3.0
    assert (flat["jagged"].type, flat["jagged"].per_entry) == ("var * float32", (0, 2))
    assert table(description, "elsewhere").note == "was not followed"
    assert any("made by a test" in (found.note or "") for found in description.tables)


def test_a_large_hdf5_file_is_read_in_small_part(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["x"] = 1.0
    path = tmp_path / "large.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(1_500_000)
        file.create_dataset("one_chunk", data=np.zeros(2_500_000), chunks=(2_500_000,))
    assert read_by_describe(path, tmp_path / "small.h5") < 1_000_000
    found = {each.name: each for each in (c for t in describe(path).tables for c in t.columns)}
    assert (found["x"].n_values, found["one_chunk"].n_values) == (10_000, 0)


def _written(path: Path) -> Path:
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.table({"x": np.arange(1000.0)}), path)
        case ".h5":
            with h5py.File(path, "w") as file:
                file["x"] = np.arange(1000.0)
        case ".npz":
            np.savez_compressed(path, x=np.random.default_rng(0).normal(size=1000))
        case _:
            np.save(path, np.arange(1000.0))
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.h5", "a.npz", "a.npy"])
@pytest.mark.parametrize("keep", [0.01, 0.5, 0.9])
def test_truncated_files_do_not_open(tmp_path: Path, name: str, keep: float) -> None:
    path = _written(tmp_path / name)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    description = describe(path)
    assert description.opened is False and description.problem


# Not Parquet and HDF5: their native readers can abort on damaged metadata, see the package's docstring.
@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_damage_never_raises(tmp_path: Path, name: str) -> None:
    whole = _written(tmp_path / name).read_bytes()
    generator = np.random.default_rng(2)
    for _ in range(40):
        damaged = bytearray(whole)
        for position in generator.integers(0, len(whole), 10):
            damaged[position] = int(generator.integers(0, 256))
        (tmp_path / name).write_bytes(damaged)
        assert describe(tmp_path / name).opened in (True, False)


@pytest.mark.parametrize(
    ("name", "modules", "package"),
    [("a.parquet", ["pyarrow", "pyarrow.parquet"], "pyarrow"), ("a.h5", ["h5py"], "h5py")],
)
def test_a_missing_reader_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, modules: list[str], package: str
) -> None:
    path = _written(tmp_path / name)
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    description = describe(path)
    assert description.opened is None
    assert description.format == {"a.parquet": "parquet", "a.h5": "hdf5"}[name]
    assert package in (description.problem or "")
    assert "snakemake-executor-plugin-llmagent[hep]" in (description.problem or "")
