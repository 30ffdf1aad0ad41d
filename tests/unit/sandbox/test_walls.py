"""Which walls stand here: each kind has to prove itself."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox import walls
from snakemake_executor_plugin_llmagent.sandbox.walls import KINDS, Tried, Walls, choose, forget, try_all
from tests.unit.sandbox.support import ROOT, WALLED, landlock_abi, need, reason_against

OPTIONS = "--disable-userns --clearenv --size BYTES"
FakeBwrap = Callable[[str], Path]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of walls are made below a folder that is looked at here."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))


@pytest.fixture
def fake_bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBwrap:
    """Puts a program of the name `bwrap` first on the path."""

    def make(text: str) -> Path:
        place = tmp_path / "bin" / "bwrap"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"#!/bin/sh\n{text}\n")
        place.chmod(0o755)
        monkeypatch.setenv("PATH", f"{place.parent}{os.pathsep}{os.environ['PATH']}")
        return place

    return make


def answers(version: str = "0.8.0", options: str = OPTIONS, otherwise: str = "exit 1") -> str:
    """A shell script that answers as bubblewrap does, and does something else when it should start a command."""
    return f'case "$1" in --version) echo "bubblewrap {version}";; --help) echo "{options}";; *) {otherwise};; esac'


# --- what is chosen ---------------------------------------------------------------------------------------------------


class Trials:
    """Stands for the real tests: kinds that work, and which were tested."""

    def __init__(self, *works: str) -> None:
        self.works = works
        self.made: list[str] = []

    def __call__(self, base: Walls) -> tuple[Tried, tuple[str, ...]]:
        self.made.append(base.backend)
        works = base.backend in self.works
        found = Tried(backend=base.backend, works=works, reason="works" if works else f"no {base.backend} today")
        return found, ("--size",)


@pytest.mark.parametrize(
    ("works", "tested"),
    [
        (("bwrap", "bwrap-hostproc", "landlock"), ["bwrap"]),
        (("bwrap-hostproc", "landlock"), ["bwrap", "bwrap-hostproc"]),
        (("landlock",), ["bwrap", "bwrap-hostproc", "landlock"]),
    ],
)
def test_the_best_that_works(
    cache: Path, monkeypatch: pytest.MonkeyPatch, works: tuple[str, ...], tested: list[str]
) -> None:
    tests = Trials(*works)
    monkeypatch.setattr(walls, "_test", tests)
    found = choose("auto", cache)
    assert (found.backend, found.lacks, tests.made) == (works[0], ("--size",), tested)
    assert [each.backend for each in found.tried] == tested
    choose("auto", cache)
    assert tests.made == tested, "what was found is remembered"


def test_if_nothing_works_all_reasons_are_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walls, "_test", Trials())
    with pytest.raises(SandboxUnavailable) as caught:
        choose("auto", cache)
    assert all(f"  {kind}: no {kind} today" in str(caught.value) for kind in KINDS)
    assert "llmagent doctor" in str(caught.value) and "--llmagent-sandbox none" in str(caught.value)


def test_what_a_person_asks_for_is_never_replaced(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = Trials("landlock")
    monkeypatch.setattr(walls, "_test", tests)
    with pytest.raises(SandboxUnavailable, match="The sandbox bwrap does not work on this machine: no bwrap today"):
        choose("bwrap", cache)
    assert choose("landlock", cache, max_abi=3) == Walls(
        backend="landlock", max_abi=3, bwrap=walls.bwrap_program(), lacks=("--size",),
        tried=(Tried(backend="landlock", works=True, reason="works"),),
    )  # fmt: skip
    assert choose("none", cache) == Walls(backend="none")
    assert tests.made == ["bwrap", "landlock"]


# --- what is remembered -----------------------------------------------------------------------------------------------


def test_what_was_found_is_kept_for_this_machine_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = Trials(*KINDS)
    monkeypatch.setattr(walls, "_test", tests)
    for node in ("login", "worker", "login"):
        monkeypatch.setattr(platform, "node", lambda node=node: node)
        assert choose("auto", cache).backend == "bwrap"
    assert tests.made == ["bwrap", "bwrap"]
    choose("auto", cache, max_abi=2)
    assert len(tests.made) == 3
    forget(cache)
    choose("auto", cache)
    assert len(tests.made) == 4
    forget(cache)
    forget(cache)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"tried": {}}', '{"tried": {"backend": "bwrap", "works": true}, "lacks": []}',
     '{"tried": {"backend": "bwrap", "works": true, "reason": "", "more": 1}, "lacks": []}', '{"lacks": []}', "\xff",
     '{"tried": {"backend": "bwrap", "works": true, "reason": ""}, "lacks": null}'],
)  # fmt: skip
def test_damaged_notes_are_no_notes(cache: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    tests = Trials("bwrap")
    monkeypatch.setattr(walls, "_test", tests)
    choose("bwrap", cache)
    (note,) = (cache / "walls").iterdir()
    note.write_bytes(text.encode("latin-1"))
    assert choose("bwrap", cache).backend == "bwrap"
    assert len(tests.made) == 2
    assert json.loads(note.read_text())["tried"]["works"] is True


def test_a_failure_is_not_believed_for_ever(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have changed a setting of the machine that nobody sees from here."""
    tests = Trials()
    monkeypatch.setattr(walls, "_test", tests)
    for _ in range(2):
        with pytest.raises(SandboxUnavailable):
            choose("landlock", cache)
    assert len(tests.made) == 1
    (note,) = (cache / "walls").iterdir()
    long_ago = time.time() - 365 * 24 * 3600
    os.utime(note, (long_ago, long_ago))
    tests.works = ("landlock",)
    assert choose("landlock", cache).backend == "landlock"
    os.utime(note, (long_ago, long_ago))
    choose("landlock", cache)
    assert len(tests.made) == 2, "what worked is believed"


