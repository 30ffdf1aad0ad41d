"""Ending processes together with their descendants."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path


def end_trees(roots: Sequence[subprocess.Popen[bytes]], *, patience_seconds: float) -> None:
    """Ask processes and all their descendants to end, and kill those that are left after a while."""
    alive = _with_descendants([root.pid for root in roots if root.returncode is None])
    _send(alive, signal.SIGTERM)
    deadline = time.monotonic() + patience_seconds
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = {pid: started for pid, started in alive.items() if _start_of(pid) == started}
    # What was started meanwhile hangs below somebody who is still there.
    _send(_with_descendants(list(alive)) | alive, signal.SIGKILL)


def _send(processes: dict[int, str], number: signal.Signals) -> None:
    for pid, started in processes.items():
        if _start_of(pid) == started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def _with_descendants(roots: Sequence[int]) -> dict[int, str]:
    """Process id → start time, of processes that live."""
    if not roots:
        return {}
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found: dict[int, str] = {}
    pending = list(roots)
    while pending:
        pid = pending.pop()
        started = _start_of(pid)
        if started is not None and pid not in found:
            found[pid] = started
            pending += children[pid]
    return found


def _start_of(pid: int) -> str | None:
    """When a process was started, which tells it from a later one of the same number; None if it has ended."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else None


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the state on; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
