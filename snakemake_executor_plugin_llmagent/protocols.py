"""The seams: small interfaces and the values that cross them.

Everything here is a name and a shape. Who fills it in is decided in `assembly`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from snakemake_executor_plugin_llmagent.descriptions import Column as Column
from snakemake_executor_plugin_llmagent.descriptions import FileDescription as FileDescription
from snakemake_executor_plugin_llmagent.descriptions import Table as Table
from snakemake_executor_plugin_llmagent.spec import Kind, Spec

# --- models ---------------------------------------------------------------------------------------------------------


class Stop(StrEnum):
    """Why a model stopped writing."""

    END = "end"
    LENGTH = "length"
    REFUSAL = "refusal"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image that goes with a message.

    Attributes:
        name: how the text of the message names it.
        media_type: `image/png` or `image/jpeg`.
        data: the file.
    """

    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: who says it.
        content: the text. It names the pictures, so recordings are found by it alone.
        pictures: images for models that read them.
    """

    role: Literal["system", "user", "assistant"]
    content: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to a model.

    Attributes:
        role: who asks, `coder` or `supervisor`; for logs and recordings, not sent.
        messages: the conversation, a system message first.
        max_tokens: limit on the reply [tokens].
        heard: called while the reply comes, with how much of it has come so far [characters]; no part of the question.
    """

    role: str
    messages: tuple[Message, ...]
    max_tokens: int
    heard: Callable[[int], None] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a call used [tokens], as the provider counted it.

    Attributes:
        input_tokens: all that the model read.
        output_tokens: all that it wrote, reasoning included.
        cached_input_tokens: part of the input that the provider had read before.
        reasoning_tokens: part of the output that nobody sees.
        cache_write_tokens: part of the input that the provider keeps for later calls.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A model's reply.

    Attributes:
        text: what it wrote; empty if it wrote nothing.
        stop: why it stopped.
        model: the model as the provider reported it, such as `gpt-5-2025-08-07`.
        usage: tokens.
        request_id: the provider's name for the call, for support requests.
        usd: what it cost [USD], None if nobody knows.
    """

    text: str
    stop: Stop
    model: str
    usage: Usage = field(default_factory=Usage)
    request_id: str | None = None
    usd: Decimal | None = None


class Model(Protocol):
    """Somebody who answers."""

    @property
    def name(self) -> str:
        """The model as the person named it, such as `openai:gpt-5`."""
        ...

    def complete(self, request: Request) -> Completion:
        """Answer a request.

        Raises:
            ModelUnavailable: no answer can be had.
        """
        ...


# --- jobs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Item:
    """One file of a job.

    Attributes:
        name: the keyword in the rule, None for a positional entry.
        path: as the rule gives it, relative to the working directory or absolute.
        kind: FILE or DIRECTORY for outputs; for inputs what is there.
    """

    name: str | None
    path: str
    kind: Kind = Kind.FILE


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of an agent rule, in plain values.

    Attributes:
        rule: name of the rule.
        workdir: the directory that relative paths start from.
        inputs, outputs, logs: files.
        params: name (positional ones as `[0]`) and value.
        wildcards: name and value.
        siblings: wildcards of the other jobs of this rule in this run.
        threads: cores.
        resources: name and value.
        stand_ins: path of an input as the rule gives it → the file that stands in for it in this run (an altered copy,
            its first entries, what a blinded author may see).
    """

    rule: str
    workdir: Path
    inputs: tuple[Item, ...] = ()
    outputs: tuple[Item, ...] = ()
    logs: tuple[Item, ...] = ()
    params: Mapping[str, object] = field(default_factory=dict)
    wildcards: Mapping[str, str] = field(default_factory=dict)
    siblings: tuple[Mapping[str, str], ...] = ()
    threads: int = 1
    resources: Mapping[str, object] = field(default_factory=dict)
    stand_ins: Mapping[str, Path] = field(default_factory=dict)

    def real(self, item: Item) -> Path:
        """Where an item really lies, or what stands in for it."""
        return self.stand_ins.get(item.path) or self.workdir / item.path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a job's files look from inside its stage directory.

    Attributes:
        stage: the empty directory that replaces the working directory.
        links: path inside the stage → the real input behind it.
        paths: path as the rule gives it → path as the script sees it (relative to the stage, or absolute).
        tmp: the script's folder for temporary files, None if it has none of its own.
    """

    stage: Path
    links: Mapping[str, Path]
    paths: Mapping[str, str]
    tmp: Path | None = None

    def inside(self, item: Item) -> Path:
        """Where an item lies while the script runs."""
        return self.stage / self.paths[item.path]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A candidate made ready to run for one job.

    Attributes:
        text: the whole file, with the `snakemake` object in front.
        lines_before: how many lines stand before the script's own first line.
        python: the interpreter that runs it, a path or, inside a software environment, a name.
        enter: words that stand before a command to have it run in the rule's software environment.
        managed: whether that environment brings variables of its own (conda, environment modules).
        container: if it runs in a container, where software of ours lies in there (directory outside → inside).
        env: environment variables to add to the clean ones (thread counts and the like).
    """

    text: str
    python: str
    lines_before: int = 0
    enter: tuple[str, ...] = ()
    managed: bool = False
    container: Mapping[str, str] | None = None
    env: Mapping[str, str] = field(default_factory=dict)


