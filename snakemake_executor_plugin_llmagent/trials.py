"""The seams of judging: gates that a candidate passes, work on foreign files, and runs on other inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from snakemake_executor_plugin_llmagent.protocols import Finding, Layout, Program, Task, Trial


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a gate came to.

    Attributes:
        findings: what stands against a candidate, or should be known.
        results: what was shown, for lock and reviewer: name (such as `chi2_band(0.5, 1.8)`) → `passed`, or a
            mapping that can be stored as YAML.
    """

    findings: tuple[Finding, ...] = ()
    results: Mapping[str, object] = field(default_factory=dict)


class OnSlices(StrEnum):
    """Whether a gate judges a trial on the first entries of large inputs, which comes before one on all entries.

    Never; on both; or only on the slice, if there is one.
    """

    NEVER = "never"
    ALSO = "also"
    ONLY = "only"


class Ahead(Protocol):
    """What a gate does for a trial before it is asked to judge it, beside the script's run and other checks."""

    def ran(self, trial: Trial) -> None:
        """The script has ended well, and its files are in order."""
        ...

    def end(self) -> None:
        """Leave nothing of it; called once, whether or not the gate has come to its judgement."""
        ...


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A judgement that takes more than a look: on contents, by further runs, by another script.

    Attributes:
        name: under which its results are kept, such as `probes`.
        judge: looks at a candidate that passed all gates before; never raises for what a script did.
        everywhere: whether it also holds for the other jobs on which a repaired script has to pass.
        on_slices: what it does with a trial on the first entries of large inputs.
        ahead: begins what takes time before the script runs in a stage that is still to be made; None if there is
            nothing.
    """

    name: str
    judge: Callable[[Task, Trial], Evidence]
    everywhere: bool = False
    on_slices: OnSlices = OnSlices.NEVER
    ahead: Callable[[Task, Trial, Path], Ahead | None] = lambda *_: None


@dataclass(frozen=True, kw_only=True)
class Worked:
    """What became of an operation in a confined process.

    Attributes:
        answer: what it returned, None if it failed.
        problem: why it failed, in one line; empty if it did not.
    """

    answer: object = None
    problem: str = ""


class Worker(Protocol):
    """Carries out operations of ours on files that nobody trusts, behind walls."""

    def __call__(
        self, operation: str, question: Mapping[str, object], *, read: Iterable[Path], write: Path | None = None
    ) -> Worked:
        """Carry out an operation.

        Args:
            operation: a name of `operations.OPERATIONS`.
            question: what it is asked, as JSON can hold it.
            read: files and directories that it may read.
            write: an existing folder into which the files that it writes (in its working directory) are moved.
        """
        ...


class StandIn:
    """A task with other files in the place of some of its inputs; implements `Task`."""

    def __init__(self, task: Task, files: Mapping[str, Path]) -> None:
        """Replace inputs, given by their path as the rule gives it."""
        self._task = task
        self.job = replace(task.job, stand_ins={**task.job.stand_ins, **files})

    @property
    def environment(self) -> str:
        """The software environment, as for the task itself."""
        return self._task.environment

    def program(self, source: str, layout: Layout) -> Program:
        """Make a script ready to run, as for the task itself."""
        return self._task.program(source, layout)

    def bystanders(self) -> frozenset[Path] | None:
        """Files that other jobs may be writing."""
        return self._task.bystanders()


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A task on the first entries of its large inputs.

    Attributes:
        task: that task.
        entries: how many entries are kept.
        label: in words, `the first 50,000 of 1,200,000 entries of `data.root``.
    """

    task: Task
    entries: int
    label: str


First = Callable[[Task], Slice | None]
"""Cuts off all but the first entries of large inputs; None if there are none."""
