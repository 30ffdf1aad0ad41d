"""What happened while one rule was authored, as events on disk.

A session is a directory `sessions/<rule>/<time>/` with `events.jsonl` (one event a line, each with the format's
version) and the texts that events point to: every candidate, every trial's log, every reply.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.spec import digest_text

EVENT_VERSION = 1


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
        line = self._redact(json.dumps(record, ensure_ascii=False, default=str))
        # A lone surrogate from a model or a file becomes `\\udc80`, which JSON reads as what it was.
        events = self.directory / "events.jsonl"
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
        events = self.directory / "events.jsonl"
        return digest_text(events.read_text(encoding="utf-8")) if events.exists() else digest_text("")
