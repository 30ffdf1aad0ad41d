"""A Snakemake that runs in a terminal, and somebody who types."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.workflow.project import Project

PATIENCE_SECONDS = 120.0
"""After so long without the text that is waited for, a test gives up."""


class Terminal:
    """A command of a project with a terminal of its own; use it as a context manager."""

    def __init__(self, project: Project, command: Sequence[str]) -> None:
        """Start the command."""
        self.text = ""
        self._read = 0
        self._ended: int | None = None
        self._process, self._master = pty.fork()
        if self._process == 0:  # the child: nothing of this process's may go on in it
            try:
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever started the tests may have it ignored
                os.chdir(project.root)
                os.execve(command[0], list(command), {**project.environment(), "TERM": "xterm"})
            finally:
                os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        os.close(self._master)

    def until(self, text: str) -> str:
        """Wait until a text is shown that was not waited for before; returns what was shown up to it."""
        while text not in self.text[self._read :]:
            if not self._more():
                raise AssertionError(f"{text!r} was not shown:\n{self.text}")
        start = self._read
        self._read = self.text.index(text, start) + len(text)
        return self.text[start : self._read]

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._master, text.encode())

    def status(self) -> int:
        """Wait for the end; returns the exit status."""
        while self._more():
            pass
        _, ended = os.waitpid(self._process, 0)
        self._ended = os.waitstatus_to_exitcode(ended)
        return self._ended

    def _more(self) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"nothing more was shown:\n{self.text}")
        try:
            got = os.read(self._master, 65536)
        except OSError:  # Linux says EIO when the last process has closed its terminal
            return False
        self.text += got.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(got)
