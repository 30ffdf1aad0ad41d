"""Any file: which format it is in, and what becomes of those that are odd."""

from __future__ import annotations

import ast
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import snakemake_executor_plugin_llmagent.formats as formats
from snakemake_executor_plugin_llmagent.formats import describe, sniff
from tests.unit.formats.support import column, table


def test_nothing_but_the_standard_library_is_imported_with_the_package() -> None:
    own = "snakemake_executor_plugin_llmagent"
    for path in Path(formats.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.partition(".")[0]
                assert top in sys.stdlib_module_names or top == own, f"{path.name} imports {name}"


def test_a_path_without_a_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        describe(tmp_path / "nothing.root")


@pytest.mark.parametrize("name", ["a.root", "a.parquet", "a.json", "a.png", "a.csv", "a.txt", "a.unknown", "a.npz"])
def test_empty_files_do_not_open(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    description = describe(tmp_path / name)
    assert (description.opened, description.problem, description.size_bytes) == (False, "is empty", 0)


@pytest.mark.parametrize("suffix", [suffix for suffix, format in sniff.SUFFIXES.items() if format != "text"])
def test_garbage_does_not_open(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(bytes(range(256)) * 20)
    description = describe(path)
    assert (description.opened, description.format) == (False, sniff.SUFFIXES[suffix])
    assert description.problem and "\n" not in description.problem


@pytest.mark.parametrize("name", ["a.root", "a.parquet", "a.png", "a.h5", "a.npy"])
def test_text_in_disguise_does_not_open(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Sorry, the file could not be written.\n")
    assert describe(tmp_path / name).opened is False


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, database=None)
@given(data=st.binary(min_size=1, max_size=300), suffix=st.sampled_from([*sniff.SUFFIXES, "", ".gz", ".csv.gz"]))
def test_no_content_raises(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(data)
    assert describe(path).opened in (True, False, None)


def test_contents_decide_where_the_name_says_nothing(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "a.root") as file:
        file["h"] = (np.array([1.0]), np.array([0.0, 1.0]))
    pq.write_table(pa.table({"x": [1]}), tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "a.txt").write_text("words")
    expected = {"root": "root", "parquet": "parquet", "npz": "npz", "png": "image", "json": "json", "txt": "text"}
    for suffix, format in expected.items():
        plain = (tmp_path / f"a.{suffix}").rename(tmp_path / f"file_{suffix}")
        description = describe(plain)
        assert (description.format, description.opened) == (format, True)


def test_texts_that_begin_like_a_binary_format(tmp_path: Path) -> None:
    for word in ("root", "PAR1", "root cause"):
        (tmp_path / "a.txt").write_text(word)
        assert describe(tmp_path / "a.txt").opened is True


def test_unknown_bytes_are_not_judged(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04\x95\x00\x00\x00")
    description = describe(tmp_path / "model.pkl")
    assert (description.format, description.opened) == ("binary", None)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    description = describe(tmp_path / "a.json")
    assert (description.opened, description.problem) == (False, "is not a regular file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.json").chmod(0)
    description = describe(tmp_path / "a.json")
    assert description.opened is False and "cannot be read" in (description.problem or "")


def test_images_tell_whether_they_show_anything(tmp_path: Path) -> None:
    Image.new("RGB", (100, 50), "white").save(tmp_path / "blank.png")
    noise = np.random.default_rng(0).integers(0, 255, (50, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.jpg")
    blank = table(describe(tmp_path / "blank.png"))
    assert column(blank, "pixels").n_distinct_capped == 1
    assert blank.note == "PNG, 100 x 50 pixels, all of the same colour"
    found = table(describe(tmp_path / "noise.jpg"))
    assert (column(found, "pixels").n_distinct_capped, column(found, "pixels").n_values) == (3, 3000)
    assert found.note == "JPEG, 60 x 50 pixels"
    for name in ("blank.png", "noise.jpg"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
        assert describe(tmp_path / name).opened is False


def test_images_that_are_too_large_or_have_no_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (9_000, 6_000)).save(tmp_path / "large.png")
    Image.new("1", (15_000, 15_000)).save(tmp_path / "larger.png")
    assert describe(tmp_path / "large.png").opened is None
    assert describe(tmp_path / "larger.png").opened is None
    for module in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, module, None)
    description = describe(tmp_path / "large.png")
    assert (description.format, description.opened) == ("image", None)
    assert "pillow" in (description.problem or "")


def test_pdf_and_svg(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\n" + b"x" * 100 + b"\n%%EOF\n")
    (tmp_path / "a.svg").write_text('<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>')
    assert describe(tmp_path / "a.pdf").opened is True
    assert describe(tmp_path / "a.svg").opened is True
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\n" + b"x" * 100)
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg">')
    assert describe(tmp_path / "a.pdf").opened is False
    assert describe(tmp_path / "a.svg").opened is False


def test_directories(tmp_path: Path) -> None:
    assert describe(tmp_path).problem == "is empty"
    (tmp_path / "below").mkdir()
    for number in range(60):
        (tmp_path / "below" / f"{number:02d}.json").write_text('{"a": 1}')
    (tmp_path / "notes\x1b.txt").write_text("words")
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nowhere")
    description = describe(tmp_path)
    assert (description.format, description.opened) == ("directory", True)
    assert table(description).entries == 62
    assert column(table(description, "below/00.json"), "a").minimum == 1.0
    assert "notes\\x1b.txt" in (description.excerpt or "") or "more files" in (description.excerpt or "")
    assert table(description, "dangling.csv").note == "is a link to nothing"
    assert len((description.excerpt or "").splitlines()) <= 51


def test_a_directory_with_very_many_files_is_listed_in_part(tmp_path: Path) -> None:
    for number in range(2100):
        (tmp_path / f"{number}.txt").touch()
    description = describe(tmp_path)
    assert table(description).entries is None
    assert "too many" in (description.tables[0].note or "")


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    for number in range(6):
        with uproot.recreate(tmp_path / f"{number}.root") as file:
            file.mktree("t", {"x": np.dtype("f8")})
            file["t"].extend({"x": np.arange(100.0 + number)})
        pq.write_table(pa.table({"x": np.arange(50.0 + number)}), tmp_path / f"{number}.parquet")
        (tmp_path / f"{number}.json").write_text(f'{{"a": {number}}}')
    paths = sorted(tmp_path.iterdir())
    alone = [describe(path) for path in paths]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(describe, paths * 4)) == alone * 4
