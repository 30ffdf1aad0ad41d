"""What a page is made from: a workflow's rules, in plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_llmagent.lock import Lock
from snakemake_executor_plugin_llmagent.spec import Spec

BROKEN = "broken"
"""The state of a rule whose lock cannot be read; the others are those of `spec.State`."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """An output of a job.

    Attributes:
        path: as the rule gives it.
        place: where it lies.
        twins: whether it was made from twins of data that are blinded.
        withheld: why it must not be shown; empty if it may.
    """

    path: str
    place: Path
    twins: bool = False
    withheld: str = ""


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """A job of an agent rule."""

    wildcards: Mapping[str, str]
    outputs: tuple[Made, ...]


@dataclass(frozen=True, kw_only=True)
class AgentFacts:
    """What there is to know of an agent rule without its sessions.

    Attributes:
        spec: what it asks for.
        script: where its script lies, or will, as people find it.
        place: the file that defines it, likewise.
        state, reason: of its script.
        blind: whether it is blinded, in words; empty for others.
        source: the script; None if there is none.
        lock: None if there is none, or a broken one.
        sessions: the directory of its sessions.
    """

    spec: Spec
    script: str
    place: str
    state: str
    reason: str
    blind: str
    source: str | None
    lock: Lock | None
    sessions: Path

    @property
    def evidence(self) -> Lock | None:
        """The lock, as far as it speaks of the script that lies there: none after a change by hand."""
        return self.lock if self.state in ("frozen", "awaiting", "stale") else None


@dataclass(frozen=True, kw_only=True)
class RuleFacts:
    """A rule.

    Attributes:
        name: its name.
        kind: `agent`, `shell`, `script`, …
        needs: the rules before it.
        jobs: how many jobs it has.
        made: the jobs with their outputs, of agent rules.
        agent: of agent rules.
    """

    name: str
    kind: str
    needs: tuple[str, ...] = ()
    jobs: int = 0
    made: tuple[JobFacts, ...] = ()
    agent: AgentFacts | None = None


@dataclass(frozen=True, kw_only=True)
class WorkflowFacts:
    """A workflow.

    Attributes:
        title: what a person calls it: the name of its directory.
        snakefile: its main file, as people find it.
        workdir: its working directory.
        rules: all of them.
        chosen: names of the agent rules that the page is about.
        problem: why it is not known which jobs there are; empty if it is.
        versions: software → version.
        time: when this was found out, in UTC, ISO 8601.
    """

    title: str
    snakefile: str
    workdir: Path
    rules: tuple[RuleFacts, ...]
    chosen: tuple[str, ...]
    problem: str = ""
    versions: Mapping[str, str]
    time: str
