"""Runs a candidate again on copies of its inputs, and measures what comes out."""

from __future__ import annotations

import filecmp
import json
import math
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.data.kinds import format_of
from snakemake_executor_plugin_llmagent.data.leaves import MOST_LEAVES, leaves, of_document
from snakemake_executor_plugin_llmagent.probes.batch import Batch, Pace, Reins, Terms, Variant
from snakemake_executor_plugin_llmagent.probes.mentions import mentions, patterns, taken
from snakemake_executor_plugin_llmagent.probes.responses import Numbers, changed
from snakemake_executor_plugin_llmagent.protocols import Ending, Execution, Layout, Sandbox, Task, Trial
from snakemake_executor_plugin_llmagent.spec import Kind
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.trials import Slice, StandIn, Worker

SEED = 20_260_101
SHORT_TEXT = 256 << 10
"""So long a JSON file is read here; others are in a process of their own [bytes]."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A wish for altered copies; see `alter`."""

    probe: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    take: Mapping[str, object] | None = None


@dataclass(frozen=True, kw_only=True)
class Altered:
    """Altered copies of inputs.

    Attributes:
        what: what is different with them, after "With".
        column: which column it is about, empty if none.
        candidates: columns that could be taken instead.
        files: path of an input as the rule gives it → its copy.
        left: path → why the input stays as it is.
        before, after: how many events the largest table had, and has.
        problem: why there are no copies; empty if there are.
    """

    what: str = ""
    column: str = ""
    candidates: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    before: int = 0
    after: int = 0
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run that has ended.

    Attributes:
        execution: how.
        outputs: path as the rule gives it → the file that it wrote, of those that are ordinary files.
    """

    execution: Execution
    outputs: Mapping[str, Path]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the outputs of a run hold.

    Attributes:
        numbers: path of an output → name → number.
        parts: output and part (a column, a histogram, the document) → fingerprint.
    """

    numbers: Mapping[str, Numbers]
    parts: Mapping[tuple[str, str], str]

    @property
    def outputs(self) -> set[str]:
        """The paths of outputs that were looked at."""
        return {path for path, _ in self.parts}


