"""Which process wrote an entry, so that it can be told from others, and a dead one from a living."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


@cache
def this_host() -> str:
    """This machine, or this container of it: process ids mean the same everywhere within."""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return f"{socket.gethostname()}/{space}"


def start_of(pid: int) -> str:
    """When a process was started, as a text that no later process of that id has too; empty if nobody can say."""
    try:
        # The name of the program stands in brackets and may hold anything.
        ticks = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except (OSError, IndexError):
        return ""
    return f"{boot}-{ticks}"


@cache
def _start_of_own(pid: int) -> str:
    return start_of(pid)


def own_start() -> str:
    """When this process was started."""
    return _start_of_own(os.getpid())  # by its id, as a forked child is another process


def is_dead(pid: int, host: str, start: str) -> bool:
    """Whether a process is known to live no more; of other machines nothing is known."""
    if host != this_host():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(start) and start_of(pid) != start
