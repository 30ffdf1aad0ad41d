"""What happened while one rule was authored, as events on disk.

A session is a directory `sessions/<rule>/<time>/` with `events.jsonl` (one event a line, each with the format's
version) and the texts that events point to: every candidate, every trial's log, every reply. What each kind of event
holds stands in `schemas/session-1.json`.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.spec import digest_text

EVENT_VERSION = 1
OUTPUTS = "outputs"
"""Folder of a session with what a trial made whose script waits for a person."""
"""Raised when a reader of the old version would misread the new one; a new kind of event is no reason."""
KINDS = frozenset(
    {
        "begin", "repair", "call", "reply", "attempt", "crosscheck try", "crosscheck", "arbitration", "fallback",
        "budget", "exhausted", "frozen", "unstored",
    }
)  # fmt: skip
EVENTS = "events.jsonl"


def utc_now() -> str:
    """The time, in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Session:
    """Writes down what happens, as it happens, so that a killed run has its story too."""

    def __init__(self, directory: Path, redact: Callable[[str], str] = str) -> None:
        """Start a session in a directory of its own; `redact` takes secrets out of every text."""
        self.directory = directory
        self._redact = redact
        self._writing = threading.Lock()
        self.counts: Counter[str] = Counter()
        directory.mkdir(parents=True)

    @classmethod
    def start(cls, root: Path, rule: str, redact: Callable[[str], str] = str) -> Session:
        """Start a session for a rule below `root`, named by the time."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        number = 0
        while True:
            suffix = f"-{number}" if number else ""
            try:
                return cls(root / rule / f"{stamp}{suffix}", redact)
            except FileExistsError:
                number += 1

    def event(self, kind: str, **facts: Any) -> None:
        """Append an event."""
        record = {"version": EVENT_VERSION, "time": utc_now(), "event": kind, **facts}
        line = self._redact(_json(record))
        # A lone surrogate from a model or a file becomes `\\udc80`, which JSON reads as what it was.
        events = self.directory / EVENTS
        with self._writing, events.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as handle:
            handle.write(line + "\n")
            handle.flush()
            os.fsync(handle.fileno())
            self.counts[kind] += 1

    def keep(self, name: str, text: str) -> str:
        """Keep a text as a file of the session; returns its name for events."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._redact(text), encoding="utf-8", errors="backslashreplace")
        return name

    @property
    def digest(self) -> str:
        """The sha256 of the events so far."""
        events = self.directory / EVENTS
        return digest_text(events.read_text(encoding="utf-8")) if events.exists() else digest_text("")


def _json(record: Mapping[str, Any]) -> str:
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(_finite(record), ensure_ascii=False, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    """A value with the numbers that JSON does not know as texts."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Story:
    """A session as it was read.

    Attributes:
        directory: where it lies.
        events: what happened, in order; kinds that this version does not know included.
        problems: what could not be read or is not known, in words.
    """

    directory: Path
    events: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...] = ()

    def of(self, *kinds: str) -> tuple[Mapping[str, Any], ...]:
        """The events of some kinds."""
        return tuple(event for event in self.events if event["event"] in kinds)

    def text(self, name: str | None) -> str | None:
        """A text that an event points to; None if there is none, or it is not there any more."""
        path = (self.directory / (name or "")).resolve()
        if not name or not path.is_relative_to(self.directory.resolve()) or not path.is_file():
            return None
        return path.read_text(encoding="utf-8", errors="replace")


def read_session(path: Path) -> Story:
    """Read a session, also one of a run that was killed, or of a later version as far as it can be understood.

    Args:
        path: its directory, or its `events.jsonl`.

    Raises:
        ConfigError: there is none.
    """
    file = path if path.name == EVENTS else path / EVENTS
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise ConfigError(f"No session can be read at {file}: {error.strerror}.") from error
    events: list[Mapping[str, Any]] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        event, problem = _read_event(line)
        if event is not None:
            events.append(event)
        elif number == len(lines):  # nothing comes after it, not even the end of its line
            problem = "is torn: the run ended while it was written"
        if problem:
            problems.append(f"Line {number} of {file} {problem}.")
    return Story(directory=file.parent, events=tuple(events), problems=tuple(problems))


def _read_event(line: str) -> tuple[Mapping[str, Any] | None, str]:
    """An event, None if it cannot be used; and what is odd about it."""
    try:
        event = json.loads(line)
    except ValueError:
        return None, "is not JSON"
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None, "is no event"
    if event.get("version") != EVENT_VERSION:
        known = f"this plugin reads version {EVENT_VERSION}"
        return None, f"has version {event.get('version')!r}, and {known}; a later plugin may read it"
    if event["event"] not in KINDS:
        return event, f"is of a kind that this plugin does not know: {event['event']!r}"
    return event, ""