class Lab:
    """Where probes of one candidate are made."""

    def __init__(self, *, worker: Worker, sandbox: Sandbox, folder: Path, task: Task, trial: Trial) -> None:
        """Prepare.

        Args:
            worker: alters and measures files.
            sandbox: runs the script.
            folder: an empty folder for copies and stages.
            task: what the script is tried on.
            trial: how that went; if it is not over, `ran` tells later.
        """
        self.task = task
        self.trial = trial
        self._worker = worker
        self._sandbox = sandbox
        self._folder = folder
        self._numbers = count(1)

    def ran(self, trial: Trial) -> None:
        """Take in how the trial went."""
        self.trial = trial

    def of(self, part: Slice) -> Lab | None:
        """The same with the script's run on the first entries of large inputs for the trial; None if that fails."""
        folder = self._folder / "slice"
        layout, execution = self._sandbox.run(part.task, self.trial.source, folder / "trial")
        if not execution.succeeded:
            return None
        trial = replace(
            self.trial, job=part.task.job, layout=layout, execution=execution, slice=part.entries
        )  # fmt: skip
        return Lab(worker=self._worker, sandbox=self._sandbox, folder=folder, task=part.task, trial=trial)

    @cached_property
    def base(self) -> Ran:
        """The trial itself."""
        assert self.trial.layout is not None and self.trial.execution is not None
        return Ran(execution=self.trial.execution, outputs=_outputs(self.task, self.trial.layout))

    # --- copies -----------------------------------------------------------------------------------------------------

    def copies(self, wishes: Sequence[Ask], *, unasked: bool = False) -> list[Altered]:
        """Altered copies of the inputs, for each wish."""
        job = self.task.job
        files = {item.path: item for item in job.inputs if item.kind is Kind.FILE and job.real(item).is_file()}
        names = list(dict.fromkeys((*mentions(self.trial.source), *_texts(job.params.values()))))
        taken_there = taken(self.trial.source)
        question = {
            "files": [{"path": path, "name": item.name, "place": str(job.real(item))} for path, item in files.items()],
            "names": names, "loose": [name for name in names if name not in taken_there],
            "patterns": list(patterns(self.trial.source)), "text": self.trial.spec.text,
            "seed": SEED, "unasked": unasked,
            "probes": [{"probe": one.probe, "arguments": one.arguments, "take": one.take} for one in wishes],
        }  # fmt: skip
        place = self._folder / f"copies-{next(self._numbers)}"
        place.mkdir()
        worked = self._worker("alter", question, read=map(job.real, files.values()), write=place)
        answers = worked.answer if isinstance(worked.answer, list) else []
        if len(answers) != len(wishes):
            problem = f"the inputs could not be altered: {worked.problem}"
            return [Altered(problem=problem) for _ in wishes]
        return [_altered(answer, place) for answer in answers]

    # --- runs -------------------------------------------------------------------------------------------------------

    def on(self, files: Mapping[str, Path], seconds: float | None = None) -> Task:
        """The task with other files in the place of inputs, and a limit on the time of its run."""
        stand_in = StandIn(self.task, files)
        if seconds is not None:
            runtime = stand_in.job.resources.get("runtime")
            minutes = min(seconds / 60, runtime) if isinstance(runtime, int | float) else seconds / 60
            stand_in.job = replace(stand_in.job, resources={**stand_in.job.resources, "runtime": minutes})
        return stand_in

    def run_all(self, tasks: Sequence[Task], at_once: int = 1) -> list[Ran]:
        """Run the script for each task, several of them at once."""
        if len(tasks) < 2 or at_once < 2:
            return list(map(self._run, tasks))
        with ThreadPoolExecutor(min(at_once, len(tasks))) as pool:
            return list(pool.map(self._run, tasks))

    def batch(
        self,
        variants: Sequence[Variant],
        reins: Reins,
        terms: Terms,
        before_again: Callable[[], object] = lambda: None,
    ) -> list[Ran | None]:
        """Run the script on several variants, one after the other, its libraries loaded once.

        The arguments are those of `Batch`. If other resources than the rule's are too little memory, all is done once
        more with those of the rule, after `before_again` has returned.

        Returns:
            The runs; None for those that were not begun.
        """
        if not variants or reins.is_enough:
            return [None] * len(variants)
        task = Batch(self.task, variants, reins, terms)
        stage = self._folder / f"stage-{next(self._numbers)}"
        whole, ended = self._sandbox.run(task, self.trial.source, stage)
        if terms.resources and ended.ending is Ending.MEMORY:
            before_again()
            return self.batch(variants, reins, replace(terms, resources={}))
        return [
            None if execution is None else Ran(execution=execution, outputs=_outputs(self.task, task.layout(whole, i)))
            for i, execution in enumerate(task.executions(whole, ended))
        ]

    def paced(self, variants: Sequence[Variant], pace: Pace) -> list[Ran | None]:
        """Run the script on several variants at a pace that is known from the beginning; see `batch`."""
        reins = Reins()
        reins.pace(pace)
        return self.batch(variants, reins, Terms(minutes=(pace.first + pace.seconds * len(variants)) / 60 + 1))

    def _run(self, task: Task) -> Ran:
        stage = self._folder / f"stage-{next(self._numbers)}"
        layout, execution = self._sandbox.run(task, self.trial.source, stage)
        return Ran(execution=execution, outputs=_outputs(task, layout))

    # --- numbers ----------------------------------------------------------------------------------------------------

    def numbers(self, runs: Sequence[Ran]) -> list[dict[str, Numbers]]:
        """The numbers in the outputs of runs: path of an output → name → number. Images count if there is no other."""
        paths = {path for run in runs for path in run.outputs}
        others = {path for path in paths if format_of(Path(path)) != "image"}
        chosen = [{path: place for path, place in run.outputs.items() if path in (others or paths)} for run in runs]
        here = [_short_documents(files) for files in chosen]
        if all(found is not None for found in here):
            return [found or {} for found in here]
        files = [place for found in chosen for place in found.values()]
        worked = self._worker("measure", {"files": [str(file) for file in files], "texts": True}, read=files)
        answer: Any = worked.answer if isinstance(worked.answer, dict) else {}
        return [{path: _numbers(answer.get(str(place))) for path, place in found.items()} for found in chosen]

    def looks(self, runs: Sequence[Ran]) -> list[Look]:
        """All that the outputs of runs hold, as fingerprints too."""
        here = [_look(run.outputs) for run in runs]
        if all(look is not None for look in here):
            return [look for look in here if look is not None]
        files = [place for run in runs for place in run.outputs.values()]
        question = {"files": [str(file) for file in files], "texts": True, "parts": True}
        worked = self._worker("measure", question, read=files)
        answer: Any = worked.answer if isinstance(worked.answer, dict) else {}
        return [
            Look(
                numbers={path: _numbers(answer.get(str(place))) for path, place in run.outputs.items()},
                parts={
                    (path, str(name)): str(value)
                    for path, place in run.outputs.items()
                    for name, value in _told_parts(answer.get(str(place))).items()
                },
            )
            for run in runs
        ]

    def alike(self, one: Ran, other: Ran) -> set[str]:
        """The outputs of two runs whose numbers agree, or that are the same byte by byte if they have none."""
        numbers = self.numbers([one, other])
        return {
            path
            for path, place in one.outputs.items()
            if path in other.outputs
            and (
                not changed(numbers[0][path], numbers[1].get(path, {}))
                if numbers[0].get(path)
                else filecmp.cmp(place, other.outputs[path], shallow=False)
            )
        }


