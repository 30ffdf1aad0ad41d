from __future__ import annotations

import ctypes
import mmap
import subprocess
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox import inotify
from snakemake_executor_plugin_llmagent.sandbox.inotify import InputWatch

UNKNOWN = (None, None)
UNOPENED = (False, False)
READ = (True, True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_text("x" * 100)
    return path


def test_reading_opening_and_neither(tmp_path: Path) -> None:
    names = ("read", "opened", "mapped", "looked at", "child")
    for name in names:
        (tmp_path / name).write_text("x" * 100)
    with InputWatch((name, str(tmp_path / name)) for name in names) as watch:
        (tmp_path / "read").read_text()
        (tmp_path / "opened").open().close()
        with (tmp_path / "mapped").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert mapped[:1] == b"x"
        (tmp_path / "looked at").stat()
        subprocess.run(["cat", str(tmp_path / "child")], check=True, stdout=subprocess.DEVNULL)
        watch.drain()
        seen = watch.access()
    opened = (True, False)
    assert seen == {"read": READ, "opened": opened, "mapped": opened, "looked at": UNOPENED, "child": READ}


def test_what_was_read_before_does_not_count(data: Path) -> None:
    data.read_text()
    with InputWatch([("d", str(data))]) as watch:
        watch.drain()
        assert watch.access() == {"d": UNOPENED}


def test_a_file_seen_through_a_link_is_the_same_file(tmp_path: Path, data: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(data)
    with InputWatch([("by link", str(link)), ("itself", str(data))]) as watch:
        link.read_text()
        watch.drain()
        assert watch.access() == {"by link": READ, "itself": READ}


def test_a_directory_is_read_when_a_file_in_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "x").write_text("1")
    with InputWatch([("folder", str(tmp_path / "folder"))]) as watch:
        (tmp_path / "folder" / "deep" / "x").read_text()
        watch.drain()
        assert watch.access() == {"folder": READ}


def test_large_directories_are_unknown_rather_than_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inotify, "MAX_FOLDERS", 2)
    for number in range(4):
        (tmp_path / "folder" / str(number)).mkdir(parents=True)
    with InputWatch([("folder", str(tmp_path / "folder"))]) as watch:
        watch.drain()
        assert watch.access() == {"folder": UNKNOWN}


def test_what_is_not_there_is_unknown(tmp_path: Path) -> None:
    with InputWatch([("none", str(tmp_path / "none"))]) as watch:
        watch.drain()
        assert watch.access() == {"none": UNKNOWN}


def test_a_queue_that_ran_over_makes_unread_unknown(data: Path) -> None:
    with InputWatch([("d", str(data))]) as watch:
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
    with InputWatch([("d", str(data))]) as watch:
        data.read_text()
        watch.drain()
        assert watch.access() == {"d": UNKNOWN}


def test_the_descriptor_is_closed(data: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ValueError), InputWatch([("d", str(data))]):
            raise ValueError
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_one_place_under_two_names(data: Path) -> None:
    with InputWatch([("one", str(data)), ("other", str(data)), ("one", str(data))]) as watch:
        data.read_text()
        watch.drain()
        assert watch.access() == {"one": READ, "other": READ}


def test_listing_a_directory_opens_it_but_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").write_text("1")
    with InputWatch([("folder", str(tmp_path / "folder"))]) as watch:
        assert [path.name for path in (tmp_path / "folder").iterdir()] == ["x"]
        watch.drain()
        assert watch.access() == {"folder": (True, False)}


def test_a_directory_inside_another(tmp_path: Path) -> None:
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "inner" / "x").write_text("1")
    (tmp_path / "outer" / "y").write_text("1")
    with InputWatch([("outer", str(tmp_path / "outer")), ("inner", str(tmp_path / "outer" / "inner"))]) as watch:
        (tmp_path / "outer" / "y").read_text()
        watch.drain()
        assert watch.access() == {"outer": READ, "inner": UNOPENED}


def test_more_than_fits_into_one_look(data: Path) -> None:
    with InputWatch([("d", str(data))]) as watch:
        for _ in range(5000):
            data.open().close()
        watch.drain()
        assert watch.access() == {"d": (True, False)}
        watch.drain()
