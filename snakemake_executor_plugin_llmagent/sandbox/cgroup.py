"""Control groups (version 2) where somebody has delegated some to us: the kernel's own limit on memory and processes.

See cgroups(7) and the kernel's `cgroup-v2.rst`. Standard library alone. Where nothing is delegated, which is the usual
case, the supervisor's own looks at what is used are all there is.
"""

from __future__ import annotations

import os
import time

_NEEDED = ("memory", "pids")


class Group:
    """A control group for one script."""

    def __init__(self, folder: str) -> None:
        """Look at a group that was made."""
        self.folder = folder

    @property
    def door(self) -> str:
        """The file by which a process joins."""
        return os.path.join(self.folder, "cgroup.procs")

    def ended_by(self) -> str | None:
        """The limit that the kernel enforced: `memory`, `processes` or None."""
        if _count(self.folder, "memory.events", "oom_kill"):
            return "memory"
        return "processes" if _count(self.folder, "pids.events", "max") else None

    def peak_memory(self) -> int:
        """The most memory that was in use at once [bytes], 0 if the kernel does not tell."""
        try:
            with open(os.path.join(self.folder, "memory.peak")) as handle:
                return int(handle.read())
        except (OSError, ValueError):
            return 0

    def close(self) -> None:
        """End what is left in it, and remove it."""
        try:
            _write(self.folder, "cgroup.kill", "1")
        except OSError:
            pass  # an older kernel; the supervisor ends processes one by one
        for _ in range(100):
            try:
                os.rmdir(self.folder)
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)  # the kernel has not yet forgotten the last process
            else:
                return


def make(name: str, *, memory: int | None, processes: int | None) -> Group | None:
    """A group with limits [bytes, number], or None where none can be made."""
    for parent in _candidates():
        folder = os.path.join(parent, name)
        try:
            os.mkdir(folder)
        except OSError:
            continue
        group = Group(folder)
        try:
            if memory is not None:
                _write(folder, "memory.max", str(memory))
                if os.path.exists(os.path.join(folder, "memory.swap.max")):
                    _write(folder, "memory.swap.max", "0")
            if processes is not None:
                _write(folder, "pids.max", str(processes))
        except OSError:
            group.close()
            continue
        return group
    return None


def available() -> bool:
    """Whether groups with limits can be made."""
    return bool(_candidates())


def _candidates() -> list[str]:
    """Our own group and the one above, where they may hold groups with limits."""
    mount = _mount()
    own = _own()
    if mount is None or own is None:
        return []
    here = os.path.normpath(mount + own)
    found = [here, os.path.dirname(here)] if here != os.path.normpath(mount) else [here]
    return [place for place in found if _delegated(place)]


def _delegated(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "cgroup.subtree_control")) as handle:
            given = handle.read().split()
    except OSError:
        return False
    return all(name in given for name in _NEEDED) and os.access(folder, os.W_OK)


def _mount() -> str | None:
    try:
        with open("/proc/self/mounts") as handle:
            lines = handle.read().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.split()[2:3] == ["cgroup2"]]
    return found[0] if found else None


def _own() -> str | None:
    try:
        with open("/proc/self/cgroup") as handle:
            found = [line.strip()[3:] for line in handle if line.startswith("0::")]
    except OSError:
        return None
    return found[0] if found else None


def _write(folder: str, name: str, text: str) -> None:
    with open(os.path.join(folder, name), "w") as handle:
        handle.write(text)


def _count(folder: str, name: str, event: str) -> int:
    try:
        with open(os.path.join(folder, name)) as handle:
            return sum(int(line.split()[1]) for line in handle if line.startswith(f"{event} "))
    except OSError:
        return 0
