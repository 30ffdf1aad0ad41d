"""Supervised commands, and watching processes from outside."""

from __future__ import annotations

import ctypes
import functools
import marshal
import shutil
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.sandbox import alone
from snakemake_executor_plugin_llmagent.sandbox.limits import Limits, as_order
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Wish

ROOT = Path(__file__).parents[3]
WALLED = ("bwrap", "bwrap-hostproc", "landlock")
MAIN = ("bwrap", "landlock", "none")
"""Kinds that differ in how processes are started and ended."""
_LANDLOCK_CREATE_RULESET = 444
_NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--ro-bind", "/", "/")


WITHOUT_PACKAGE = f"""
import sys
sys.path.insert(0, {str(Path(alone.__file__).parent)!r})
from alone import stand_in
sys.path.pop(0)
stand_in()
"""
"""Python code that begins as `alone.py` does: the sandbox's modules, and nothing that needs packages."""


# --- what this machine can do, asked of the kernel and not of the package ---------------------------------------------


@functools.cache
def landlock_abi() -> int:
    """What the kernel offers; 0 without Landlock."""
    version = ctypes.CDLL(None, use_errno=True).syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    return max(0, int(version))


@functools.cache
def reason_against(backend: str) -> str:
    """Why a kind of wall cannot stand here; empty if it can."""
    if backend == "none":
        return ""
    if backend == "landlock":
        return "" if landlock_abi() else "the kernel has no Landlock"
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed"
    files = ("--ro-bind", "/proc", "/proc") if backend == "bwrap-hostproc" else ("--proc", "/proc")
    command = [program, *_NAMESPACES, *files, "--", "/bin/true"]
    tried = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return "" if tried.returncode == 0 else f"bubblewrap does not work here: {tried.stderr.strip()[:200]}"


def need(backend: str) -> None:
    """Skip a test where a kind of wall cannot stand."""
    reason = reason_against(backend)
    if reason:
        pytest.skip(reason)


# --- processes --------------------------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def number_in(path: Path) -> int:
    """The number that a script wrote into a file, once it is there."""
    assert wait_for(lambda: path.exists() and path.read_text().endswith("\n")), f"{path} was not written"
    return int(path.read_text())


def command_lines() -> dict[int, list[str]]:
    """Living processes and their words."""
    found: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if alive(int(entry.name)):
                found[int(entry.name)] = words
    return found


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


# --- supervised commands ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a supervisor made of a command."""

    status: int
    report: dict[str, Any]
    log: str
    stdout: bytes
    stderr: bytes

    @property
    def ending(self) -> tuple[str, int | None]:
        """How it ended, and the command's own status."""
        return self.report["ending"], self.report["returncode"]


NO_REPORT: dict[str, Any] = {"ending": "no report", "returncode": None, "refusal": "no report", "limit": None}
NO_LIMITS: dict[str, float | None] = {
    **dict.fromkeys(as_order(Limits())), "seconds": 60.0, "log": 64 << 20,
}  # fmt: skip


class Stand:
    """A stage, private folders and a script, and a supervisor for them."""

    def __init__(self, folder: Path, backend: str) -> None:
        need(backend)
        self.folder, self.backend = folder, backend
        self.stage, self.home, self.tmp = folder / "stage", folder / "home", folder / "tmp"
        for place in (self.stage, self.home, self.tmp):
            place.mkdir(parents=True)
        self.script = folder / "script.py"
        self.report, self.log = folder / "report.json", folder / "log"
        self.mark = uuid.uuid4().hex

    def order(self, *, limits: Mapping[str, float | None] | None = None, **changes: Any) -> Order:
        """What the supervisor is told."""
        values: dict[str, Any] = {
            "backend": self.backend, "stage": self.stage, "home": self.home, "tmp": self.tmp, "script": self.script,
            "log": self.log, "report": self.report, "guarded": (Path.home(),),
            "environment": Wish(keep=("PATH", "LANG", "LD_LIBRARY_PATH")), "limits": {**NO_LIMITS, **(limits or {})},
        }  # fmt: skip
        return Order(**{**values, **changes})

    def words(self, source: str = "", command: Sequence[str] | None = None, **changes: Any) -> list[str]:
        """The supervisor's command line; the script's processes can be told by its mark."""
        self.script.write_text(textwrap.dedent(source))
        self.order(**changes).write(self.folder / "order.json")
        started = [sys.executable, str(self.script), self.mark] if command is None else list(command)
        return [
            sys.executable, "-I", "-S", alone.__file__, "supervise", str(self.folder / "order.json"), "--", *started,
        ]  # fmt: skip

    def run(
        self,
        source: str = "",
        *,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Outcome:
        """Run a script, or another command, to its end."""
        words = self.words(source, command, **changes)
        done = subprocess.run(
            words, cwd=self.stage, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
            env=None if environment is None else dict(environment),
        )  # fmt: skip
        return self.outcome(done.returncode, done.stdout, done.stderr)

    def start(self, source: str, **changes: Any) -> subprocess.Popen[bytes]:
        """Start a script; the process is its guard."""
        return subprocess.Popen(self.words(source, **changes), cwd=self.stage, stdin=subprocess.DEVNULL)

    def outcome(self, status: int, stdout: bytes = b"", stderr: bytes = b"") -> Outcome:
        """What there is to be read after the end."""
        report = marshal.loads(self.report.read_bytes()) if self.report.exists() else NO_REPORT
        log = self.log.read_text(errors="replace") if self.log.is_file() else ""
        return Outcome(status, report, log, stdout, stderr)

    @property
    def running(self) -> list[int]:
        """Processes of the script, wherever they went; those that supervise it are not among them."""
        return [pid for pid, words in command_lines().items() if self.mark in words and "supervise" not in words]

    @property
    def supervising(self) -> list[int]:
        """The guard, then the supervisor."""
        found = [pid for pid, words in command_lines().items() if self.mark in words and "supervise" in words]
        return sorted(found, key=lambda pid: parent_of(pid) in found)

    def wrote(self, *names: str) -> bool:
        """Whether a script has written all of these files into its stage."""
        return all((self.stage / name).exists() for name in names)


CHILDREN = """
import os, subprocess, sys, time
def note(name):
    with open(name + ".new", "w") as file:
        file.write(f"{os.getpid()}\\n")
    os.rename(name + ".new", name)
if os.fork() == 0:
    note("forked")
    time.sleep(600)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note("daemon")
        time.sleep(600)
    os._exit(0)
subprocess.Popen(
    [sys.executable, "-I", "-S", "-c", "import os, signal, time\\n"
     "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
     "print(os.getpid(), file=open('deaf', 'w'), flush=True)\\ntime.sleep(600)", *sys.argv[1:]],
    start_new_session=True,
)
while not all(os.path.exists(name) and open(name).read().endswith("\\n") for name in ("forked", "daemon", "deaf")):
    time.sleep(0.01)
"""
"""A script that leaves processes behind: a child, a daemon, and one that is deaf to SIGTERM."""
NOTES = ("forked", "daemon", "deaf")
STAYS = f"{CHILDREN}\nopen('ready', 'w').close()\ntime.sleep(600)\n"
