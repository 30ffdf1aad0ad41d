"""A rule and its sessions as a page tells them: what was written, run, found, said and decided, ready to be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from snakemake_executor_plugin_llmagent.lock import Lock
from snakemake_executor_plugin_llmagent.report import evidence
from snakemake_executor_plugin_llmagent.report.charts import duration
from snakemake_executor_plugin_llmagent.report.diffs import Diff, difference
from snakemake_executor_plugin_llmagent.report.facts import AgentFacts, RuleFacts
from snakemake_executor_plugin_llmagent.report.highlight import highlighted, numbers
from snakemake_executor_plugin_llmagent.report.outputs import Shown
from snakemake_executor_plugin_llmagent.report.sessions import Call, Story, Told
from snakemake_executor_plugin_llmagent.report.usage import Usage, of_calls, of_rule
from snakemake_executor_plugin_llmagent.text import one_line, shorten
from snakemake_executor_plugin_llmagent.trail import APPROVED, in_words

MOST_SESSIONS = 8
"""So many sessions of a rule are told, the newest ones."""
LOG, MESSAGE, SCRIPT = 2000, 6000, 100_000
"""Longest log, message and script of an attempt that is shown [characters]."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the sentence left open, and how it was decided.

    Attributes:
        name, value, unit, reason: in words.
        alternatives: others that would do.
        pinned: whether the rule decides it.
    """

    name: str
    value: str
    unit: str
    alternatives: tuple[str, ...]
    reason: str
    pinned: bool


@dataclass(frozen=True, kw_only=True)
class AttemptView:
    """An attempt.

    Attributes:
        told: what its event tells.
        anchor: its place on the page.
        kind: `accepted`, `found` (something speaks against it) or `revised` (by the reviewer).
        verdict: what became of it, in words.
        diff: to the script before it; None if there is none before it, or no script.
        since: what that script is, in words.
        whole: the script, if there is nothing to compare it with.
        ran: how its run ended, in words.
        log: what the script printed.
        evidence: what gates have shown.
        usage: what its calls used.
        session: its session, in words.
    """

    told: Told
    anchor: str
    session: str
    kind: str
    verdict: str
    diff: Diff | None
    since: str
    whole: str
    ran: str
    log: str
    evidence: tuple[evidence.Section, ...]
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class StoryView:
    """A session.

    Attributes:
        story: as it was read.
        anchor: its place on the page.
        heading: when it was, in words.
        outcome: what came out of it, in words.
        of_lock: whether the lock names it as that of the script.
        attempts: of it.
        usage: what its calls used.
    """

    story: Story
    anchor: str
    heading: str
    outcome: str
    of_lock: bool
    attempts: tuple[AttemptView, ...]
    usage: Usage


@dataclass(frozen=True, kw_only=True)
class RuleView:
    """An agent rule.

    Attributes:
        facts, agent: what is known of it.
        anchor: its place on the page.
        script, lines: in colours, and the numbers of its lines; None without a script.
        approval: who approved it, when, or why nobody has.
        models: role → model, in words.
        decisions: what the sentence left open.
        evidence: what the lock says was checked.
        stories: sessions, newest first; `left` are not told.
        usage: what all sessions used.
        notes: what could not be read, and what the reader should know first.
        outputs: what its jobs made; `outputs_left` are not shown.
    """

    facts: RuleFacts
    agent: AgentFacts
    anchor: str
    script: Markup | None
    lines: str
    approval: str
    models: tuple[tuple[str, str], ...]
    decisions: tuple[Decision, ...]
    evidence: tuple[evidence.Section, ...]
    stories: tuple[StoryView, ...]
    left: int
    usage: Usage
    notes: tuple[str, ...]
    outputs: tuple[Shown, ...] = ()
    outputs_left: int = 0

    @property
    def attempts(self) -> int:
        """How many attempts are known."""
        told = sum(len(view.attempts) for view in self.stories)
        return told or (self.agent.lock.attempts if self.agent.lock else 0)

    @property
    def people(self) -> tuple[str, ...]:
        """What people did with its scripts, in words, if more than one approval."""
        acts = self.agent.lock.trail if self.agent.lock else ()
        told = tuple(in_words({**act, "time": moment(act["time"])}) for act in acts)
        return told if len(told) > 1 or any(act["act"] != APPROVED for act in acts) else ()


def anchor(*parts: str) -> str:
    """A name for a place on the page, of letters that need no quoting."""
    return "-".join(re.sub(r"[^A-Za-z0-9_-]", lambda found: f".{ord(found[0]):x}.", part) for part in parts)


def rule_view(facts: RuleFacts, agent: AgentFacts, stories: Sequence[Story]) -> RuleView:
    """An agent rule, ready to be shown but for its outputs."""
    name, lock = anchor("rule", facts.name), agent.lock
    told = stories[-MOST_SESSIONS:]
    return RuleView(
        facts=facts, agent=agent, anchor=name,
        script=None if agent.source is None else highlighted(agent.source),
        lines="" if agent.source is None else numbers(agent.source),
        approval=approval(agent), models=models(lock), decisions=decisions(lock.decisions if lock else ()),
        evidence=evidence.of_lock(agent.evidence) if agent.evidence else (),
        stories=tuple(_story(story, name, lock) for story in reversed(told)), left=len(stories) - len(told),
        usage=of_rule(stories, lock), notes=tuple(_notes(agent, stories)),
    )  # fmt: skip


def approval(agent: AgentFacts) -> str:
    """Who approved the script, and when."""
    given = agent.lock.approval if agent.lock else None
    if given is None:
        return "nobody has approved it" if agent.source is not None else "there is no script"
    when = moment(given.time)
    if given.by == "person":
        return f"approved by {given.name or 'a person without a name'}, {when}"
    return f"approved by its checks{' and the review' if agent.lock and agent.lock.review else ''}, {when}"


def moment(time: str) -> str:
    """A time of a lock as a person writes it: `2026-11-27 03:35 UTC`."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(\.\d+)?(\+00:00|Z)", time)
    return f"{found[1]} {found[2]} UTC" if found else time


