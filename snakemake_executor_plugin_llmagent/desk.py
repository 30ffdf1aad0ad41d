"""A confined process that is kept at hand while a script runs, and carries out operations without being started anew.

Starting a process and loading what reads ROOT or Parquet files takes longer than most operations.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import Cancelled, SandboxUnavailable
from snakemake_executor_plugin_llmagent.operations import END, answer_file, question_file
from snakemake_executor_plugin_llmagent.sandbox import alone, handed, process
from snakemake_executor_plugin_llmagent.sandbox.confined import Ground, told_to_read
from snakemake_executor_plugin_llmagent.sandbox.notes import Notes
from snakemake_executor_plugin_llmagent.sandbox.order import Order
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trials import Worked

WRITTEN = "written"
"""Folder in the working directory of an operation for the files that it writes."""
_SHORTEST_POLL, _LONGEST_POLL, _GRACE = 0.002, 0.02, 0.05


class _Stop(threading.Event):
    """Set by itself, or together with another event."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()


class Desk:
    """One process of that kind, for one trial; for several threads."""

    def __init__(
        self,
        ground: Ground,
        folder: Path,
        token: Callable[[], str],
        cancelled: threading.Event,
        *,
        files: Sequence[Path],
        folders: Sequence[Path],
        names: Iterable[str],
    ) -> None:
        """Start it.

        Args:
            ground: what scripts of this run have in common.
            folder: an existing folder for what it needs.
            token: makes up a mark for a supervisor.
            cancelled: set when everything has to end.
            files: files and directories that it may read.
            folders: existing folders in which it may read whatever will be there.
            names: paths such as it will be asked to read.
        """
        self._files = frozenset(map(str, files))
        self._folders = tuple(map(os.path.realpath, folders))
        self._cancelled, self._stop = cancelled, _Stop(cancelled)
        self._notes = Notes()
        self._asking = threading.Lock()
        self._asked = 0
        self._place = Path(tempfile.mkdtemp(prefix="desk-", dir=folder))
        order = told_to_read(ground, self._place, files, None, folders)
        known = self._place / "names.json"
        known.write_text(json.dumps([*names]), encoding="utf-8")
        self._stage = order.stage
        (order.stage / WRITTEN).mkdir()
        self._notes.take(order.stage)
        self._thread = threading.Thread(
            target=self._run, args=(replace(order, script=known), ground.outer, token()), name="desk", daemon=True
        )
        self._thread.start()

    def _run(self, order: Order, environment: Mapping[str, str], token: str) -> None:
        command = (sys.executable, "-P", alone.__file__, "serve", str(order.script))
        try:
            process.run(order, command, environment=environment, token=token, cancelled=self._stop)
        except (Cancelled, SandboxUnavailable):
            return  # whoever asks something meanwhile starts a process of their own, and hears why that fails

    def serves(self, read: Iterable[Path]) -> bool:
        """Whether it sees these files; where a link leads it does not."""
        return all(str(path) in self._files or self._lies_within(path) for path in read)

    def _lies_within(self, path: Path) -> bool:
        real = os.path.realpath(path)
        return not path.is_symlink() and any(real.startswith(f"{folder}{os.sep}") for folder in self._folders)

    def ask(self, operation: str, question: Mapping[str, object], write: Path | None, seconds: float) -> Worked | None:
        """Have an operation carried out; None if the process is busy or gone.

        Args:
            operation: as for `Worker`.
            question: as for `Worker`.
            write: as for `Worker`.
            seconds: how long it may take [s].

        Raises:
            Cancelled: everything has to end.
        """
        if not self._asking.acquire(blocking=False):
            return None
        try:
            number = self._asked + 1
            asked = json.dumps({"operation": operation, "question": question})
            self._notes.say(str(question_file(number)), asked)
            self._asked = number  # what could not be written was not asked
            told = self._answer(self._stage / answer_file(number), seconds)
            if told is not None and write is not None:
                handed.take_files(self._stage / WRITTEN, write)
            return told
        finally:
            self._asking.release()

    def _answer(self, answer: Path, seconds: float) -> Worked | None:
        deadline, pause = time.monotonic() + seconds, _SHORTEST_POLL
        while not os.path.lexists(answer):
            if self._cancelled.is_set():
                raise Cancelled("The run was cancelled.")
            if not self._thread.is_alive():
                return None
            if time.monotonic() > deadline:
                self._stop.set()
                return Worked(problem=f"ended after {seconds:g} s")
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_POLL)
        return read_answer(answer)

    def close(self) -> None:
        """End it, and leave nothing of it."""
        try:
            self._notes.say(END, "")
            self._thread.join(_GRACE)
        finally:
            self._stop.set()
            self._thread.join()
            self._notes.leave()
            shutil.rmtree(self._place, ignore_errors=True)


def read_answer(answer: Path) -> Worked | None:
    """What an operation has told; None if that is nothing."""
    try:
        told = json.loads(handed.read_text(answer) or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    return Worked(answer=told.get("answer"), problem=one_line(str(told.get("problem", "")), 500))
