"""Reading sessions back: what was asked, written, run, found and said, from `events.jsonl` and the texts beside it.

A session may be old, cut off in the middle of a line by a kill, or lack texts. What is there is told, and what is not
is said; nothing here raises for what a session holds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.protocols import Finding, Severity
from snakemake_executor_plugin_llmagent.session import EVENT_VERSION

MOST_BYTES = 64 << 20
"""Longest list of events that is read [bytes]."""
MOST_TEXT = 1 << 20
"""Longest text that is read [bytes]."""
_TOKENS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One question to a model.

    Attributes:
        role: who asked.
        model: as it was asked for.
        reported: as the provider called it; empty without an answer.
        begun, ended: when [s since the epoch]; None if unknown.
        tokens: kind → number.
        usd: what it cost [US dollars]; None if nobody recorded it.
        stop: why it stopped; empty without an answer.
        reused: whether the answer is that of an earlier session, and was not paid again.
    """

    role: str
    model: str
    reported: str = ""
    begun: float | None = None
    ended: float | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    usd: float | None = None
    stop: str = ""
    reused: bool = False


@dataclass(frozen=True, kw_only=True)
class Told:
    """An attempt as its event tells it.

    Attributes:
        number: from 1; 0 for a script that was there before.
        accepted: whether nothing stood against it.
        script, log: texts; None if there were none.
        ending, returncode, seconds: of its run; None if it did not run.
        findings: what was found.
        approved: the reviewer's verdict; None without a review.
        comments: what the reviewer said.
        decisions: as the author listed them.
        evidence: gate → results.
        kind: the class of its mistake (coarse, fine); empty if it was accepted or the session is old.
        calls: what was asked since the attempt before.
        asides: what else happened since the attempt before, in words.
        begun, ended: when [s since the epoch].
    """

    number: int
    accepted: bool
    script: str | None = None
    log: str | None = None
    ending: str | None = None
    returncode: int | None = None
    seconds: float | None = None
    findings: tuple[Finding, ...] = ()
    approved: bool | None = None
    comments: str = ""
    decisions: tuple[Mapping[str, Any], ...] = ()
    evidence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    kind: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    asides: tuple[str, ...] = ()
    begun: float | None = None
    ended: float | None = None


