"""A terminal to run programs on: as much of a VT100 as line-oriented programs use, behind a real pty.

No test has to guess when something is on its screen: `Console.until` waits for it, woken by all that is written.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from snakemake_executor_plugin_llmagent.text import columns

PATIENCE_SECONDS = 120.0
_SEQUENCE = re.compile(r"\x1b(?:\[(?P<numbers>[\d;?]*)(?P<final>[A-Za-z])|(?P<short>[78DM]))")
_UNFINISHED = re.compile(r"\x1b(?:\[[\d;?]*)?\Z")


class Terminal:
    """What a terminal shows of the bytes that it is sent.

    Attributes:
        history: what has scrolled off the screen.
        region: first and last line that scroll.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        # The second column of a wide character is an empty text.
        self._cells: list[list[str]] = [[] for _ in range(height)]
        self.history: list[str] = []
        self.region = (0, height - 1)
        self.row = self.column = 0
        self._saved = (0, 0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """The screen."""
        return ["".join(cells) for cells in self._cells]

    @property
    def scrolls_all(self) -> bool:
        """Whether no program has kept lines for itself."""
        return self.region == (0, self.height - 1)

    @property
    def text(self) -> str:
        """Everything that was and is to be seen."""
        return "\n".join([*self.history, *self.lines])

    def resize(self, width: int, height: int) -> None:
        """Become larger or smaller, as terminals do that keep the line with the cursor."""
        over = max(0, self.row - (height - 1))
        self.history += self.lines[:over]
        self._cells = [*self._cells[over:], *([] for _ in range(height))][:height]
        self.row -= over
        self.width, self.height, self.region = width, height, (0, height - 1)

    def feed(self, data: bytes) -> None:
        """Take what a program writes."""
        text = self._rest + self._decoder.decode(data)
        unfinished = _UNFINISHED.search(text)
        self._rest = unfinished[0] if unfinished else ""
        text = text.removesuffix(self._rest) if self._rest else text
        place = 0
        for found in _SEQUENCE.finditer(text):
            self._write(text[place : found.start()])
            self._obey(found)
            place = found.end()
        self._write(text[place:])

    def _write(self, text: str) -> None:
        for character in text:
            if character == "\n":
                self._down()
            elif character == "\r":
                self.column = 0
            elif character >= " ":
                if self.column + columns(character) > self.width:
                    self.column = 0
                    self._down()
                self._put(character)

    def _put(self, character: str) -> None:
        cells, width = self._cells[self.row], columns(character)
        cells += [" "] * (self.column - len(cells))
        cells[self.column : self.column + width] = [character, *[""] * (width - 1)] if width else []
        self.column += width

    def _down(self) -> None:
        top, bottom = self.region
        if self.row == bottom:
            gone = self._cells.pop(top)
            if top == 0:
                self.history.append("".join(gone))
            self._cells.insert(bottom, [])
        elif self.row < self.height - 1:
            self.row += 1

    def _obey(self, found: re.Match[str]) -> None:
        numbers = [int(number or 0) for number in (found["numbers"] or "").strip("?").split(";")]
        what, first = found["final"] or found["short"], numbers[0] if numbers else 0
        if what == "7":
            self._saved = (self.row, self.column)
        elif what == "8":
            self.row, self.column = min(self._saved[0], self.height - 1), self._saved[1]
        elif what == "D" and found["short"]:
            self._down()
        elif what == "A":
            self.row = max(self.row - max(first, 1), 0)
        elif what == "H":
            self.row = min(max(first, 1), self.height) - 1
            self.column = (numbers[1] if len(numbers) > 1 else 1) - 1
        elif what == "r":
            last = numbers[1] if len(numbers) > 1 else self.height
            self.region, self.row, self.column = (max(first, 1) - 1, last - 1), 0, 0
        elif what == "K":
            assert first == 2
            self._cells[self.row] = []
        elif what == "J":
            assert first == 0
            del self._cells[self.row][self.column :]
            self._cells[self.row + 1 :] = [[] for _ in range(self.height - self.row - 1)]
        else:
            assert what in "mhl", f"this terminal does not know {found[0]!r}"


class Console:
    """A program on a terminal of its own, which controls it as a person's does; use it as a context manager.

    Attributes:
        terminal: what it shows.
        raw: everything the program has written.
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], width: int = 80, height: int = 24
    ) -> None:
        self.terminal = Terminal(width, height)
        self.raw = b""
        self._heard = 0
        self._changed = threading.Condition()
        self._ended = False
        self._master, slave = pty.openpty()
        self._set_size(width, height)
        self._process = subprocess.Popen(
            command, cwd=cwd, env={**env, "TERM": env.get("TERM", "xterm")}, stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True, preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(slave)
        self._reading = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reading.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reading.join()
        os.close(self._master)

    @property
    def screen(self) -> list[str]:
        """The lines on the screen now."""
        with self._changed:
            return [line.rstrip() for line in self.terminal.lines]

    @property
    def bottom(self) -> list[str]:
        """The lines that do not scroll."""
        with self._changed:
            return [line.rstrip() for line in self.terminal.lines[self.terminal.region[1] + 1 :]]

    def until(self, seen: Callable[[], object], what: str) -> None:
        """Wait until something is to be seen."""
        with self._changed:
            self._changed.wait_for(lambda: seen() or self._ended, PATIENCE_SECONDS)
            assert seen(), f"never came: {what}. There was:\n{self.terminal.text}"

    def until_said(self, text: str) -> str:
        """Wait until a text is written that was not waited for before; returns what was written up to it."""
        wanted = text.encode()
        self.until(lambda: wanted in self.raw[self._heard :], repr(text))
        start = self._heard
        self._heard = self.raw.index(wanted, start) + len(wanted)
        return self.raw[start : self._heard].decode("utf-8", "replace").replace("\r\n", "\n")

    def wait(self) -> int:
        """Wait for the end, and for everything that was written until then; returns the exit status."""
        self._reading.join(PATIENCE_SECONDS)
        assert not self._reading.is_alive(), f"it does not end. There was:\n{self.terminal.text}"
        return self._process.wait(timeout=PATIENCE_SECONDS)

    def type(self, keys: bytes) -> None:
        """Type at the terminal."""
        os.write(self._master, keys)

    def resize(self, width: int, height: int) -> None:
        """Change the terminal's size."""
        with self._changed:
            self.terminal.resize(width, height)
            self._set_size(width, height)

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux's way to say that nobody has the terminal open any more
                data = b""
            with self._changed:
                self.raw += data
                self.terminal.feed(data)
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return


def _take_terminal() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
