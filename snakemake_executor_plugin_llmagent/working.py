"""Carrying out operations on files that nobody trusts, in a process that is confined as a script is."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.sandbox import alone, process
from snakemake_executor_plugin_llmagent.sandbox.confined import Ground, told_to_read
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trials import Worked

SECONDS = 600.0
"""How long an operation may take [s]."""
ANSWER, QUESTION, WRITTEN = "answer.json", "question.json", "written"


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

    def __call__(
        self, operation: str, question: Mapping[str, object], *, read: Iterable[Path], write: Path | None = None
    ) -> Worked:
        """Carry out an operation in a process of its own."""
        base = self._folder()
        base.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="work-", dir=base, ignore_cleanup_errors=True) as place:
            folder = Path(place)
            order = told_to_read(self._ground, folder, [path for path in read if path.exists()], SECONDS)
            asked, answer, written = folder / QUESTION, order.stage / ANSWER, order.stage / WRITTEN
            asked.write_text(json.dumps(question), encoding="utf-8")
            written.mkdir()
            command = (sys.executable, "-P", alone.__file__, "work", operation, str(asked), str(answer))
            report = process.run(
                replace(order, script=asked), command, environment=self._ground.outer, token=self._token(),
                cancelled=self._cancelled,
            )  # fmt: skip
            told = _read(answer)
            if told is None:
                log = (folder / "log").read_text(errors="replace") if (folder / "log").exists() else ""
                return Worked(problem=f"ended ({report.ending}): {one_line(log[-400:], 300)}".rstrip(": "))
            if write is not None:
                for entry in written.iterdir():
                    if entry.is_file() and not entry.is_symlink():
                        shutil.move(entry, write / entry.name)
            return Worked(answer=told.get("answer"), problem=one_line(str(told.get("problem", "")), 500))


def _read(answer: Path) -> Mapping[str, object] | None:
    try:
        told = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
