"""Parquet files are read as a table, and copied with types, nulls, nested columns, metadata and compression."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, CannotWrite, Edit, Sheet
from snakemake_executor_plugin_llmagent.data.load import load, rewrite


@pytest.fixture
def source(tmp_path: Path) -> Path:
    table = pa.table(
        {
            "i": pa.array([1, None, 3, 4], pa.int32()),
            "f": pa.array([1.5, None, 2.5, 2], pa.float32()),
            "g": pa.array([1.0, float("nan"), 3.0, 4.0]),
            "s": ["a", None, "ç", "d"],
            "list": pa.array([[1.0, 2.0], None, [], [3.0]], pa.list_(pa.float32())),
            "words": [["x"], [], None, ["y", "z"]],
            "record": pa.array([{"a": 1}] * 4),
            "b": [True, None, False, True],
            "kind": pa.array(["p", "q", "p", "p"]).dictionary_encode(),
            "time": pa.array([datetime.datetime(2020, 1, 1)] * 4),
            "pair": pa.array([[1, 2]] * 4, pa.list_(pa.int8(), 2)),
            "u": pa.array([1, 2, 3, 2**63], pa.uint64()),
            "price": pa.array([1, 2, 3, 4], pa.decimal128(5, 2)),
        }
    ).replace_schema_metadata({"unit": "GeV"})
    path = tmp_path / "in.parquet"
    pq.write_table(table, path, row_group_size=2, compression="gzip")
    return path


def keep(sheet: Sheet) -> None:
    return None


def test_columns_are_read(source: Path) -> None:
    (sheet,) = load(source).sheets
    assert (sheet.name, sheet.entries, sheet.opaque) == ("", 4, ("record", "pair"))
    assert np.array_equal(sheet.columns["i"].values, [1, np.nan, 3, 4], equal_nan=True)
    assert sheet.columns["f"].values.dtype == "f4" and sheet.columns["u"].values[3] == 2**63
    lists = sheet.columns["list"]
    assert lists.offsets is not None
    assert (lists.values.tolist(), lists.offsets.tolist()) == ([1, 2, 3], [0, 2, 2, 2, 3])
    assert sheet.columns["words"].values.tolist() == ["x", "y", "z"]
    assert not sheet.columns["s"].numeric and not sheet.columns["b"].numeric


def test_only_the_first_rows_are_read(source: Path) -> None:
    (sheet,) = load(source, limit=3).sheets
    assert (sheet.entries, sheet.shown) == (4, 3)


def test_a_copy_is_the_same(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    assert rewrite(source, target, keep) == ()
    before, after = pq.read_table(source), pq.read_table(target)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after.drop_columns("g").equals(before.drop_columns("g"))
    assert str(after["g"].to_pylist()) == "[1.0, nan, 3.0, 4.0]"
    assert pq.ParquetFile(target).metadata.row_group(0).column(0).compression == "GZIP"


def test_rows_are_taken_and_columns_dropped(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    change = Edit(rows=np.array([3, 1, 3]), drop=frozenset({"s", "record"}))
    assert rewrite(source, target, lambda sheet: change) == ("table",)
    before, after = pq.read_table(source), pq.read_table(target)
    assert after.column_names == [name for name in before.column_names if name not in ("s", "record")]
    for name in after.column_names:
        if name != "g":
            assert after[name].to_pylist() == [before[name].to_pylist()[row] for row in (3, 1, 3)]
            assert after[name].type == before[name].type
    assert after.schema.metadata == {b"unit": b"GeV"}


def test_replaced_columns_keep_type_and_nulls(source: Path, tmp_path: Path) -> None:
    def change(sheet: Sheet) -> Edit:
        doubled = {name: Array(values=sheet.columns[name].values * 2) for name in ("i", "f", "g")}
        lists = sheet.columns["list"]
        return Edit(columns={**doubled, "list": Array(values=lists.values * 2, offsets=lists.offsets)})

    target = tmp_path / "out.parquet"
    rewrite(source, target, change)
    after = pq.read_table(target)
    assert after.schema.equals(pq.read_table(source).schema, check_metadata=True)
    assert after["i"].to_pylist() == [2, None, 6, 8]
    assert after["f"].to_pylist() == [3.0, None, 5.0, 4.0]
    assert after["g"].null_count == 0
    assert after["list"].to_pylist() == [[2.0, 4.0], [], [], [6.0]]


@pytest.mark.parametrize(("limit", "rows"), [(3, 3), (0, 0), (99, 4)])
def test_a_limit_cuts_the_table(source: Path, tmp_path: Path, limit: int, rows: int) -> None:
    rewrite(source, tmp_path / "out.parquet", keep, limit=limit)
    assert pq.read_table(tmp_path / "out.parquet").num_rows == rows


def test_an_empty_table_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"x": pa.array([], pa.float32())}), source)
    rewrite(source, tmp_path / "out.parquet", keep)
    assert pq.read_table(tmp_path / "out.parquet").equals(pq.read_table(source))
    assert load(source).sheets[0].entries == 0


def test_pandas_finds_its_own_back(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pandas.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "c"]}).to_parquet(source)
    rewrite(source, target, lambda sheet: Edit(rows=np.array([2, 0]), drop=frozenset({"y"})))
    assert pandas.read_parquet(target)["x"].tolist() == [3.0, 1.0]


def test_lists_do_not_fit_into_a_column_of_numbers(source: Path, tmp_path: Path) -> None:
    lists = Array(values=np.ones(4), offsets=np.arange(5))
    with pytest.raises(CannotWrite, match="lists cannot be written"):
        rewrite(source, tmp_path / "out.parquet", lambda sheet: Edit(columns={"f": lists}))


def test_a_damaged_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(CannotRead, match="cannot be read as parquet"):
        load(path)
