from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.sandbox import usage as module
from snakemake_executor_plugin_llmagent.sandbox.usage import OVER, usage


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "root"
    root.mkdir()
    yield root
    layout.remove(root)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def dig(place: Path, levels: int, name: str = "d") -> int:
    """A descriptor of the deepest directory."""
    here = os.open(place, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        here, above = os.open(name, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    return here


def test_nothing(root: Path) -> None:
    assert usage([str(root), str(root / "none")]) == (0, 0)
    assert usage([]) == (0, 0)


def test_room_and_entries(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "data").write_bytes(bytes(1 << 20))
    (root / "a" / "b" / "more").write_bytes(bytes(1 << 20))
    room, entries = usage([str(root)])
    assert 2 << 20 <= room < 3 << 20
    assert entries == 4
    assert usage([str(root / "a" / "b"), str(root / "a" / "b")])[1] == 2


def test_holes_need_no_room(root: Path) -> None:
    with (root / "sparse").open("wb") as handle:
        handle.truncate(1 << 40)
    assert usage([str(root)])[0] < 1 << 20


def test_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    (big / "data").write_bytes(bytes(1 << 20))
    (root / "folder").symlink_to(big)
    (root / "file").symlink_to(big / "data")
    (root / "loop").symlink_to(root)
    room, entries = usage([str(root)])
    assert room < 1 << 16 and entries == 3


def test_a_file_of_several_names_counts_once(root: Path) -> None:
    (root / "data").write_bytes(bytes(1 << 20))
    for number in range(9):
        (root / f"name{number}").hardlink_to(root / "data")
    room, entries = usage([str(root)])
    assert room < 2 << 20 and entries == 10


def test_nothing_hides_below_the_longest_path(root: Path) -> None:
    deep = dig(root, 60, "d" * 100)
    data = os.open("data", os.O_WRONLY | os.O_CREAT, dir_fd=deep)
    os.write(data, bytes(10 << 20))
    os.close(data)
    os.close(deep)
    room, entries = usage([str(root)])
    assert room >= 10 << 20 and entries == 61


@pytest.mark.parametrize(("levels", "over"), [(100, False), (101, True), (4000, True)])
def test_a_tree_that_is_too_deep(root: Path, levels: int, over: bool) -> None:
    os.close(dig(root, levels))
    assert usage([str(root)])[1] == (OVER if over else levels)
    assert (usage([str(root)], max_depth=levels)[1] == levels) or levels > 1000  # so many cannot be open at once


def test_a_tree_that_is_too_large(root: Path) -> None:
    for number in range(20):
        (root / f"{number}").touch()
    assert usage([str(root)], max_entries=20) == (0, 20)
    assert usage([str(root)], max_entries=19) == (OVER, OVER)
    assert usage([str(root), str(root)], max_entries=39) == (OVER, OVER)


def test_a_wide_tree(root: Path) -> None:
    for number in range(1500):
        (root / f"{number}" / "inner").mkdir(parents=True)
    assert usage([str(root)])[1] == 3000


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_directory(root: Path) -> None:
    (root / "closed").mkdir(mode=0)
    assert usage([str(root)]) == (OVER, OVER)


def test_a_directory_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "closed").mkdir()
    opened = module._opened

    def refusing(name: str, within: int | None) -> int | None:
        if name == "closed":
            raise PermissionError(13, "Permission denied")
        return opened(name, within)

    monkeypatch.setattr(module, "_opened", refusing)
    before = open_files()
    assert usage([str(root)]) == (OVER, OVER)
    assert open_files() == before


def test_what_vanishes_meanwhile_does_not_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "short").mkdir()
    (root / "swapped").mkdir()
    look = module._look

    def slow(folder: int, inner: list[str], *arguments: object) -> tuple[int, int]:
        found = look(folder, inner, *arguments)  # type: ignore[arg-type]
        if "short" in inner:
            (root / "short").rmdir()
            (root / "swapped").rmdir()
            (root / "swapped").symlink_to("/")
        return found

    monkeypatch.setattr(module, "_look", slow)
    assert usage([str(root)])[1] == 2


def test_a_root_must_be_a_directory(root: Path) -> None:
    (root / "link").symlink_to("/usr")
    assert usage([str(root / "link")]) == (OVER, OVER)


def test_no_descriptor_stays_open(root: Path) -> None:
    os.close(dig(root, 150))
    before = open_files()
    for _ in range(3):
        usage([str(root)])
    assert open_files() == before


def test_it_is_quick_and_needs_little(root: Path) -> None:
    for number in range(5000):
        (root / f"{number}").touch()
    started = time.process_time()
    usage([str(root)])
    assert time.process_time() - started < 1
    program = (
        f"import os, stat, sys; before = set(sys.modules); sys.path.insert(0, {str(Path(module.__file__).parent)!r})"
    )
    program += "\nimport usage; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['__future__', 'usage']"
