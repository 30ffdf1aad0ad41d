"""Runs of attacks, many per process: one batch per wall and user, whoever asks first runs it for all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tests.sandbox import world
from tests.sandbox.catalogue import BACKENDS, OPEN

User = Literal["root", "user"]
ROOT = Path(__file__).parents[2]
PACKAGE = "snakemake_executor_plugin_llmagent"
NUMBER = 64200
"""The ordinary user that root becomes: nobody's number, so that no attack can meet a real person's processes."""
PLACE = next(folder for folder in ("/var/tmp", tempfile.gettempdir()) if os.access(folder, os.W_OK))
"""Where attacks are run: on a disk, and not where a sandbox has something of its own."""
OLDEST = (3, 11)


def users() -> tuple[User, ...]:
    """As whom the tests can run attacks."""
    return ("root", "user") if os.geteuid() == 0 else ("user",)


def slots() -> tuple[tuple[User, str], ...]:
    """All pairs of user and wall; Landlock as in old kernels is tried as an ordinary user only."""
    names = [backend.name for backend in (*BACKENDS, OPEN)]
    return tuple((user, name) for user in users() for name in names if (user, name) != ("root", "landlock-abi2"))


@dataclass(frozen=True)
class Batch:
    """What came of the attacks of one batch."""

    unavailable: str | None
    verdicts: Mapping[str, Mapping[str, Any]]


@cache
def python_for(user: User) -> tuple[str, ...] | str:
    """The command that runs a Python as that user, or why there is none."""
    if user == "root" or os.geteuid() != 0:
        return (str(world.Python().executable),)
    reasons = []
    for program in (str(world.Python().executable), "/usr/bin/python3"):
        check = f"import sys; sys.exit(sys.version_info < {OLDEST})"
        try:
            tried = subprocess.run(
                [program, "-I", "-c", check],
                user=NUMBER,
                group=NUMBER,
                extra_groups=[],
                cwd="/",
                capture_output=True,
                check=False,
            )
        except OSError as error:
            reasons.append(f"{program}: {error.strerror}")
            continue
        if tried.returncode == 0:
            return (program,)
        reasons.append(f"{program} is older than {OLDEST[0]}.{OLDEST[1]}")
    return f"an ordinary user has no Python here: {'; '.join(reasons)}"


def get(user: User, backend: str, names: Sequence[str], shared: Path) -> Batch:
    """The verdicts of a batch; it is run unless somebody has run it already.

    Args:
        user: as whom.
        backend: against which wall.
        names: the attacks of this session.
        shared: a folder that all test processes of this session share.
    """
    result = shared / f"{user}-{backend}.json"
    with (shared / f"{user}-{backend}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            result.write_text(json.dumps(_run(user, backend, names)))
    content = json.loads(result.read_text())
    return Batch(content["unavailable"], content["verdicts"])


def _run(user: User, backend: str, names: Sequence[str]) -> dict[str, Any]:
    """Run a batch in as many processes as there are CPUs for us."""
    python = python_for(user)
    if isinstance(python, str):
        return {"unavailable": python, "verdicts": {}}
    shares = _shares()
    # Not below pytest's own folders: another user cannot go there. And short: a socket's path has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="llma", dir=PLACE))
    try:
        folder.chmod(0o755)
        checkout = _checkout_for(python, folder) if user == "user" and os.geteuid() == 0 else ROOT
        workers = [
            _start(python, user, checkout, backend, names[share::shares], folder / f"{share}")
            for share in range(shares)
            if names[share::shares]
        ]
        merged: dict[str, Any] = {"unavailable": None, "verdicts": {}}
        for share, worker in enumerate(workers):
            shown, _ = worker.communicate()
            try:
                content = json.loads((folder / f"{share}/result.json").read_text())
            except OSError as error:
                raise RuntimeError(f"A worker of {user}-{backend} failed: {shown[-2000:]}") from error
            merged["unavailable"] = merged["unavailable"] or content["unavailable"]
            merged["verdicts"] |= content["verdicts"]
            if left := left_behind_by(worker.pid, folder / f"{share}"):
                raise RuntimeError(f"The attacks of {user}-{backend} left behind: {left}")
        return merged
    finally:
        world.remove(folder)


def _shares() -> int:
    """How many workers run a batch: one more than there are CPUs for us, because many attacks only wait."""
    others = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1, min(4, -(-(len(os.sched_getaffinity(0)) + 1) // others)))


def left_behind_by(worker: int, folder: Path) -> list[str]:
    """What is left on the machine of a worker that has ended."""
    tag = f"T{worker}n"
    left = [str(path) for path in (*Path("/tmp").glob(f"krb5cc_{tag}*"), *Path("/dev/shm").glob(f"llmagent-{tag}*"))]
    _, *segments = Path("/proc/sysvipc/shm").read_text().splitlines()
    left += [f"shared memory {line.split()[1]}" for line in segments if int(line.split()[4]) == worker]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{folder}/".encode() in (process / "cmdline").read_bytes():
                left.append(f"process {process.name}")
    return left


def _start(
    python: tuple[str, ...], user: User, checkout: Path, backend: str, names: Sequence[str], folder: Path
) -> subprocess.Popen[str]:
    folder.mkdir(mode=0o755)
    order = {"checkout": str(checkout), "backend": backend, "attacks": list(names), "folder": str(folder)}
    (folder / "order.json").write_text(json.dumps(order))
    become: dict[str, Any] = {}
    if user == "user" and os.geteuid() == 0:
        os.chown(folder, NUMBER, NUMBER)
        become = {"user": NUMBER, "group": NUMBER, "extra_groups": []}
    program = str(checkout / "tests/sandbox/worker.py")
    return subprocess.Popen(
        [*python, "-I", program, str(folder / "order.json"), str(folder / "result.json")],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", **become,
    )  # fmt: skip


def _checkout_for(python: tuple[str, ...], folder: Path) -> Path:
    """The checkout if that user can read it, or a copy of what they need."""
    needed = (Path(f"{PACKAGE}/sandbox/alone.py"), Path("tests/sandbox/worker.py"))
    check = "import sys; [open(name).close() for name in sys.argv[1:]]"
    tried = subprocess.run(
        [*python, "-I", "-S", "-c", check, *(str(ROOT / name) for name in needed)],
        user=NUMBER, group=NUMBER, extra_groups=[], cwd="/", capture_output=True, check=False,
    )  # fmt: skip
    if tried.returncode == 0:
        return ROOT
    copy = folder / "checkout"
    hidden = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / PACKAGE, copy / PACKAGE, ignore=hidden)
    shutil.copytree(ROOT / "tests/sandbox", copy / "tests/sandbox", ignore=hidden)
    (copy / "tests/__init__.py").touch()
    for place, _, names in os.walk(copy):
        Path(place).chmod(0o755)
        for name in names:
            Path(place, name).chmod(0o644)
    return copy


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], sys.argv[2], sys.argv[3:])))  # type: ignore[arg-type]