def models(lock: Lock | None) -> tuple[tuple[str, str], ...]:
    """Role → model, by the name that the provider reported."""
    found = []
    for role, names in (lock.models if lock else {}).items():
        asked, reported = str(names.get("asked", "?")), str(names.get("reported", ""))
        found.append((str(role), f"{reported} (asked for as {asked})" if reported else asked))
    return tuple(found)


def decisions(listed: Iterable[Mapping[str, Any]]) -> tuple[Decision, ...]:
    """Decisions in words."""
    found = []
    for entry in listed:
        others = entry.get("alternatives")
        found.append(
            Decision(
                name=str(entry.get("name", "?")),
                value=evidence.in_words(entry.get("value")),
                unit=str(entry.get("unit") or ""),
                alternatives=tuple(map(evidence.in_words, others)) if isinstance(others, (list, tuple)) else (),
                reason=str(entry.get("reason") or ""),
                pinned=entry.get("pinned") is True,
            )
        )
    return tuple(found)


def _notes(agent: AgentFacts, stories: Sequence[Story]) -> Iterable[str]:
    if agent.state == "broken":
        yield agent.reason
    if agent.state == "edited" and agent.lock is not None:
        yield "The script was changed by hand after it was approved: the evidence of the lock does not speak of it."
    if agent.state == "stale":
        yield "The rule asks for something else by now: script and evidence belong to the sentence of the lock."
    for story in stories:
        for problem in story.problems:
            yield f"Session {story.name}: {problem}."


# --- sessions -------------------------------------------------------------------------------------------------------


def _story(story: Story, rule: str, lock: Lock | None) -> StoryView:
    name = anchor(rule, story.name)
    of_lock = lock is not None and lock.session.get("digest") in story.digests
    attempts: list[AttemptView] = []
    before, since = story.before, "the script that was there before"
    for told in story.attempts:
        attempts.append(_attempt(told, story, name, before, since))
        if told.script is not None:
            before, since = told.script, _called(told)
    return StoryView(
        story=story, anchor=name, heading=_when(story), outcome=_outcome(story), of_lock=of_lock,
        attempts=tuple(attempts), usage=of_calls(story.calls),
    )  # fmt: skip


def _called(told: Told) -> str:
    return f"attempt {told.number}" if told.number else "the frozen script"


def _when(story: Story) -> str:
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(-\d+)?", story.name)
    if not found:
        return story.name
    year, month, day, hour, minute, second, number = found.groups()
    return f"{year}-{month}-{day} {hour}:{minute}:{second} UTC{f' ({number[1:]})' if number else ''}"


def _outcome(story: Story) -> str:
    span = f" in {duration(story.ended - story.begun)}" if story.begun is not None and story.ended is not None else ""
    count = len([told for told in story.attempts if told.number])
    made = f"{count} attempt{'s' * (count != 1)}{span}"
    if story.frozen:
        return f"{made}; its script was frozen"
    if story.attempts and story.attempts[-1].accepted:
        return f"{made}; the last one was accepted, but not frozen"
    return f"{made}; it ended without a script" if story.attempts else f"it ended before an attempt was made{span}"


def _attempt(told: Told, story: Story, session: str, before: str | None, since: str) -> AttemptView:
    kind, verdict = _verdict(told)
    diff = difference(before, told.script) if before is not None and told.script is not None else None
    shown = diff is not None and diff.html is not None
    return AttemptView(
        told=told, anchor=anchor(session, str(told.number)), session=f"{story.rule}, {story.name}",
        kind=kind, verdict=verdict, diff=diff, since=since,
        whole="" if shown or told.script is None else shorten(told.script, SCRIPT), ran=_ran(told),
        log=shorten(told.log or "", LOG), evidence=evidence.of_gates(told.evidence, accepted=told.accepted),
        usage=of_calls(told.calls),
    )  # fmt: skip


def _verdict(told: Told) -> tuple[str, str]:
    if told.accepted:
        return "accepted", "accepted"
    errors = list(dict.fromkeys(found.check for found in told.findings if found.severity == "error"))
    if errors:
        more = f" and {len(errors) - 2} more" if len(errors) > 2 else ""
        return "found", f"{', '.join(errors[:2])}{more}"
    if told.approved is False:
        return "revised", "the reviewer asks for changes"
    return "found", "not accepted"


def _ran(told: Told) -> str:
    if told.ending is None:
        return "It was not run." if told.script is not None else "There was no script to run."
    span = f" after {duration(told.seconds)}" if told.seconds is not None else ""
    if told.ending == "exit" and told.returncode == 0:
        return f"In the sandbox it ran to its end{span.replace(' after', ' in')}."
    if told.ending == "exit":
        return f"In the sandbox it failed with exit status {told.returncode}{span}."
    return f"In the sandbox it was ended{span}: {told.ending}."


def call_seconds(call: Call) -> float | None:
    """How long a call took [s]."""
    return call.ended - call.begun if call.begun is not None and call.ended is not None else None


def first_line(text: str) -> str:
    """The beginning of a text, for a heading."""
    return one_line(text, 140)
