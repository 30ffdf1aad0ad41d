"""Taking in what a script prints: into a log of limited size, and to the terminal, made harmless.

Standard library alone.
"""

from __future__ import annotations

import codecs
import os
import select

TYPE_CHECKING = False  # as in `typing`, whose import would take 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD_BYTES, TAIL_BYTES = 1 << 20, 256 << 10
"""How much of the beginning and of the end is kept; a traceback comes last."""
_CHUNK = 1 << 16
_PATIENCE_SECONDS = 0.2
"""How long whoever reads may take before what is shown is left out [s]."""


class Output:
    """The pipes that stand for standard output and standard error of a script."""

    def __init__(self, log: str, limit: int, *, show: bool) -> None:
        """Open the log.

        Args:
            log: file that gets the output.
            limit: how much may be printed beyond what is kept [bytes]; whoever watches ends the script then.
            show: whether to print it too, to where it was meant to go.
        """
        self.kept = 0
        self.dropped = 0
        self._limit = limit
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._tail = bytearray()
        self._last = bytearray()
        self._ends: dict[int, Shown | None] = {}
        self.stdout = self._pipe(Shown(1) if show else None)
        # One pipe keeps the order of what was printed; two keep the streams apart.
        self.stderr = self._pipe(Shown(2)) if show else self.stdout

    def _pipe(self, shown: Shown | None) -> int:
        end, entrance = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(end, False)
        self._ends[end] = shown
        return entrance

    @property
    def descriptors(self) -> Iterable[int]:
        """Where output arrives."""
        return tuple(self._ends)

    def close_entrances(self) -> None:
        """Close our copies of the script's ends."""
        os.close(self.stdout)
        if self.stderr != self.stdout:
            os.close(self.stderr)

    def take(self, descriptor: int) -> bool:
        """Take what has arrived; False at the end of the stream."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        shown = self._ends[descriptor]
        if shown is not None and self.dropped <= self._limit:
            shown.print(data)
        self._keep(data)
        return True

    def _keep(self, data: bytes) -> None:
        self._last += data
        del self._last[:-2000]
        room = max(0, HEAD_BYTES - self.kept)
        self.kept += min(room, len(data))
        self._write(data[:room])
        rest = data[room:]
        self._tail += rest
        excess = max(0, len(self._tail) - TAIL_BYTES)
        del self._tail[:excess]
        self.dropped += excess

    def _write(self, data: bytes) -> None:
        try:
            os.write(self._log, data)
        except OSError:
            self.dropped += len(data)  # the disk is full; the script's own writing will say so

    def tail(self) -> str:
        """The last that was printed."""
        return bytes(self._last).decode(errors="replace").strip()

    def close(self) -> None:
        """Take what is still there, without waiting for whoever holds the other end, and end the log."""
        for descriptor in self._ends:
            for _ in range(64):  # a pipe holds 64 kB; there is nobody left who could write more
                before = self.kept + len(self._tail) + self.dropped
                if not self.take(descriptor) or self.kept + len(self._tail) + self.dropped == before:
                    break
            shown = self._ends[descriptor]
            if shown is not None:
                shown.finish()
            os.close(descriptor)
        if self.dropped:
            self._write(b"\n[... %d bytes left out ...]\n" % self.dropped)
        self._write(bytes(self._tail))
        os.close(self._log)


class Shown:
    """A stream that is passed on with everything invisible written out."""

    def __init__(self, target: int) -> None:
        """Pass on to a descriptor."""
        self._target = target
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._broken = False
        self._patience = _PATIENCE_SECONDS

    def print(self, data: bytes, final: bool = False) -> None:
        """Pass on what has arrived."""
        from snakemake_executor_plugin_llmagent.text import clean

        text = self._decoder.decode(data, final)
        # A progress bar goes back to the start of its line; here each state gets a line of its own.
        text = clean(text.replace("\r\n", "\n").replace("\r", "\n"))
        pending = text.encode("utf-8", errors="backslashreplace")
        while pending and not self._broken:
            try:
                if not select.select((), (self._target,), (), self._patience)[1]:
                    self._patience = 0.0
                    return  # nobody reads just now (Ctrl-S, a pager); the log has it all, and limits must hold
                pending = pending[os.write(self._target, pending[: select.PIPE_BUF]) :]
                self._patience = _PATIENCE_SECONDS
            except OSError:
                self._broken = True  # nobody reads any more; the script goes on

    def finish(self) -> None:
        """Pass on what was held back."""
        self.print(b"", final=True)
