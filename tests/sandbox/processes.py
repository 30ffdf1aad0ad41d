"""Processes seen from outside: who descends from us, and ending them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections import defaultdict

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends: nothing that we started can hide from us."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot adopt orphans")


def when_parent_ends(number: signal.Signals) -> None:
    """Get this signal when the process that started us ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def state(pid: int) -> str:
    """The letter that the kernel shows; empty if there is no such process."""
    return _facts(pid)[0].decode()


def _facts(pid: int) -> tuple[bytes, int]:
    """State and parent; the whole table is read after every attack, so this is made for speed."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return b"", 0
    try:
        fields = os.read(descriptor, 500).rpartition(b")")[2].split(None, 2)
    except OSError:  # it ended meanwhile
        return b"", 0
    finally:
        os.close(descriptor)
    return fields[0], int(fields[1])


def _table() -> dict[int, list[tuple[int, bytes]]]:
    """Parent → its children and their states."""
    found: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                letter, parent = _facts(int(entry.name))
                found[parent].append((int(entry.name), letter))
    return found


def descendants(root: int) -> list[int]:
    """Living processes below one, nearest first."""
    return _below(root, _table())


def _below(root: int, table: dict[int, list[tuple[int, bytes]]]) -> list[int]:
    found: list[int] = []
    pending = [root]
    while pending:
        below = [pid for pid, letter in table.get(pending.pop(0), []) if letter not in (b"", b"Z")]
        found += below
        pending += below
    return found


def left_over(known: set[int], patience: float = 0.0) -> list[int]:
    """Our descendants that nobody knows, after some patience with those that are just ending."""
    deadline = time.monotonic() + patience
    unseen = 0
    while True:
        left = [pid for pid in descendants(os.getpid()) if pid not in known]
        # The table is not read at one instant: one that is just handing over to its child may be missed once.
        unseen = 0 if left else unseen + 1
        if unseen == 3 or (left and time.monotonic() > deadline):
            return left
        time.sleep(0.01)


def end(known: set[int]) -> None:
    """Kill all our descendants but those that are known, and take the dead away."""
    for _ in range(300):
        table = _table()
        left = [pid for pid in _below(os.getpid(), table) if pid not in known]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        for pid, letter in table.get(os.getpid(), []):
            if letter == b"Z" and pid not in known:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        if not left:
            return
        time.sleep(0.01)