def flat(found: Mapping[str, Numbers]) -> Numbers:
    """All numbers of several outputs, by names that say of which if there are several."""
    measured = {path: numbers for path, numbers in found.items() if numbers}
    if len(measured) == 1:
        return next(iter(measured.values()))
    return {f"{path}: {name}": value for path, numbers in measured.items() for name, value in numbers.items()}


def _outputs(task: Task, layout: Layout) -> dict[str, Path]:
    """The outputs that are ordinary files inside of the stage: a script may have put links there."""
    stage = os.path.realpath(layout.stage)
    found = {}
    for item in task.job.outputs:
        place = layout.inside(item)
        real = os.path.realpath(place)
        try:
            ordinary = stat.S_ISREG(place.lstat().st_mode) and real.startswith(f"{stage}{os.sep}")
        except OSError:
            continue
        if ordinary:
            found[item.path] = place
    return found


def _texts(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _altered(answer: Any, place: Path) -> Altered:
    """What an answer says; it comes from a process that a file may have taken over."""
    try:
        before, after = answer["events"]
        made = Altered(
            what=one_line(str(answer["what"]), 200), column=str(answer["column"])[:200],
            candidates=tuple(str(name)[:200] for name in answer["candidates"]),
            files={str(path): place / Path(str(name)).name for path, name in answer["files"].items()},
            left={str(path): one_line(str(why), 200) for path, why in answer["left"].items()},
            before=int(before), after=int(after), problem=one_line(str(answer["problem"]), 300),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError):
        return Altered(problem="the inputs could not be altered")
    if not made.problem and not all(file.is_file() for file in made.files.values()):
        return replace(made, problem="the inputs could not be altered")
    return made


def _short_documents(files: Mapping[str, Path]) -> dict[str, Numbers] | None:
    """The numbers of outputs that all are short JSON files; None if one is something else."""
    look = _look(files)
    return None if look is None else dict(look.numbers)


def _look(files: Mapping[str, Path]) -> Look | None:
    """What outputs hold that all are short JSON files; None if one is something else."""
    numbers: dict[str, Numbers] = {}
    parts: dict[tuple[str, str], str] = {}
    for path, place in files.items():
        if format_of(Path(path)) != "json":
            return None
        try:
            if place.stat().st_size > SHORT_TEXT:
                return None
            document = json.loads(place.read_text(encoding="utf-8"))
            numbers[path] = {name: value for name, value in leaves(document) if math.isfinite(value)}
            parts |= {(path, name): value for name, value in of_document(document).items()}
        except (OSError, ValueError, RecursionError):
            return None
        if len(numbers[path]) >= MOST_LEAVES:
            return None
    return Look(numbers=numbers, parts=parts)


def _told_parts(measured: Any) -> Mapping[str, Any]:
    parts = measured.get("parts") if isinstance(measured, dict) else None
    return parts if isinstance(parts, dict) else {}


def _numbers(measured: Any) -> Numbers:
    numbers = measured.get("numbers") if isinstance(measured, dict) else None
    if not isinstance(numbers, dict):
        return {}
    return {str(name)[:200]: float(value) for name, value in numbers.items() if isinstance(value, int | float)}
