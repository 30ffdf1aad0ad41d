from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks import content_checks, run_checks
from snakemake_executor_plugin_llmagent.formats import describe
from snakemake_executor_plugin_llmagent.protocols import Column, FileDescription, Finding, Item, Severity, Table
from snakemake_executor_plugin_llmagent.spec import Kind
from tests.unit.support import a_trial, names

GOOD = np.linspace(100.0, 160.0, 50)
NAN = np.full(50, np.nan)
HALF = np.where(np.arange(50) % 2, GOOD, np.nan)
SAME = np.full(50, 1.0)


def found(path: Path, kind: Kind = Kind.FILE) -> tuple[Finding, ...]:
    items = [Item(name="out", path=path.name, kind=kind)]
    return run_checks(content_checks(describe), a_trial(path.parent, outputs=items))


def root(path: Path, values: np.ndarray) -> None:
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(path) as file:
        file["t"] = {"m": values}


def parquet(path: Path, values: np.ndarray) -> None:
    arrow, module = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    module.write_table(arrow.table({"m": values}), path)


def npz(path: Path, values: np.ndarray) -> None:
    np.savez(path, m=values)


def as_json(path: Path, values: np.ndarray) -> None:
    path.write_text(json.dumps({"m": values.tolist()}))


WRITERS = {"a.root": root, "a.parquet": parquet, "a.npz": npz, "a.json": as_json}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("values", "expected"),
    [(GOOD, []), (NAN, ["output.all_nan"]), (HALF, ["output.some_nan"]), (SAME, ["output.constant"])],
    ids=["good", "all NaN", "some NaN", "constant"],
)
def test_numbers(tmp_path: Path, name: str, values: np.ndarray, expected: list[str]) -> None:
    WRITERS[name](tmp_path / name, values)
    findings = found(tmp_path / name)
    assert names(findings) == expected
    for finding in findings:
        assert f"`{name}` (`snakemake.output.out`)" in finding.message
        assert finding.severity is (Severity.WARNING if finding.check == "output.some_nan" else Severity.ERROR)


@pytest.mark.parametrize("name", ["a.json", "a.root", "a.parquet", "a.png", "a.npz", "a.h5", "a.npy", "a.yaml"])
@pytest.mark.parametrize("data", [b"\x00\x01garbage" * 20, b"[1, 2"], ids=["garbage", "cut"])
def test_files_that_are_not_what_their_name_says(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (finding,) = found(tmp_path / name)
    assert finding.check == "output.unreadable"
    assert "is not a readable" in finding.message


@pytest.mark.parametrize("name", WRITERS)
def test_files_that_are_cut_short(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    WRITERS[name](path, GOOD)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert names(found(path)) == ["output.unreadable"]


def picture(path: Path, draw: Callable[[np.ndarray], None]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.full((40, 60, 3), 255, dtype=np.uint8)
    draw(pixels)
    image.fromarray(pixels).save(path)


def test_an_image_that_shows_nothing(tmp_path: Path) -> None:
    picture(tmp_path / "blank.png", lambda pixels: None)
    (finding,) = found(tmp_path / "blank.png")
    assert finding.check == "output.constant"
    assert "shows nothing" in finding.message


def test_an_image_that_shows_something(tmp_path: Path) -> None:
    picture(tmp_path / "curve.png", lambda pixels: pixels.__setitem__((slice(10, 20), slice(10, 20)), 0))
    assert found(tmp_path / "curve.png") == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fit.json", '{"mass": 125.1, "valid": true}'),
        ("few.json", '{"m": [1, 1, 1]}'),
        ("notes.txt", "all is well\n"),
        ("table.csv", "a,b\n1,2\n3,4\n"),
        ("model.bin", "\x00\x01\x02"),
    ],
)
def test_small_results_and_other_formats_are_left_alone(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert found(tmp_path / name) == ()


def test_one_column_that_varies_is_enough(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weights=SAME, mass=GOOD)
    assert found(tmp_path / "a.npz") == ()


def test_what_is_not_there_is_left_to_others(tmp_path: Path) -> None:
    assert found(tmp_path / "none.json") == ()
    (tmp_path / "empty.json").touch()
    assert found(tmp_path / "empty.json") == ()
    (tmp_path / "folder").mkdir()
    assert found(tmp_path / "folder", Kind.DIRECTORY) == ()
    assert found(tmp_path / "folder") == ()
    assert run_checks(content_checks(describe), a_trial(tmp_path, layout=None)) == ()


def test_names_from_a_file_are_made_harmless(tmp_path: Path) -> None:
    column = Column(name="m\x1b[2J\nIgnore", type="float64", n_values=3, n_nonfinite=3)

    def look(path: Path) -> FileDescription:
        return FileDescription(
            path=path, format="root", size_bytes=1, tables=(Table(name="t\u202e", kind="TTree", columns=(column,)),)
        )

    (tmp_path / "a.root").write_text("x")
    trial = a_trial(tmp_path, outputs=[Item(name="out", path="a.root")])
    (finding,) = run_checks(content_checks(look), trial)
    assert "`m\\x1b[2J Ignore` in `t\\u202e`" in finding.message


def test_a_format_whose_reader_is_missing_is_not_the_scripts_fault(tmp_path: Path) -> None:
    def look(path: Path) -> FileDescription:
        return FileDescription(path=path, format="hdf5", size_bytes=1, opened=None, problem="needs h5py")

    (tmp_path / "a.h5").write_text("x")
    trial = a_trial(tmp_path, outputs=[Item(name="out", path="a.h5")])
    assert run_checks(content_checks(look), trial) == ()
