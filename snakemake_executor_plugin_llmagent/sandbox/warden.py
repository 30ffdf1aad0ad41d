"""Ends the scripts of a run, also when the process that started them was killed.

Every supervisor of a script carries a mark in its environment. Asked to end, it ends all that it supervises first. This
module finds supervisors by the mark. As a program (`python -I -S warden.py NEEDLE`, standard
library alone) it waits for the end of its standard input, which is the end of the process at the other end, and then
ends what carries the mark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

TOKEN = "LLMAGENT_TRIAL"
"""The environment variable that holds the mark."""
DONE = b"done"
"""What a run says to its warden when it ends in good order."""
_LOOK_AGAIN_SECONDS = (0.0, 0.02, 0.05, 0.1, 0.2)
"""A process that is being started while we look is found when we look again."""
_PATIENCE_SECONDS = 15.0
"""After this a supervisor is killed; it takes a tenth of a second to end."""


class Warden:
    """Marks the scripts of one run, and keeps a process that outlives the run's own by a moment."""

    def __init__(self) -> None:
        """Make up a mark; nothing is started yet."""
        self.mark = uuid.uuid4().hex
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()

    def new_token(self) -> str:
        """A mark for one script, which begins with the run's."""
        return f"{self.mark}-{uuid.uuid4().hex}"

    def watch(self) -> None:
        """Start the process; does nothing the second time."""
        with self._starting:
            if self._process is None:
                # A session of its own: what ends the run by a signal to its group must not end the warden.
                self._process = subprocess.Popen(
                    (sys.executable, "-I", "-S", str(Path(__file__)), f"{TOKEN}={self.mark}"), stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
                )  # fmt: skip

    def end_scripts(self) -> None:
        """Ask every process that carries the mark of this run to end."""
        end_marked(f"{TOKEN}={self.mark}")

    def close(self) -> None:
        """Let the process go."""
        with self._starting:
            process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(DONE)
            process.stdin.flush()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


def end_marked(needle: str, number: int = signal.SIGTERM) -> int:
    """Ask every process to end whose environment holds `NAME=beginning of value`; returns how many there were."""
    found = marked(needle)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return len(found)


def marked(needle: str) -> list[int]:
    """Living processes of ours whose environment holds `NAME=beginning of value`."""
    sought = needle.encode()
    found: list[int] = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            if sought in Path(entry.path, "environ").read_bytes() and not _is_zombie(entry.path):
                found.append(int(entry.name))
        except OSError:
            continue  # gone meanwhile, or another user's
    return found


def _is_zombie(folder: str) -> bool:
    return Path(folder, "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def main(needle: str) -> int:
    """Wait for the end of the process at the other end of standard input, then end its scripts."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    said = b""
    while part := os.read(0, 64):
        said += part
        if DONE in said:
            return 0  # without waiting for the end of the pipe: a process forked meanwhile may hold it
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for pause in _LOOK_AGAIN_SECONDS:
        time.sleep(pause)
        while end_marked(needle, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL):
            time.sleep(0.02)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
