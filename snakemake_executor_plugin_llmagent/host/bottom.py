"""The lowest lines of a terminal, kept apart from what scrolls above them.

The terminal is told to scroll nothing but the lines above (a scroll region, which every terminal has had since the
VT100). So whatever Snakemake, its jobs and their commands print, in whole lines or in parts, goes on as if the terminal
were a few lines shorter. Each change is one write, after which the cursor is where it was.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

LEAST_HEIGHT, LEAST_WIDTH = 6, 20
"""A smaller terminal has no room for lines that stay."""

_SAVE, _RESTORE = "\x1b7", "\x1b8"
_DOWN, _UP = "\x1bD", "\x1b[{}A"
_SCROLLS, _SCROLLS_ALL = "\x1b[1;{}r", "\x1b[r"
_PLAIN, _GO, _ERASE_LINE, _ERASE_BELOW = "\x1b[0m", "\x1b[{};1H", "\x1b[2K", "\x1b[J"

Lines = Callable[[int, int], Sequence[str]]
"""Makes the lines for a terminal: at most so many columns wide, and at most so many."""


class Bottom:
    """The lowest lines of one terminal."""

    def __init__(self, stream: TextIO, lock: threading.RLock | None = None) -> None:
        """Take the lowest lines of the terminal behind a stream.

        Args:
            stream: who else writes to it.
            lock: held by them while they write.
        """
        self._stream = stream
        self._file = stream.fileno()
        self._lock = lock or threading.RLock()
        self._size = (0, 0)
        self._held = 0
        self._shown: tuple[str, ...] = ()
        self._process = os.getpid()
        self._gone = False

    @property
    def shows(self) -> bool:
        """Whether lines stand there."""
        return self._held > 0

    def show(self, lines: Lines) -> None:
        """Show lines in the place of those that stood there; none at all gives the terminal back."""
        if self._gone or not self._lock.acquire(timeout=1.0):
            return  # somebody else is stuck in writing; the next time is soon
        try:
            size = tuple(os.get_terminal_size(self._file))
            wanted = tuple(lines(size[0] - 1, (size[1] - 1) // 3)) if self._has_room(size) else ()
            if (wanted, size) != (self._shown, self._size):
                self._write(self._change(size, wanted))
                self._shown = wanted
        except OSError:
            self._gone = True  # the terminal was closed, or is nothing that has a size
        finally:
            self._lock.release()

    def close(self) -> None:
        """Give the terminal back as it was."""
        if os.getpid() == self._process:  # not in a child that was forked and ends in the ordinary way
            self.show(lambda *_: ())

    def _has_room(self, size: tuple[int, ...]) -> bool:
        return size[0] >= LEAST_WIDTH and size[1] >= LEAST_HEIGHT and self._in_front()

    def _in_front(self) -> bool:
        """Whether the terminal is ours, not that of a shell which has put us into the background."""
        try:
            return os.tcgetpgrp(self._file) == os.getpgrp()
        except OSError:
            return True  # not the terminal that controls us: nobody else is in front of it

    def _change(self, size: tuple[int, ...], lines: tuple[str, ...]) -> str:
        """What makes of the lines that stand there those that are wanted."""
        width, height = size
        parts: list[str] = []
        if size != self._size and self._held:
            # Terminals move lines about when they are resized. Ours are below the cursor, wherever that is now.
            parts += [_SAVE, _SCROLLS_ALL, _RESTORE, _PLAIN, _ERASE_BELOW, _RESTORE]
            self._held = 0
        self._size = (width, height)
        if not self._held and lines:
            atexit.register(self.close)
        if self._held and not lines:
            atexit.unregister(self.close)
        more = len(lines) - self._held
        if more > 0:
            parts += [_DOWN * more, _UP.format(more)]
        parts += [_SAVE, _PLAIN]
        for row in range(height - max(len(lines), self._held), height - len(lines)):
            parts += [_GO.format(row + 1), _ERASE_LINE]
        parts += [_SCROLLS.format(height - len(lines)) if lines else _SCROLLS_ALL]
        for number, line in enumerate(lines):
            parts += [_GO.format(height - len(lines) + number + 1), _ERASE_LINE, line]
        self._held = len(lines)
        return "".join([*parts, _PLAIN, _RESTORE])

    def _write(self, text: str) -> None:
        self._stream.flush()
        data = text.encode(getattr(self._stream, "encoding", None) or "utf-8", "replace")
        while data:
            data = data[os.write(self._file, data) :]
