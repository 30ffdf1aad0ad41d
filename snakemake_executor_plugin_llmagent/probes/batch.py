"""Several runs of a script, on inputs and parameters of their own, as one task: its libraries are loaded once."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.probes import forks
from snakemake_executor_plugin_llmagent.protocols import Ending, Execution, Item, Job, Layout, Program, Task
from snakemake_executor_plugin_llmagent.sandbox.notes import Notes
from snakemake_executor_plugin_llmagent.syntax import parse
from snakemake_executor_plugin_llmagent.text import clean

LONGEST_LOG, LONGEST_REPORT = 64 << 10, 256 << 10
"""How much of what a run printed is read, from the end [bytes], and how long a report may be."""
_ALTER = """\
def _altered(params, name, value):
    place = getattr(params, "_names", {}).get(name)
    if place is not None:
        params[place[0]] = value
    setattr(params, name, value)
    return params
def _with_params(snakemake, params):
    try:
        snakemake.params = params
    except AttributeError:  # Snakemake makes them anew each time that they are asked for
        snakemake.__class__ = type("Snakemake", (type(snakemake),), {"params": params})
"""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is different in one run.

    Attributes:
        files: path of an input as the rule gives it → what stands in its place.
        params: name → value, of parameters with other values.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast runs go on.

    Attributes:
        first: wall time that the first run may take [s].
        seconds: wall time that each other may take [s].
        budget: CPU time of all runs but the first that is not exceeded knowingly [s].
        skip: numbers of runs that are left out.
    """

    first: float
    seconds: float
    budget: float
    skip: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What runs may use before, and beside, what their pace says.

    Attributes:
        minutes: wall time that all runs may take, None for the limit of a trial, whatever the rule says [min].
        free: CPU time of all runs but the first that may be used before the pace is known [s].
        unsure: numbers of runs that the pace may leave out.
        resources: what the rule gives to one run, where it is to be something else.
    """

    minutes: float | None = None
    free: float = 0.0
    unsure: tuple[int, ...] = ()
    resources: Mapping[str, object] = field(default_factory=dict)


class Reins:
    """Tells runs how to go on, whether they are begun already or not; for several threads."""

    def __init__(self) -> None:
        """Let it go on, at a pace that is not known yet."""
        self._notes = Notes()
        self._notes.say(forks.GO, "")

    def pace(self, pace: Pace) -> None:
        """Say how fast."""
        self._notes.say(forks.PACE, json.dumps(vars(pace)))

    def enough(self) -> None:
        """Have nothing more begun, and end what is."""
        self._notes.unsay(forks.GO)

    @property
    def is_enough(self) -> bool:
        """Whether nothing more is to be begun."""
        return not self._notes.said(forks.GO)

    def take(self, stage: Path) -> None:
        """Lead runs whose stage is there from now on."""
        self._notes.take(stage)


class Batch:
    """A task that is a script run on several variants of another task; implements `Task`.

    Each run has a folder of its own in the stage, in which all relative paths are what the rule gives.
    """

    def __init__(self, task: Task, variants: Sequence[Variant], reins: Reins, terms: Terms) -> None:
        """Prepare.

        Args:
            task: what the script is run on.
            variants: what is different in each run.
            reins: tell the pace, now or later.
            terms: what all runs may use.
        """
        self._task = task
        self._variants = variants
        self._reins, self._terms = reins, terms
        job = task.job
        self._paths = [{item.path: _place(number, item, place) for place, item in _items(job)} for number in self.each]
        stand_ins: dict[str, Path] = {}
        for paths, variant in zip(self._paths, variants, strict=True):
            changed = replace(job, stand_ins={**job.stand_ins, **variant.files})
            stand_ins |= {paths[item.path]: changed.real(item) for item in job.inputs}

        def renamed(items: Sequence[Item]) -> tuple[Item, ...]:
            return tuple(
                replace(item, name=None, path=path)
                for item in items
                for path in dict.fromkeys(paths[item.path] for paths in self._paths)
            )

        given = {**job.resources, **terms.resources, "runtime": terms.minutes}
        self.job = replace(
            job, inputs=renamed(job.inputs), outputs=renamed(job.outputs), logs=renamed(job.logs),
            stand_ins=stand_ins, resources=given,
        )  # fmt: skip

    @property
    def each(self) -> range:
        """The numbers of the runs."""
        return range(len(self._variants))

    @property
    def environment(self) -> str:
        """The software environment, as for the task itself."""
        return self._task.environment

    def bystanders(self) -> frozenset[Path] | None:
        """Files that other jobs may be writing."""
        return self._task.bystanders()

    def layout(self, whole: Layout, number: int) -> Layout:
        """How one run's files look from inside its folder."""
        seen = {}
        for path, place in self._paths[number].items():
            inside = whole.paths[place]
            seen[path] = inside if Path(inside).is_absolute() else os.path.relpath(inside, _folder(number))
        return Layout(stage=whole.stage / _folder(number), links={}, paths=seen, tmp=whole.tmp)

    def program(self, source: str, layout: Layout) -> Program:
        """All runs, one after the other, each in a process of its own."""
        programs = [self._task.program(source, self.layout(layout, number)) for number in self.each]
        runs = [
            {"folder": _folder(number), "text": _with(program, self._variants[number].params)}
            for number, program in enumerate(programs)
        ]
        text = Path(forks.__file__).read_text(encoding="utf-8")
        call = f"\n\nrun({runs!r}, {list(libraries(source))!r}, {self._terms.free!r}, {list(self._terms.unsure)!r})\n"
        self._reins.take(layout.stage)
        return replace(programs[0], text=text + call, lines_before=0)

    def executions(self, whole: Layout, ended: Execution) -> list[Execution | None]:
        """How each run ended; None for those that were not begun."""
        report = _report(whole.stage / forks.REPORT)
        if len(report) != len(self._variants):
            return [replace(ended, returncode=ended.returncode or 1) if not number else None for number in self.each]
        return [_execution(ended, one, whole.stage / f"{_folder(number)}.log") for number, one in enumerate(report)]