def test_where_nothing_can_be_noted_it_is_tested_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    tests = Trials("bwrap")
    monkeypatch.setattr(walls, "_test", tests)
    for _ in range(2):
        assert choose("bwrap", tmp_path / "file").backend == "bwrap"
    assert len(tests.made) == 2


# --- real tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", WALLED)
def test_each_kind_proves_itself(cache: Path, tmp_path: Path, backend: str) -> None:
    need(backend)
    if not landlock_abi() and backend != "bwrap":
        pytest.skip("the kernel has no Landlock")
    found = choose(backend, cache)
    assert found.backend == backend
    assert [(each.works, each.reason) for each in found.tried] == [(True, "works")]
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("abi", range(1, 7))
def test_every_version_of_landlock_proves_itself(cache: Path, abi: int) -> None:
    if landlock_abi() < abi:
        pytest.skip(f"the kernel has no version {abi}")
    assert choose("landlock", cache, max_abi=abi).max_abi == abi


def test_without_landlock_it_says_so(cache: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="the kernel has no Landlock, or it is switched off"):
        choose("landlock", cache, max_abi=0)


def test_all_are_tried(tmp_path: Path) -> None:
    found = try_all()
    assert tuple(each.backend for each in found) == KINDS
    assert all(each.works == (not reason_against(each.backend)) or not landlock_abi() for each in found)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_machine_without_bubblewrap(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("landlock")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = choose("auto", cache)
    assert (found.backend, found.bwrap) == ("landlock", None)
    assert [each.reason for each in found.tried] == ["bubblewrap (bwrap) is not installed"] * 2 + ["works"]


def test_a_bubblewrap_that_is_too_old(cache: Path, fake_bwrap: FakeBwrap) -> None:
    """As SLE 15 has it."""
    fake_bwrap(answers("0.2.0"))
    with pytest.raises(SandboxUnavailable, match=r"bubblewrap 0\.2\.0 is too old; 0\.4\.0 or later"):
        choose("bwrap", cache)


@pytest.mark.parametrize("text", ["exit 1", "echo something else", "echo bubblewrap", "kill -9 $$"])
def test_a_bubblewrap_that_does_not_tell_its_version(fake_bwrap: FakeBwrap, cache: Path, text: str) -> None:
    place = fake_bwrap(text)
    assert walls.bwrap_version(str(place)) == (0,)
    with pytest.raises(SandboxUnavailable, match="too old"):
        choose("bwrap", cache)


def test_a_bubblewrap_that_is_no_program(fake_bwrap: FakeBwrap) -> None:
    place = fake_bwrap("")
    place.write_bytes(b"\x7fELF")
    assert walls.bwrap_version(str(place)) == (0,)


def test_a_bubblewrap_that_always_fails(cache: Path, fake_bwrap: FakeBwrap) -> None:
    """As where unprivileged namespaces are forbidden."""
    reason = "bwrap: No permissions to create new namespace"
    fake_bwrap(answers(otherwise=f'echo "{reason}" >&2; exit 1'))
    with pytest.raises(SandboxUnavailable, match=reason):
        choose("bwrap", cache)
    if not reason_against("landlock"):
        assert choose("auto", cache).backend == "landlock"


def test_a_bubblewrap_that_keeps_nothing_apart(cache: Path, fake_bwrap: FakeBwrap) -> None:
    """It says that it works, and starts the command where it is."""
    fake_bwrap(answers(otherwise='while [ "$1" != -- ]; do shift; done; shift; exec "$@"'))
    with pytest.raises(SandboxUnavailable, match=r"a script (read a file elsewhere|could not do its work|.*wrote)"):
        choose("bwrap", cache, max_abi=0)


def test_options_that_a_bubblewrap_lacks(cache: Path, fake_bwrap: FakeBwrap) -> None:
    place = fake_bwrap(answers("0.4.1", "--unshare-user --tmpfs DEST"))
    assert walls._lacks(str(place)) == ("--disable-userns", "--clearenv", "--size")
    fake_bwrap(answers())
    assert walls._lacks(str(place)) == ()


def test_an_older_bubblewrap_works_without_them(cache: Path, fake_bwrap: FakeBwrap) -> None:
    """Here a real one that refuses newer options, as the older one does."""
    need("bwrap")
    real = walls.bwrap_program()
    refuse = "for word; do case $word in --disable-userns|--clearenv|--size) exit 1;; --) break;; esac; done"
    fake_bwrap(answers("0.4.1", "--tmpfs DEST", f'{refuse}; exec {real} "$@"'))
    found = choose("bwrap", cache)
    assert found.lacks == ("--disable-userns", "--clearenv", "--size")


# --- inside another bubblewrap ----------------------------------------------------------------------------------------

INSIDE = """
import sys, tempfile
from dataclasses import asdict
from pathlib import Path
import json
from snakemake_executor_plugin_llmagent.sandbox.walls import choose
with tempfile.TemporaryDirectory() as folder:
    print(json.dumps(asdict(choose("auto", Path(folder)))))
"""


def inside(*options: str) -> Walls:
    """What is chosen inside another bubblewrap, as in a container."""
    program = walls.bwrap_program()
    assert program is not None
    command = [program, "--bind", "/", "/", "--dev", "/dev", *options, "--", sys.executable, "-c", INSIDE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return Walls(**{**told, "tried": tuple(Tried(**each) for each in told["tried"]), "lacks": tuple(told["lacks"])})


def test_where_no_namespaces_are_allowed() -> None:
    need("bwrap")
    need("landlock")
    found = inside("--unshare-user", "--disable-userns", "--proc", "/proc", "--unshare-pid")
    assert found.backend == "landlock"
    assert "namespace" in found.tried[0].reason


def test_inside_another_one() -> None:
    need("bwrap")
    need("landlock")
    assert inside("--unshare-user", "--unshare-pid", "--proc", "/proc").backend in WALLED


def test_where_parts_of_proc_are_hidden() -> None:
    """As in the containers of Docker, Podman and Kubernetes: no new /proc can be mounted."""
    need("bwrap-hostproc")
    need("landlock")
    found = inside("--unshare-user", "--unshare-pid", "--proc", "/proc", "--tmpfs", "/proc/driver")
    assert found.backend in ("bwrap-hostproc", "landlock")
    assert "proc" in found.tried[0].reason


def test_what_is_remembered_can_be_read_by_a_person(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walls, "_test", Trials("bwrap"))
    found = choose("bwrap", cache)
    (note,) = (cache / "walls").iterdir()
    assert json.loads(note.read_text()) == {"tried": asdict(found.tried[0]), "lacks": ["--size"]}
