"""Caches that are made once and handed to each script as a copy, never taken from one."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox import caches
from tests.unit.conftest import MakeSandbox
from tests.unit.support import FileTask, a_job

POISON = '{"_version": "poison", "ttflist": []}'


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def scratch(tmp_path: Path, name: str) -> Path:
    place = tmp_path / name
    place.mkdir()
    return place


class Maker:
    """Stands for the Python that makes a list of fonts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> None:
        self.times = 0
        self._fails = fails
        monkeypatch.setattr(subprocess, "run", self)

    def __call__(self, command: tuple[str, ...], **options: object) -> subprocess.CompletedProcess[bytes]:
        self.times += 1
        self.options = options
        environment = options["env"]
        assert isinstance(environment, dict)
        if not self._fails:
            Path(environment["MPLCONFIGDIR"], "fontlist-v390.json").write_text('"ours"')
        return subprocess.CompletedProcess(command, 1 if self._fails else 0)


def test_what_a_script_left_is_never_taken(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker(monkeypatch)
    first = scratch(tmp_path, "first")
    caches.prepare(cache, first, {"HOME": str(tmp_path)})
    (first / "matplotlib" / "fontlist-v390.json").write_text(POISON)
    (first / "matplotlib" / "fontlist-v999.json").write_text(POISON)
    (first / "matplotlib" / "matplotlibrc").write_text(POISON)
    caches.learn(cache, first)
    assert {place.name: place.read_text() for place in (cache / "matplotlib").iterdir()} == {
        "fontlist-v390.json": '"ours"'
    }
    assert [place.name for place in cache.iterdir()] == ["matplotlib"]
    second = scratch(tmp_path, "second")
    caches.prepare(cache, second, {"HOME": str(tmp_path)})
    assert [(place.name, place.read_text()) for place in (second / "matplotlib").iterdir()] == [
        ("fontlist-v390.json", '"ours"')
    ]
    assert maker.times == 1


def test_a_copy_is_a_copy(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Maker(monkeypatch)
    first = scratch(tmp_path, "first")
    (first / "matplotlib").mkdir()
    (first / "matplotlib" / "fontlist-v1.json").touch()
    caches.learn(cache, first)
    second = scratch(tmp_path, "second")
    caches.prepare(cache, second, {"HOME": str(tmp_path)})
    (second / "matplotlib" / "fontlist-v390.json").write_text(POISON)
    assert (cache / "matplotlib" / "fontlist-v390.json").read_text() == '"ours"'


def test_it_is_made_only_where_a_script_needed_it(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = Maker(monkeypatch)
    first = scratch(tmp_path, "first")
    caches.learn(cache, first)
    caches.prepare(cache, first, {"HOME": str(tmp_path)})
    caches.learn(cache, first)
    assert maker.times == 0 and list(cache.iterdir()) == []
    (first / "matplotlib" / "fontlist-v390.json").symlink_to("/etc/passwd")
    caches.learn(cache, first)
    assert maker.times == 1 and (cache / "matplotlib" / "fontlist-v390.json").read_text() == '"ours"'


def test_it_is_made_once_for_scripts_that_end_together(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker(monkeypatch)
    places = [scratch(tmp_path, str(number)) for number in range(8)]
    for place in places:
        (place / "matplotlib").mkdir()
        (place / "matplotlib" / "fontlist-v390.json").touch()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda place: caches.learn(cache, place), places))
    assert maker.times == 1


def test_where_it_cannot_be_made_scripts_go_on(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = scratch(tmp_path, "one")
    (place / "matplotlib").mkdir()
    (place / "matplotlib" / "fontlist-v390.json").touch()
    Maker(monkeypatch, fails=True)
    caches.learn(cache, place)

    def too_slow(*arguments: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr(subprocess, "run", too_slow)
    caches.learn(cache, place)
    (tmp_path / "file").touch()
    caches.learn(tmp_path / "file", place)
    assert list(cache.iterdir()) == []


def test_no_secret_reaches_what_makes_it(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    maker = Maker(monkeypatch)
    place = scratch(tmp_path, "one")
    (place / "matplotlib").mkdir()
    (place / "matplotlib" / "fontlist-v390.json").touch()
    caches.learn(cache, place)
    environment = maker.options["env"]
    assert isinstance(environment, dict)
    assert set(environment) == {"PATH", "HOME", "MPLCONFIGDIR", "MPLBACKEND"}


# --- numba ------------------------------------------------------------------------------------------------------------


def numba(folder: Path, size: int = 10) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "compiled.nbc").write_bytes(b"x" * size)
    return folder


@pytest.mark.parametrize("where", ["NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"])
def test_what_the_persons_numba_compiled_is_copied(cache: Path, tmp_path: Path, where: str) -> None:
    below = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": "numba", "HOME": ".cache/numba"}[where]
    mine = numba(tmp_path / "mine" / below)
    place = scratch(tmp_path, "one")
    caches.prepare(cache, place, {where: str(tmp_path / "mine"), **({} if where == "HOME" else {"HOME": "/nowhere"})})
    copy = place / "numba" / "deep" / "compiled.nbc"
    copy.write_bytes(b"changed")
    assert (mine / "deep" / "compiled.nbc").read_bytes() == b"x" * 10


def test_too_much_is_not_copied(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "NUMBA_BYTES", 100)
    numba(tmp_path / "mine", size=101)
    place = scratch(tmp_path, "one")
    caches.prepare(cache, place, {"NUMBA_CACHE_DIR": str(tmp_path / "mine")})
    assert not (place / "numba").exists()


def test_without_a_cache_of_the_person_there_is_none(cache: Path, tmp_path: Path) -> None:
    place = scratch(tmp_path, "one")
    caches.prepare(cache, place, {"HOME": str(tmp_path)})
    caches.prepare(cache, place, {"NUMBA_CACHE_DIR": str(tmp_path / "gone")})
    assert [each.name for each in place.iterdir()] == ["matplotlib"]


def test_a_cache_that_changes_meanwhile(cache: Path, tmp_path: Path) -> None:
    mine = numba(tmp_path / "mine")
    (mine / "dangling").symlink_to("gone")
    place = scratch(tmp_path, "one")
    caches.prepare(cache, place, {"NUMBA_CACHE_DIR": str(mine)})
    assert (place / "numba" / "deep" / "compiled.nbc").exists()


# --- with the real thing ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_a_script_cannot_poison_the_next(tmp_path: Path, make_sandbox: MakeSandbox) -> None:
    source = f"""
import os, pathlib, matplotlib
folder = pathlib.Path(os.environ["MPLCONFIGDIR"])
print([path.read_text()[:50] for path in folder.glob("fontlist-*.json")])
from matplotlib.font_manager import FontManager
(folder / f"fontlist-v{{FontManager.__version__}}.json").write_text({POISON!r})
"""
    task = FileTask(a_job(tmp_path, inputs=()), sys.executable)
    sandbox = make_sandbox()
    first, second = (sandbox.run(task, source, tmp_path / "stages" / name)[1].log for name in ("one", "two"))
    assert first.strip() == "[]"
    assert "_version" in second and "poison" not in second
    (made,) = (tmp_path / "llmagent" / "cache" / "matplotlib").iterdir()
    assert json.loads(made.read_text())["ttflist"] is not None
