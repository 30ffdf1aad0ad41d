"""Running a supervisor to its end, or to ours."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import Cancelled, SandboxUnavailable
from snakemake_executor_plugin_llmagent.sandbox import alone
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Report, read_report
from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN

PATIENCE_SECONDS = 15.0
"""How long a supervisor has to end everything after it was told to [s]; it takes a tenth of a second."""
_SHORTEST_POLL, _LONGEST_POLL = 0.005, 0.1


def supervisor_command(order: Path, python: str = sys.executable, program: str = alone.__file__) -> tuple[str, ...]:
    """The words that stand before a command to have it run as an order says."""
    return (python, "-I", "-S", program, "supervise", str(order), "--")


def run(
    order: Order,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    token: str,
    cancelled: threading.Event,
    enter: Sequence[str] = (),
    supervisor: tuple[str, str] = (sys.executable, alone.__file__),
) -> Report:
    """Have a command run within walls and limits, and wait for it; no process of it is left behind.

    Args:
        order: what to run it within.
        command: program and arguments.
        environment: the supervisor's own environment, of which the order says what the command gets.
        token: the mark by which the supervisor is found.
        cancelled: set when it has to end.
        enter: words before the supervisor's, which enter the rule's software environment.
        supervisor: the Python and the program that supervise; others inside a container.

    Raises:
        Cancelled: `cancelled` was set, or somebody else ended the run.
        SandboxUnavailable: nothing was run.
    """
    place = order.report.with_name("order.json")
    order.write(place)
    complaints = order.report.with_name("complaints")
    try:
        with complaints.open("wb") as sink:
            process = subprocess.Popen(
                (*enter, *supervisor_command(place, *supervisor), *command), cwd=order.stage,
                env={**environment, TOKEN: token}, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                start_new_session=True, close_fds=True,
            )  # fmt: skip
    except OSError as error:
        raise SandboxUnavailable(f"A script could not be started in {order.stage}: {error}.") from error
    try:
        _wait(process, cancelled)
    finally:
        end(process)
    if cancelled.is_set():
        raise Cancelled("The run of the script was cancelled.")
    report = read_report(order.report, complaints.read_text(errors="replace").strip()[-2000:])
    if report.ending == "stopped":
        raise Cancelled("The run of the script was ended from outside.")
    if report.ending == "refused to start":
        raise SandboxUnavailable(f"The sandbox {order.backend} could not be set up: {report.refusal}")
    return report


def _wait(process: subprocess.Popen[bytes], cancelled: threading.Event) -> None:
    """Wait for the end, or for the wish to end it."""
    pause = _SHORTEST_POLL
    while not cancelled.is_set():
        try:
            process.wait(timeout=pause)
            return
        except subprocess.TimeoutExpired:
            pause = min(2 * pause, _LONGEST_POLL)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a supervisor to end everything; kill it only if it does not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    number = signal.SIGTERM
    while process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone already
            os.killpg(process.pid, number)
        try:
            process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                number = signal.SIGKILL
