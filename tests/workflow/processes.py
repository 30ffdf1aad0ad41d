"""Finding the processes of a project, and waiting for something to come true."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def processes_of(root: Path) -> dict[int, str]:
    """Living processes whose command line, environment or working directory names a project: id → command line."""
    needle = os.fsencode(root)
    found: dict[int, str] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        here = Path(entry.path)
        try:
            command = (here / "cmdline").read_bytes()
            seen = command + (here / "environ").read_bytes() + os.fsencode((here / "cwd").readlink())
        except OSError:
            continue  # gone meanwhile, or another user's
        if needle in seen:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def seconds_until_gone(root: Path, limit: float = 10.0) -> float:
    """How long the last process of a project takes to end; those left at the limit [s] are an error, and killed."""
    started = time.monotonic()
    while left := processes_of(root):
        if time.monotonic() - started > limit:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"still running after {limit:g} s: {left}")
        time.sleep(0.05)
    return time.monotonic() - started


def wait_for(true: Callable[[], object], what: str, limit: float = 90.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + limit
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit:g} s: {what}")
        time.sleep(0.05)


def leftovers(root: Path) -> list[str]:
    """What a finished run must not leave: stages, and hidden files beside scripts and outputs."""
    stages = root / ".snakemake/llmagent/stages"
    found = [str(path.relative_to(root)) for path in (stages.iterdir() if stages.is_dir() else ())]
    for folder in (root, root / "agents"):
        if folder.is_dir():
            found += [path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != ".snakemake"]
    return found
