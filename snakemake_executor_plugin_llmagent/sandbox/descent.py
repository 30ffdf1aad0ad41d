"""Finding, measuring and ending every process that descends from this one. Standard library alone."""

from __future__ import annotations

import os
import time

_SIGKILL, _SIGSTOP = 9, 19
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK_AGAIN_SECONDS, _LOOK_AGAIN_LATER_SECONDS = 0.001, 0.01


def descendants(root: int) -> list[int]:
    """Processes below one, by the kernel's lists of children where there are any."""
    found: list[int] = []
    pending = [root]
    while pending:
        pid = pending.pop()
        children = _children(pid)
        if children is None:
            return _descendants_by_table(root)
        found += children
        pending += children
    return found


def _children(pid: int) -> list[int] | None:
    """Children of all threads of a process; None if the kernel does not tell."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found  # ended meanwhile
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as handle:
                found += map(int, handle.read().split())
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}/task/{thread}/stat"):
                return None
        except OSError:
            continue
    return found


def _descendants_by_table(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    pending = [root]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def _stat(pid: int) -> list[bytes]:
    """The fields of `/proc/PID/stat` from the state on; empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as handle:
            return handle.read().rpartition(b")")[2].split()
    except OSError:
        return []


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and only waits to be counted."""
    fields = _stat(pid)
    return not fields or fields[0] == b"Z"


def measure(pids: list[int]) -> tuple[int, int]:
    """Memory that is resident [bytes], pages that are shared counted for each, and the number of threads."""
    memory = threads = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            memory += int(fields[21]) * _PAGE
            threads += int(fields[17])
    return memory, threads


def shared_memory(pids: list[int]) -> int:
    """What lies in the `/dev/shm` of processes that have one of their own [bytes]; 0 if nobody can tell."""
    try:
        ours = os.stat("/dev/shm").st_dev
    except OSError:
        ours = -1
    for pid in reversed(pids):
        try:
            place = f"/proc/{pid}/root/dev/shm"
            if os.stat(place).st_dev == ours:
                continue
            found = os.statvfs(place)
        except OSError:
            continue  # not there yet, gone, or not ours to look at
        return (found.f_blocks - found.f_bfree) * found.f_frsize
    return 0


def unnamed_files(pids: list[int]) -> int:
    """What is held open without a name any more [bytes]; it lies on no list of files, but on the disk."""
    seen: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                found = os.stat(f"/proc/{pid}/fd/{descriptor}")
            except OSError:
                continue
            if found.st_nlink == 0 and found.st_mode & 0o170000 == 0o100000:
                seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


def proportional_memory(pids: list[int]) -> int:
    """Memory [bytes], shared pages counted once; resident memory where the kernel does not tell."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as handle:
                total += next(int(line.split()[1]) * 1024 for line in handle if line.startswith(b"Pss:"))
        except (OSError, StopIteration):
            total += measure([pid])[0]
    return total


def end_all(seconds: float = 10.0) -> int:
    """Kill every descendant of this process, which must adopt orphans, and collect what is left of them.

    All are stopped before any is killed, so that none starts another meanwhile; and again until there is none.

    Returns:
        How many there were.

    Raises:
        TimeoutError: some are still there; a process in an uninterruptible wait (a dead file server) cannot be ended.
    """
    seen: set[int] = set()
    deadline = time.monotonic() + seconds
    pause = _LOOK_AGAIN_SECONDS
    # Orphans become our children, so whoever has no child has no descendant.
    while _collect():
        living = [pid for pid in _descendants_by_table(os.getpid()) if not is_zombie(pid)]
        seen.update(living)
        for number in (_SIGSTOP, _SIGKILL):
            for pid in living:
                _send(pid, number)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(living)} processes could not be ended")
        time.sleep(pause)
        pause = min(2 * pause, _LOOK_AGAIN_LATER_SECONDS)
    return len(seen)


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone, or the process of another user, started by a set-uid program outside of any wall


def _collect() -> bool:
    """Take note of children that have ended; whether there are others."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
