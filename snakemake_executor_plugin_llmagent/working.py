"""Carrying out operations on files that nobody trusts, in a process that is confined as a script is."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.desk import WRITTEN, Desk, read_answer
from snakemake_executor_plugin_llmagent.sandbox import alone, handed, process
from snakemake_executor_plugin_llmagent.sandbox.confined import Ground, told_to_read
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trials import Worked

SECONDS, LOOK_SECONDS = 600.0, 120.0
"""How long an operation may take, and a look at files [s]."""
ANSWER, QUESTION = "answer.json", "question.json"


class ConfinedWorker:
    """Implements `protocols.Worker`."""

    def __init__(
        self, ground: Ground, folder: Callable[[], Path], token: Callable[[], str], cancelled: threading.Event
    ) -> None:
        """Prepare; see `reading.ConfinedReader`."""
        self._ground = ground
        self._folder = folder
        self._token = token
        self._cancelled = cancelled
        self._desks: tuple[Desk, ...] = ()

    @contextmanager
    def desk(self, *, files: Sequence[Path], folders: Sequence[Path], names: Iterable[str]) -> Iterator[None]:
        """Within it, a process is at hand for operations on some files, if one can be had; see `Desk`."""
        desk = self._opened(files, folders, names)
        if desk is None:
            yield
            return
        self._desks = (*self._desks, desk)
        try:
            yield
        finally:
            self._desks = tuple(other for other in self._desks if other is not desk)
            desk.close()

    def _opened(self, files: Sequence[Path], folders: Sequence[Path], names: Iterable[str]) -> Desk | None:
        try:
            base = self._folder()
            base.mkdir(parents=True)
            return Desk(
                self._ground, base, self._token, self._cancelled, files=[path for path in files if path.exists()],
                folders=folders, names=names,
            )  # fmt: skip
        except OSError:
            return None  # the disk is full, perhaps: those who would have used it have to say so

    def __call__(
        self, operation: str, question: Mapping[str, object], *, read: Iterable[Path], write: Path | None = None
    ) -> Worked:
        """Carry out an operation in a process that is at hand for such files, or in one of its own."""
        read = [path for path in read if path.exists()]
        worked = self._at_desk(operation, question, read=read, write=write)
        return self._work(operation, question, read, write) if worked is None else worked

    def described(self, paths: Sequence[Path]) -> object:
        """What a process that is at hand tells of files; None if none is."""
        worked = self._at_desk("described", {"paths": [str(path) for path in paths]}, read=paths, seconds=LOOK_SECONDS)
        return None if worked is None else worked.answer

    def _at_desk(
        self, operation: str, question: Mapping[str, object], *, read: Sequence[Path], write: Path | None = None,
        seconds: float = SECONDS,
    ) -> Worked | None:  # fmt: skip
        for desk in self._desks:
            worked = desk.ask(operation, question, write, seconds) if desk.serves(read) else None
            if worked is not None:
                return worked
        return None

    def _work(self, operation: str, question: Mapping[str, object], read: Sequence[Path], write: Path | None) -> Worked:
        base = self._folder()
        base.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="work-", dir=base, ignore_cleanup_errors=True) as place:
            folder = Path(place)
            order = told_to_read(self._ground, folder, read, SECONDS)
            asked, answer, written = folder / QUESTION, order.stage / ANSWER, order.stage / WRITTEN
            asked.write_text(json.dumps(question), encoding="utf-8")
            written.mkdir()
            command = (sys.executable, "-P", alone.__file__, "work", operation, str(asked), str(answer))
            report = process.run(
                replace(order, script=asked), command, environment=self._ground.outer, token=self._token(),
                cancelled=self._cancelled,
            )  # fmt: skip
            worked = read_answer(answer)
            if worked is None:
                log = (folder / "log").read_text(errors="replace") if (folder / "log").exists() else ""
                return Worked(problem=f"ended ({report.ending}): {one_line(log[-400:], 300)}".rstrip(": "))
            if write is not None:
                handed.take_files(written, write)
            return worked
