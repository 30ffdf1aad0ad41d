"""Running a command to its end, or to ours: limits, cancelling, and ending every process it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import Cancelled, SandboxUnavailable
from snakemake_executor_plugin_llmagent.protocols import Ending
from snakemake_executor_plugin_llmagent.sandbox import launcher
from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN, end_marked

LOG_LIMIT_BYTES = 64 << 20
"""A script that prints more than this is ended."""
_SHORTEST_POLL, _LONGEST_POLL = 0.005, 0.1


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a script may use.

    Attributes:
        seconds: wall time [s].
        log_bytes: what it may print [bytes].
    """

    seconds: float
    log_bytes: int = LOG_LIMIT_BYTES


def run(
    command: tuple[str, ...],
    *,
    directory: Path,
    environment: Mapping[str, str],
    log: Path,
    limits: Limits,
    cancelled: threading.Event,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Ending, int, float]:
    """Run a command, its output going to a file, and leave no process of it behind.

    Args:
        command: program and arguments.
        directory: where it runs.
        environment: its environment, the mark included.
        log: the file that its output goes to.
        limits: what it may use.
        cancelled: set when it has to end.
        tick: called several times a second while it runs.

    Returns:
        How it ended, its exit status (negative signal number if a signal ended it), and the wall time [s].

    Raises:
        Cancelled: `cancelled` was set; the command's processes are gone.
        SandboxUnavailable: the command could not be started.
    """
    wrapped = (sys.executable, "-I", "-S", str(Path(launcher.__file__)), str(os.getpid()), "--", *command)
    started = time.monotonic()
    try:
        with log.open("wb") as sink:
            process = subprocess.Popen(
                wrapped, cwd=directory, env=dict(environment), stdin=subprocess.DEVNULL, stdout=sink,
                stderr=subprocess.STDOUT, start_new_session=True, close_fds=True,
            )  # fmt: skip
    except OSError as error:
        raise SandboxUnavailable(f"A script could not be started in {directory}: {error}.") from error
    ending: Ending | None = None
    try:
        ending = _wait(process, started, log, limits, cancelled, tick)
    finally:
        end_all(process, environment[TOKEN])
        tick()
    seconds = time.monotonic() - started
    if ending is None:
        raise Cancelled("The run of the script was cancelled.")
    if process.returncode == launcher.FAILED and _tail(log).startswith("llmagent: "):
        raise SandboxUnavailable(_tail(log))
    if ending is Ending.EXIT and process.returncode < 0:
        ending = Ending.SIGNAL
    return ending, process.returncode, seconds


def _wait(
    process: subprocess.Popen[bytes],
    started: float,
    log: Path,
    limits: Limits,
    cancelled: threading.Event,
    tick: Callable[[], None],
) -> Ending | None:
    """Wait for the end; None if cancelled."""
    pause = _SHORTEST_POLL
    while True:
        try:
            process.wait(timeout=pause)
            return Ending.EXIT
        except subprocess.TimeoutExpired:
            pause = min(2 * pause, _LONGEST_POLL)
        tick()
        if cancelled.is_set():
            return None
        if time.monotonic() - started > limits.seconds:
            return Ending.TIMEOUT
        if log.stat().st_size > limits.log_bytes:
            return Ending.LOG_FLOOD


def end_all(process: subprocess.Popen[bytes], token: str) -> None:
    """Kill a process, its group and every process that carries the trial's mark, until none is left."""
    for _ in range(50):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone already
            os.killpg(process.pid, signal.SIGKILL)
        left = end_marked(f"{TOKEN}={token}")
        if process.returncode is None:
            process.wait()
        if not left:
            return
        time.sleep(0.01)


def _tail(log: Path, size: int = 500) -> str:
    with log.open("rb") as handle:
        handle.seek(0, os.SEEK_END)
        handle.seek(max(0, handle.tell() - size))
        return handle.read().decode(errors="replace").strip()
