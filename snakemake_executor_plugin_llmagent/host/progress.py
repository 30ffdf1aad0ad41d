"""What a person and logger plugins see of authoring: records in Snakemake's log, and lines at a terminal's bottom.

Each record has `event` `"llmagent"` and, under `llmagent`, a mapping of plain values that `docs/progress.md` describes.
Where the lines at the bottom say what is being done, the terminal is spared the records that say the same; log files
and logger plugins get all of them.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from snakemake.settings.enums import Quietness

from snakemake_executor_plugin_llmagent.errors import Cancelled
from snakemake_executor_plugin_llmagent.host.bottom import Bottom
from snakemake_executor_plugin_llmagent.host.rows import Row, in_columns, in_minutes
from snakemake_executor_plugin_llmagent.progress import NOTE, Step, StepKind
from snakemake_executor_plugin_llmagent.protocols import Usage
from snakemake_executor_plugin_llmagent.text import one_line

RECORD_VERSION = 1
"""Version of the mapping under `llmagent`; raised when a reader of the old one would misread the new one."""
EVENT = "llmagent"
REDRAW_SECONDS = 0.2


def record(row: Row, step: Step, seconds: float) -> dict[str, Any]:
    """A step as plain values, for logger plugins."""
    return {
        "version": RECORD_VERSION,
        "kind": str(step.kind),
        "rule": row.rule,
        "attempt": step.attempt or row.attempt or None,
        "attempts": step.attempts or row.attempts or None,
        "phase": str(step.phase) if step.phase else None,
        "model": step.model or None,
        "detail": step.detail or None,
        "findings": [
            {"check": one.check, "severity": str(one.severity), "message": one.message} for one in step.findings
        ],
        "tokens": dict(vars(row.usage)),
        "cost": row.spent() or None,
        "seconds": round(seconds, 3),
    }


class Progress:
    """The progress of all authorings of a run."""

    def __init__(self, logger: logging.Logger, quiet: Sequence[Quietness] | None) -> None:
        """Tell it through Snakemake's logger, as quietly as the person wants it."""
        self._logger = logger
        self._quiet = frozenset(quiet or ())
        self._rows: list[Row] = []
        self._guard = threading.Lock()
        self._changed = threading.Event()
        self._closed = False
        self._hidden = 0
        self._screen: Screen | None = None
        self._drawing: threading.Thread | None = None

    @contextmanager
    def authoring(self, rule: str, asked: str, spent: Callable[[], str] = str) -> Iterator[Watch]:
        """Within it a rule is authored; what is told there is shown, and how it ended."""
        watch = Watch(self, Row(rule=rule, started=time.monotonic(), spent=spent))
        self._begin(watch.row)
        try:
            watch.tell(one_line(asked, 120), Step(kind=StepKind.BEGIN))
            yield watch
        except BaseException as error:
            self._end(watch.row)
            how = "cancelled" if isinstance(error, Cancelled) else "failed"
            watch.tell(f"{how} after {watch.taken}", Step(kind=StepKind.END, detail=how))
            raise
        else:
            self._end(watch.row)
            watch.tell(f"done in {watch.taken}", Step(kind=StepKind.END, detail="done"))

    def note(self, rule: str, text: str) -> None:
        """Tell something about a rule, whether or not it is authored."""
        self.log(Row(rule=rule, started=time.monotonic(), spent=str), text, NOTE)

    def log(self, row: Row, text: str, step: Step) -> None:
        """Write a record."""
        extra = {"event": EVENT, "rule": row.rule, EVENT: record(row, step, time.monotonic() - row.started)}
        if step.kind is not StepKind.NOTE:
            extra["quietness"] = self._quietness(step)
        self._logger.info(f"Agent rule {row.rule}: {text}", extra=extra)
        self._changed.set()

    def _quietness(self, step: Step) -> Quietness:
        """With which `--quiet` a record is left out: as of rules; phases also as progress."""
        progress = step.kind is StepKind.PHASE and Quietness.PROGRESS in self._quiet
        return Quietness.PROGRESS if progress else Quietness.RULES

    def close(self) -> None:
        """Give the terminal back."""
        self._closed = True
        self._changed.set()
        if self._drawing is not None:
            self._drawing.join(timeout=2.0)
        if self._screen is not None:
            self._screen.close()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Within it the bottom of the terminal is left to somebody else."""
        with self._guard:
            self._hidden += 1
            if self._screen is not None:
                self._screen.show([])
        try:
            yield
        finally:
            with self._guard:
                self._hidden -= 1
            self._changed.set()

    def _begin(self, row: Row) -> None:
        with self._guard:
            self._rows.append(row)
            if self._drawing is None and not self._closed:
                self._screen = Screen.of(self._logger, self._quiet)
                if self._screen is not None:
                    # At once, so that nothing is said twice, above and at the bottom.
                    self._screen.show([] if self._hidden else self._rows)
                    self._drawing = threading.Thread(target=self._draw, name="progress", daemon=True)
                    self._drawing.start()

    def _end(self, row: Row) -> None:
        with self._guard:
            self._rows.remove(row)
        self._changed.set()

    def _draw(self) -> None:
        assert self._screen is not None
        while not self._closed:
            with self._guard:  # also while it is drawn, so that nothing appears after it was hidden
                rows = [] if self._hidden else list(self._rows)
                self._screen.show(rows)
            self._changed.wait(REDRAW_SECONDS if rows else None)
            self._changed.clear()


class Watch:
    """Sees one rule being authored; an `Ear`."""

    def __init__(self, progress: Progress, row: Row) -> None:
        """Watch a rule."""
        self._progress = progress
        self.row = row

    def tell(self, text: str, step: Step = NOTE, /) -> None:
        """Tell what has happened."""
        self.row.goes_on(step)
        self._progress.log(self.row, text, step)

    def heard(self, characters: int) -> None:
        """So much of a reply has come so far [characters]."""
        self.row.come = characters

    def answered(self, usage: Usage) -> None:
        """A reply is there."""
        self.row.answered(usage)

    @property
    def taken(self) -> str:
        """How long it has taken and what it has used, in words."""
        used, spent = self.row.usage.input_tokens + self.row.usage.output_tokens, self.row.spent()
        time_taken = in_minutes(time.monotonic() - self.row.started)
        return ", ".join([time_taken, f"{used:,} tokens", *([spent] if spent else [])])


class Screen:
    """Snakemake's terminal."""

    def __init__(self, handler: logging.StreamHandler[Any]) -> None:
        """Take the bottom of the terminal that a handler writes to."""
        self._handler = handler
        self._bottom = Bottom(handler.stream, handler.lock)
        handler.addFilter(self._is_news)

    @classmethod
    def of(cls, logger: logging.Logger, quiet: frozenset[Quietness]) -> Screen | None:
        """The terminal that Snakemake logs to; None if it is none, cannot do this, or is to stay quiet."""
        if quiet & {Quietness.ALL, Quietness.PROGRESS} or os.environ.get("TERM", "dumb") in ("dumb", ""):
            return None
        for handler in logger.handlers:
            # A plugin that writes to the terminal stands in the place of Snakemake's own handler, in a queue.
            if isinstance(handler, logging.FileHandler) or not isinstance(handler, logging.StreamHandler):
                continue
            if handler.stream.isatty():
                return cls(handler)
        return None

    def show(self, rows: Sequence[Row]) -> None:
        """Show a line for each rule, or for as many as there is room for."""

        def lines(width: int, most: int) -> list[str]:
            now = time.monotonic()
            shown = rows if len(rows) <= most else rows[: most - 1]
            left = len(rows) - len(shown)
            texts = [in_columns(row, now, width) for row in shown]
            return [*texts, f"and {left} more agent rules"[:width]] if left else texts

        self._bottom.show(lines)

    def close(self) -> None:
        """Give it back."""
        self._bottom.close()
        self._handler.removeFilter(self._is_news)

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Whether a record says something that the bottom does not say."""
        facts = getattr(record, EVENT, None)
        phase = isinstance(facts, dict) and facts["kind"] == StepKind.PHASE
        return not (phase and self._bottom.shows)
