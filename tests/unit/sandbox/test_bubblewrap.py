"""Command lines of bubblewrap, and what a real one makes of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.sandbox import bubblewrap
from tests.unit.sandbox.support import Stand, landlock_abi


def arguments(**changes: Any) -> list[str]:
    values: dict[str, Any] = {
        "program": "/usr/bin/bwrap", "lacks": [], "software": ["/sw"], "readable": ["/in/x"], "writable": ["/stage"],
        "directory": "/stage", "host_proc": False, "shm_bytes": 12345,
    }  # fmt: skip
    return bubblewrap.arguments(**{**values, **changes})


def pairs(words: list[str], option: str) -> list[str]:
    return [words[place + 1] for place, word in enumerate(words) if word == option]


def test_nothing_but_what_is_named_is_bound() -> None:
    words = arguments()
    assert words[0] == "/usr/bin/bwrap" and words[-5:] == ["--remount-ro", "/", "--chdir", "/stage", "--"]
    assert set(bubblewrap.ISOLATION) <= set(words)
    assert pairs(words, "--bind") == ["/stage"]
    bound = {*pairs(words, "--ro-bind"), *pairs(words, "--ro-bind-try")}
    assert not bound & {"/", "/home", "/root", "/etc", "/tmp", "/run", "/var", "/dev", "/sys", "/proc"}
    assert pairs(words, "--proc") == ["/proc"]
    # What comes later lies on top: the script's own folders last, temporary files before all that is named.
    assert words.index("--tmpfs") < words.index("/sw") < words.index("/in/x") < words.index("--bind")


def test_the_machines_own_proc() -> None:
    words = arguments(host_proc=True)
    assert "/proc" in pairs(words, "--ro-bind") and "--proc" not in words


def test_options_that_an_old_version_lacks_go_with_their_values() -> None:
    words = arguments(lacks=["--size", "--clearenv", "--disable-userns"])
    assert not {"--size", "--clearenv", "--disable-userns", "12345"} & set(words)
    full = arguments()
    for option, count in bubblewrap.OPTIONAL.items():
        kept = arguments(lacks=[option])
        assert len(full) - len(kept) == full.count(option) * (1 + count)
    assert words[-1] == "--" and pairs(words, "--tmpfs") == ["/dev/shm", "/tmp"]


places = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "dd", "e.f"]), min_size=1, max_size=6).map("/".join).map("/{}".format),
    min_size=1, max_size=150, unique=True,
)  # fmt: skip


@given(places)
def test_few_hold_all_and_never_too_much(named: list[str]) -> None:
    found = bubblewrap.few(named)
    for place in named:
        assert any(place == one or place.startswith(f"{one}/") for one in found)
    if found != named:
        assert len(found) <= 64
        assert all(one.count("/") >= 2 for one in found), "neither / nor what lies right below it"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ([f"/data/run/{n}.root" for n in range(150)], ["/data/run"]),
        ([f"/data/run/{n}/x.root" for n in range(150)], ["/data/run"]),
        ([f"/data/run/{n % 3}/{n}.root" for n in range(150)], ["/data/run/0", "/data/run/1", "/data/run/2"]),
        ([f"/data/{n}.root" for n in range(150)], None),
        ([f"/{n}/x.root" for n in range(150)], None),
        ([f"/data/{n}/x.root" for n in range(150)], None),
        ([f"/{n}.root" for n in range(150)], None),
    ],
)
def test_few(named: list[str], expected: list[str] | None) -> None:
    assert bubblewrap.few(named) == (named if expected is None else expected)


# --- with a real one --------------------------------------------------------------------------------------------------

LOOK = """
import os, sys
folder, count = {folder!r}, {count}
total = sum(len(open(f"{{folder}}/{{n % 7}}/{{n}}.txt").read()) for n in range(count))
print(total)
for name in ("0/secret", "secret", "elsewhere/secret"):
    try:
        print(open(f"{{folder}}/{{name}}").read())
    except OSError as error:
        print("no")
try:
    open(f"{{folder}}/0/0.txt", "a")
except OSError:
    print("no")
"""


@pytest.mark.parametrize("count", [20, 150, 1000])
@pytest.mark.parametrize("backend", ["bwrap", "bwrap-hostproc", "landlock"])
def test_many_inputs_and_none_of_their_siblings(tmp_path: Path, backend: str, count: int) -> None:
    stand = Stand(tmp_path / "room", backend)
    if not landlock_abi():
        pytest.skip("the kernel has no Landlock")
    folder = tmp_path / "data"
    for number in range(count):
        place = folder / str(number % 7) / f"{number}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")
    for name in ("0/secret", "secret", "elsewhere/secret"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("secret")
    readable = tuple(folder / str(number % 7) / f"{number}.txt" for number in range(count))
    done = stand.run(LOOK.format(folder=str(folder), count=count), readable=readable)
    assert done.ending == ("exit", 0), done.report["refusal"]
    assert done.log == f"{count}\nno\nno\nno\nno\n"
    assert done.report["seconds"] < 20


@pytest.mark.parametrize("lacks", [(), ("--disable-userns", "--clearenv", "--size")])
def test_an_older_version_holds_too(tmp_path: Path, lacks: tuple[str, ...]) -> None:
    """Other walls stand behind the options that it lacks."""
    source = """
        import os, ctypes
        assert ctypes.CDLL(None).unshare(0x10000000) == -1, "a user namespace of its own"
        print(sorted(set(os.environ) - {"LC_CTYPE", "PWD", "LANG", "LD_LIBRARY_PATH"}))
    """
    done = Stand(tmp_path, "bwrap").run(source, bwrap_lacks=lacks, environment={**os.environ, "SECRET": "x"})
    assert done.log == "['HOME', 'PATH', 'TMPDIR']\n"


def test_inside_there_is_nobody_else(tmp_path: Path) -> None:
    source = """
        import os, socket
        print(socket.gethostname(), len([name for name in os.listdir("/proc") if name.isdigit()]) < 5)
        for place in ("/etc/passwd", "/etc/shadow", "/run", "/var", "/boot", "/mnt"):
            assert not os.path.lexists(place), place
        for place in ("/new", "/usr/new", "/etc/new", "/proc/sys/kernel/core_pattern"):
            try:
                open(place, "w")
            except OSError:
                continue
            raise AssertionError(place)
    """
    done = Stand(tmp_path, "bwrap").run(source)
    assert done.ending == ("exit", 0), done.log
    assert done.log == "sandbox True\n"
