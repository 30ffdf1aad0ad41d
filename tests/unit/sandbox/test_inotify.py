from __future__ import annotations

import ctypes
import mmap
import subprocess
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.protocols import Access
from snakemake_executor_plugin_llmagent.sandbox import inotify
from snakemake_executor_plugin_llmagent.sandbox.inotify import InputWatch

UNKNOWN = Access(opened=None, read=None)
UNOPENED = Access(opened=False, read=False)
READ = Access(opened=True, read=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_text("x" * 100)
    return path


def test_reading_opening_and_neither(tmp_path: Path) -> None:
    names = ("read", "opened", "mapped", "looked at", "child")
    for name in names:
        (tmp_path / name).write_text("x" * 100)
    with InputWatch((name, tmp_path / name) for name in names) as watch:
        (tmp_path / "read").read_text()
        (tmp_path / "opened").open().close()
        with (tmp_path / "mapped").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert mapped[:1] == b"x"
        (tmp_path / "looked at").stat()
        subprocess.run(["cat", str(tmp_path / "child")], check=True, stdout=subprocess.DEVNULL)
        watch.drain()
        seen = watch.access()
    opened = Access(opened=True, read=False)
    assert seen == {"read": READ, "opened": opened, "mapped": opened, "looked at": UNOPENED, "child": READ}


def test_what_was_read_before_does_not_count(data: Path) -> None:
    data.read_text()
    with InputWatch([("d", data)]) as watch:
        watch.drain()
        assert watch.access() == {"d": UNOPENED}


def test_a_file_seen_through_a_link_is_the_same_file(tmp_path: Path, data: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(data)
    with InputWatch([("by link", link), ("itself", data)]) as watch:
        link.read_text()
        watch.drain()
        assert watch.access() == {"by link": READ, "itself": READ}


def test_a_directory_is_read_when_a_file_in_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "x").write_text("1")
    with InputWatch([("folder", tmp_path / "folder")]) as watch:
        (tmp_path / "folder" / "deep" / "x").read_text()
        watch.drain()
        assert watch.access() == {"folder": READ}


def test_large_directories_are_unknown_rather_than_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inotify, "MAX_FOLDERS", 2)
    for number in range(4):
        (tmp_path / "folder" / str(number)).mkdir(parents=True)
    with InputWatch([("folder", tmp_path / "folder")]) as watch:
        watch.drain()
        assert watch.access() == {"folder": UNKNOWN}


def test_what_is_not_there_is_unknown(tmp_path: Path) -> None:
    with InputWatch([("none", tmp_path / "none")]) as watch:
        watch.drain()
        assert watch.access() == {"none": UNKNOWN}


def test_a_queue_that_ran_over_makes_unread_unknown(data: Path) -> None:
    with InputWatch([("d", data)]) as watch:
        watch._note(-1, inotify._IN_Q_OVERFLOW)
        assert watch.access() == {"d": UNKNOWN}


@pytest.mark.parametrize("descriptor", [-1, None])
def test_without_inotify_nothing_is_known_and_nothing_fails(
    data: Path, monkeypatch: pytest.MonkeyPatch, descriptor: int | None
) -> None:
    """The kernel has no more instances to give, or it is not Linux."""

    class Libc:
        if descriptor is not None:

            def inotify_init1(self, flags: int) -> int:
                return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: Libc())
    with InputWatch([("d", data)]) as watch:
        data.read_text()
        watch.drain()
        assert watch.access() == {"d": UNKNOWN}


def test_the_descriptor_is_closed(data: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ValueError), InputWatch([("d", data)]):
            raise ValueError
    assert len(list(Path("/proc/self/fd").iterdir())) == before