@dataclass(frozen=True, kw_only=True)
class Story:
    """A session.

    Attributes:
        name: of its directory: the time when it began.
        rule, sentence: what was asked for; empty if that is not known.
        wildcards: the job that it was tried on.
        repaired: why a frozen script had to be mended; empty for other sessions.
        attempts: in order.
        left: calls after the last attempt.
        asides: what happened after the last attempt, in words.
        frozen: whether its script was frozen.
        before: the script that it began with; None if there was none, or it was not kept.
        begun, ended: first and last event [s since the epoch].
        digests: of the events up to each of its lines, as a lock may hold one.
        problems: what could not be read.
    """

    name: str
    rule: str = ""
    sentence: str = ""
    wildcards: Mapping[str, str] = field(default_factory=dict)
    repaired: str = ""
    attempts: tuple[Told, ...] = ()
    left: tuple[Call, ...] = ()
    asides: tuple[str, ...] = ()
    frozen: bool = False
    before: str | None = None
    begun: float | None = None
    ended: float | None = None
    digests: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls."""
        return (*(call for attempt in self.attempts for call in attempt.calls), *self.left)


def sessions_of(folder: Path) -> tuple[Story, ...]:
    """The sessions of a rule, oldest first; none if there is no such folder."""
    try:
        places = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        return (Story(name=folder.name, problems=(f"{folder} cannot be read: {error.strerror}",)),)
    return tuple(read_session(place) for place in places)


def read_session(folder: Path) -> Story:
    """A session."""
    reader = _Reader(folder)
    for event in reader.events():
        reader.take(event)
    return reader.story()


class _Reader:
    """Puts a session together, event by event."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._problems: list[str] = []
        self._unknown: set[str] = set()
        self._digests: set[str] = set()
        self._begin: Mapping[str, Any] = {}
        self._attempts: list[Told] = []
        self._calls: list[Call] = []
        self._asides: list[str] = []
        self._times: list[float] = []
        self._since: float | None = None
        self._repaired = ""
        self._frozen = False

    def events(self) -> Iterator[Mapping[str, Any]]:
        """The events that can be read."""
        path = self._folder / "events.jsonl"
        try:
            with path.open("rb") as handle:
                data = handle.read(MOST_BYTES)
        except FileNotFoundError:
            self._problems.append("it has no list of events")
            return
        except OSError as error:
            self._problems.append(f"its list of events cannot be read: {error.strerror}")
            return
        digest, torn = hashlib.sha256(), 0
        for line in data.splitlines(keepends=True):
            digest.update(line)
            self._digests.add(digest.hexdigest())
            event = _parsed(line)
            if event is not None:
                yield event
            elif line.strip():
                torn += 1
        if torn:
            self._problems.append(f"{torn} line{'s' * (torn > 1)} of its list of events cannot be read")

    def take(self, event: Mapping[str, Any]) -> None:
        """Add an event to the story."""
        time = _time(event.get("time"))
        if time is not None:
            self._times.append(time)
            self._since = time if self._since is None else self._since
        if not isinstance(event.get("version"), int) or event["version"] > EVENT_VERSION:
            self._unknown.add(str(event.get("version")))
        kind = _text(event.get("event"))
        known = {
            "begin": self._take_begin, "call": self._take_call, "reply": self._take_reply,
            "attempt": self._take_attempt, "crosscheck try": self._take_second, "crosscheck": self._take_comparison,
            "arbitration": self._take_arbitration, "repair": self._take_repair, "frozen": self._take_frozen,
            "fallback": self._take_fallback, "budget": self._take_budget, "exhausted": self._take_exhausted,
        }  # fmt: skip
        if kind in known:  # of what else happened the page has nothing to tell
            known[kind](event, time)

    def story(self) -> Story:
        """The story as far as it got."""
        problems = list(self._problems)
        if self._unknown:
            versions = ", ".join(sorted(self._unknown))
            problems.append(f"it is of another version ({versions}), of which this one may not know everything")
        wildcards = _mapping(self._begin.get("wildcards"))
        return Story(
            name=self._folder.name, rule=_text(self._begin.get("rule")), sentence=_text(self._begin.get("spec")),
            wildcards={str(name): str(value) for name, value in wildcards.items()}, repaired=self._repaired,
            attempts=tuple(self._attempts), left=tuple(self._calls), asides=tuple(self._asides), frozen=self._frozen,
            before=self._kept("before/script.py", needed=False), begun=min(self._times, default=None),
            ended=max(self._times, default=None), digests=frozenset(self._digests), problems=tuple(problems),
        )  # fmt: skip

    # --- kinds of events ------------------------------------------------------------------------------------------

    def _take_begin(self, event: Mapping[str, Any], _: float | None) -> None:
        self._begin = event

    def _take_call(self, event: Mapping[str, Any], time: float | None) -> None:
        call = Call(role=_text(event.get("role")), model=_text(event.get("model")), begun=time, usd=usd_of(event))
        self._calls.append(call)

    def _take_reply(self, event: Mapping[str, Any], time: float | None) -> None:
        role = _text(event.get("role"))
        waiting = [index for index, call in enumerate(self._calls) if call.role == role and not call.stop]
        index = waiting[-1] if waiting else None
        asked = Call(role=role, model="") if index is None else self._calls[index]
        usage = _mapping(event.get("usage"))
        usd = usd_of(event)
        answered = Call(
            role=role, model=asked.model, reported=_text(event.get("model")), begun=asked.begun, ended=time,
            tokens={name: int(usage[name]) for name in _TOKENS if _is_number(usage.get(name))},
            usd=asked.usd if usd is None else usd, stop=_text(event.get("stop")) or "end",
            reused=bool(event.get("reused")),
        )  # fmt: skip
        if index is None:
            self._calls.append(answered)
        else:
            self._calls[index] = answered

    def _take_attempt(self, event: Mapping[str, Any], time: float | None) -> None:
        review = _mapping(event.get("review"))
        kind = _mapping(event.get("class"))
        number, code, seconds = event.get("number"), event.get("returncode"), event.get("seconds")
        told = Told(
            number=number if isinstance(number, int) else len(self._attempts) + 1,
            accepted=event.get("accepted") is True,
            script=self._kept(event.get("script")),
            log=self._kept(event.get("log")),
            ending=_text(event.get("ending")) or None,
            returncode=code if isinstance(code, int) else None,
            seconds=float(seconds) if isinstance(seconds, (int, float)) and _is_number(seconds) else None,
            findings=_findings(event.get("findings")),
            approved=review.get("approved") is True if review else None,
            comments=_text(review.get("comments")),
            decisions=tuple(entry for entry in _list(event.get("decisions")) if isinstance(entry, dict)),
            evidence={str(gate): _mapping(results) for gate, results in _mapping(event.get("evidence")).items()},
            kind=tuple(_text(kind.get(name)) for name in ("coarse", "fine")) if kind else (),
            calls=tuple(self._calls), asides=tuple(self._asides), begun=self._since, ended=time,
        )  # fmt: skip
        self._attempts.append(told)
        self._calls, self._asides, self._since = [], [], time

    def _take_second(self, event: Mapping[str, Any], _: float | None) -> None:
        errors = [found.check for found in _findings(event.get("findings")) if found.severity is Severity.ERROR]
        what = f"did not pass ({', '.join(errors)})" if errors else "ran"
        self._asides.append(f"Cross-check: try {event.get('number')} of the second script {what}.")

    def _take_comparison(self, event: Mapping[str, Any], _: float | None) -> None:
        self._asides.append(
            f"Cross-check: {event.get('compared')} numbers compared with those of the second script, "
            f"{event.get('apart')} differ."
        )

    def _take_arbitration(self, event: Mapping[str, Any], _: float | None) -> None:
        said = self._kept(event.get("text"))
        self._asides.append(f"The supervisor compared the two scripts: {said or '(what it said is lost)'}")

    def _take_repair(self, event: Mapping[str, Any], _: float | None) -> None:
        self._repaired = _text(event.get("error")) or "it failed"

    def _take_fallback(self, event: Mapping[str, Any], _: float | None) -> None:
        names = _text(event.get("model")) or "?", _text(event.get("instead")) or "?"
        self._asides.append(f"{names[0]} did not answer ({_text(event.get('because'))}); {names[1]} took its place.")

    def _take_budget(self, event: Mapping[str, Any], _: float | None) -> None:
        self._asides.append(f"The session ended at a limit: {_text(event.get('limit'))} ({_text(event.get('of'))}).")

    def _take_exhausted(self, _: Mapping[str, Any], __: float | None) -> None:
        self._asides.append("The session ended because no attempt was accepted.")

    def _take_frozen(self, _: Mapping[str, Any], __: float | None) -> None:
        self._frozen = True

    # --- texts ----------------------------------------------------------------------------------------------------

    def _kept(self, name: object, *, needed: bool = True) -> str | None:
        """A text of the session; None if there is none."""
        if not isinstance(name, str) or not name:
            return None
        base = os.path.realpath(self._folder)
        path = Path(os.path.realpath(Path(base, name)))
        if not path.is_relative_to(base) or path == Path(base):
            self._problems.append(f"{name} lies elsewhere")
            return None
        try:
            with path.open("rb") as handle:
                return handle.read(MOST_TEXT).decode("utf-8", "replace")
        except OSError as error:
            if needed:
                self._problems.append(f"{name} cannot be read: {error.strerror}")
            return None


# --- pieces of events, of which nothing is certain --------------------------------------------------------------------


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < 1e18


def _time(value: object) -> float | None:
    try:
        moment = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _findings(value: object) -> tuple[Finding, ...]:
    found = []
    for entry in _list(value):
        if isinstance(entry, dict):
            severity = Severity.WARNING if entry.get("severity") == Severity.WARNING else Severity.ERROR
            message = _text(entry.get("message"))
            found.append(Finding(check=_text(entry.get("check")) or "?", message=message, severity=severity))
    return tuple(found)


def usd_of(record: Mapping[str, Any]) -> float | None:
    """What was paid, if an event records it as `usd`, or a lock as `cost: {usd: …}`; as a number or in digits."""
    usd = record.get("usd", _mapping(record.get("cost")).get("usd"))
    try:
        paid = float(usd) if isinstance(usd, (str, int, float)) and not isinstance(usd, bool) else None
    except (ValueError, OverflowError):
        return None
    return paid if _is_number(paid) else None
