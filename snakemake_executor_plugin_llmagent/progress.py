"""How far the authoring of a rule is: what is told of it, in words for people and as values for programs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from snakemake_executor_plugin_llmagent.protocols import Finding, Usage


class StepKind(StrEnum):
    """What has happened: authoring begins or ends, a phase of it begins, something was found, or another thing."""

    BEGIN = "begin"
    PHASE = "phase"
    FINDING = "finding"
    REVIEW = "review"
    ACCEPTED = "accepted"
    NOTE = "note"
    END = "end"


class Phase(StrEnum):
    """What is being done: by the supervisor, the coder, the script, checks, the supervisor, or a second coder."""

    INSTRUCTS = "instructs"
    WRITES = "writes"
    RUNS = "runs"
    CHECKS = "checks"
    REVIEWS = "reviews"
    CROSSCHECKS = "cross-checks"


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that has happened while a rule is authored.

    Attributes:
        kind: what it is.
        phase: what begins, for `StepKind.PHASE`.
        attempt, attempts: which attempt of how many; 0 where that is not known, or no attempt.
        model: who does it, if a model does.
        detail: which check, or what the script runs on.
        findings: what was found.
    """

    kind: StepKind = StepKind.PHASE
    phase: Phase | None = None
    attempt: int = 0
    attempts: int = 0
    model: str = ""
    detail: str = ""
    findings: tuple[Finding, ...] = ()


NOTE = Step(kind=StepKind.NOTE)


class Tell(Protocol):
    """Whoever is told."""

    def __call__(self, text: str, step: Step = NOTE, /) -> None:
        """Tell what has happened, in one line for people and as a value for programs."""
        ...


class Ear(Protocol):
    """Whoever hears models while they answer; called from other threads."""

    def heard(self, characters: int) -> None:
        """So much of a reply has come so far [characters]."""
        ...

    def answered(self, usage: Usage) -> None:
        """A reply is there, and this is what it used."""
        ...