class Task(Protocol):
    """A job that a candidate can be tried on."""

    @property
    def job(self) -> Job:
        """Its files and values."""
        ...

    @property
    def environment(self) -> str:
        """The software environment that the rule asks for, in words for the author; empty if it is this Python's."""
        ...

    def program(self, source: str, layout: Layout) -> Program:
        """Make a script ready to run for this job with its files laid out so."""
        ...

    def bystanders(self) -> frozenset[Path] | None:
        """Files that other jobs may be writing meanwhile; None if they cannot be known."""
        ...


# --- trials ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Access:
    """What was seen of one declared input while a script ran; None means it could not be observed."""

    opened: bool | None
    read: bool | None


class Ending(StrEnum):
    """How a script's run ended."""

    EXIT = "exit"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"
    FILES = "files"
    LOG_FLOOD = "log flood"


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """What a script was confined by.

    Attributes:
        backend: `bwrap`, `bwrap-hostproc`, `landlock` or `none`.
        landlock: version of the kernel's Landlock, 0 without.
        limits: what it might use, by name; None is no limit.
    """

    backend: str
    landlock: int = 0
    limits: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One run of a script in a sandbox.

    Attributes:
        ending: how it ended.
        returncode: its exit status; the negative signal number if a signal ended it.
        seconds, cpu_seconds: wall time, and time on all cores [s].
        peak_memory: the most memory that it held at once [bytes].
        log: what it printed, cut in the middle if long, control characters replaced.
        access: declared input path → what was seen of it.
        strays: files it made in its stage that nobody declared.
        changed: files outside the stage that changed while it ran and are nobody else's; None if that could not be
            observed.
        limit: if it was ended at a limit, which and what helps; empty otherwise.
        sandbox: what confined it.
    """

    ending: Ending
    returncode: int
    seconds: float
    log: str
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    access: Mapping[str, Access] = field(default_factory=dict)
    strays: tuple[str, ...] = ()
    changed: tuple[str, ...] | None = ()
    limit: str = ""
    sandbox: Confinement = Confinement(backend="none")

    @property
    def succeeded(self) -> bool:
        """Whether the script ended by itself with status 0."""
        return self.ending is Ending.EXIT and self.returncode == 0


class Sandbox(Protocol):
    """A place where scripts run."""

    def run(self, task: Task, source: str, stage: Path) -> tuple[Layout, Execution]:
        """Run a script for a job in an empty stage directory and wait for it.

        Raises:
            SandboxUnavailable: the sandbox failed, not the script.
            Cancelled: the work was cancelled; nothing of the script is left running.
        """
        ...


# --- verdicts -------------------------------------------------------------------------------------------------------


class Severity(StrEnum):
    """Whether a finding stops a candidate."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that a check, a reader of replies or a reviewer noticed.

    Attributes:
        check: stable name, such as `output.missing`.
        message: what is wrong and what to mend, for the coder.
        severity: errors stop a candidate, warnings are shown to coder and reviewer.
    """

    check: str
    message: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What there is to judge: a candidate, its job, and what happened when it ran.

    Attributes:
        spec: what was asked for.
        job: the job it ran for.
        source: the script.
        decisions: what the rule left open, as the author listed it.
        layout: where its files lie; None before it ran.
        execution: what happened; None before it ran.
        slice: how many first entries of its large inputs it was given; 0: all.
    """

    spec: Spec
    job: Job
    source: str
    decisions: tuple[Mapping[str, object], ...] = ()
    layout: Layout | None = None
    execution: Execution | None = None
    slice: int = 0


class Check(Protocol):
    """Code that looks at a trial and says what is wrong with it. It never raises for what a script did."""

    def __call__(self, trial: Trial, /) -> Iterable[Finding]:
        """Look at a trial."""
        ...


Describe = Callable[[Path], FileDescription]

RunAside = Callable[[tuple[str, ...], Path, Path], Ending]
"""Runs a program of the person's in a directory, its output going to a file, until it ends or has to (`Cancelled`)."""