def libraries(source: str) -> Iterator[str]:
    """What a script imports before anything else happens."""
    try:
        body = parse(source).body
    except SyntaxError:
        return
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _items(job: Job) -> Iterator[tuple[int, Item]]:
    return enumerate((*job.inputs, *job.outputs, *job.logs))


def _folder(number: int) -> str:
    return f"run-{number}"


def _place(number: int, item: Item, place: int) -> str:
    """Where an item lies in a run's folder; what lies elsewhere by its own path has a folder there."""
    normal = os.path.normpath(item.path)
    if Path(normal).is_absolute() or normal == ".." or normal.startswith("../"):
        normal = f"elsewhere/{place}/{Path(normal).name}"
    return f"{_folder(number)}/{normal}"


def _with(program: Program, params: Mapping[str, object]) -> str:
    if not params:
        return program.text
    lines = program.text.split("\n")
    changes = ["_params = snakemake.params", *(f"_altered(_params, {n!r}, {value!r})" for n, value in params.items())]
    changes.append("_with_params(snakemake, _params)")
    return "\n".join((*lines[: program.lines_before], _ALTER, *changes, *lines[program.lines_before :]))


def _report(place: Path) -> list[Any]:
    """What the runs' own process wrote; a script may have written it instead."""
    try:
        if place.is_symlink() or not place.is_file() or place.stat().st_size > LONGEST_REPORT:
            return []
        report = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return report if isinstance(report, list) else []


def _execution(whole: Execution, told: Any, log: Path) -> Execution | None:
    if told is None:
        return None
    try:
        status, late = int(told["status"]), bool(told["late"])
        seconds, cpu = float(told["seconds"]), float(told["cpu"])
    except (KeyError, TypeError, ValueError):
        return replace(whole, returncode=whole.returncode or 1)
    ending = Ending.TIMEOUT if late else Ending.SIGNAL if status < 0 else Ending.EXIT
    return replace(whole, ending=ending, returncode=status, seconds=seconds, cpu_seconds=cpu, log=_tail(log))


def _tail(log: Path) -> str:
    try:
        if log.is_symlink() or not log.is_file():
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LONGEST_LOG))
            return clean(file.read(LONGEST_LOG).decode("utf-8", "replace"))
    except OSError:
        return ""
