"""Seeing from outside which inputs a script opened and read (inotify).

The kernel reports accesses whatever library makes them, in children too; an audit hook inside the interpreter misses
C libraries and cannot be trusted. What it cannot tell is *which* process read, so a file that another job reads at
the same time counts as read. Reading through a memory map shows as opened only. Standard library alone.
"""

from __future__ import annotations

import ctypes
import os
import struct

TYPE_CHECKING = False  # as in `typing`, whose import would take 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

_IN_ACCESS, _IN_OPEN, _IN_Q_OVERFLOW, _IN_ISDIR = 0x1, 0x20, 0x4000, 0x40000000
_IN_NONBLOCK, _IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_EVENT = struct.Struct("iIII")
MAX_FOLDERS = 1000
"""How many folders below one input directory are watched; the rest counts as unknown."""


class InputWatch:
    """Watches inputs while a script runs. Where inotify is not to be had, nothing is known and nothing fails."""

    def __init__(self, inputs: Iterable[tuple[str, str]]) -> None:
        """Prepare to watch inputs, given as declared path and real place."""
        self._inputs = tuple(inputs)
        self._descriptor = -1
        self._names: dict[int, set[str]] = {}
        self._partly: set[str] = set()
        self._opened: set[str] = set()
        self._read: set[str] = set()
        self._overflow = False

    def __enter__(self) -> InputWatch:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "inotify_init1"):
            return self
        self._descriptor = libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        if self._descriptor < 0:
            return self
        # Listing a directory opens it: all are listed before any is watched.
        places = [(name, list(self._places(name, real))) for name, real in self._inputs]
        for name, found in places:
            for place in found:
                watch = libc.inotify_add_watch(self._descriptor, os.fsencode(place), _IN_OPEN | _IN_ACCESS)
                if watch >= 0:
                    self._names.setdefault(watch, set()).add(name)
                else:
                    self._partly.add(name)
        return self

    def _places(self, name: str, real: str) -> Iterable[str]:
        yield real
        if not os.path.isdir(real):
            return
        count = 0
        for folder, names, _ in os.walk(real):
            for inner in names:
                count += 1
                if count > MAX_FOLDERS:
                    self._partly.add(name)
                    return
                yield os.path.join(folder, inner)

    def drain(self) -> None:
        """Take in what has happened so far, before the kernel's queue fills up."""
        while self._descriptor >= 0:
            try:
                data = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return
            offset = 0
            while offset < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, offset)
                offset += _EVENT.size + length
                self._note(watch, mask)

    def _note(self, watch: int, mask: int) -> None:
        if mask & _IN_Q_OVERFLOW:
            self._overflow = True
            return
        names = self._names.get(watch, set())
        self._opened |= names
        if mask & _IN_ACCESS and not mask & _IN_ISDIR:
            self._read |= names

    def access(self) -> dict[str, tuple[bool | None, bool | None]]:
        """Declared path → whether it was opened and whether it was read; None if that could not be seen."""
        known = {name for names in self._names.values() for name in names}
        return {name: self._access(name, name in known) for name, _ in self._inputs}

    def _access(self, name: str, known: bool) -> tuple[bool | None, bool | None]:
        otherwise = None if self._overflow or name in self._partly or not known else False
        return (True if name in self._opened else otherwise, True if name in self._read else otherwise)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
