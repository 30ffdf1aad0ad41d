"""Twins of a job's data, made before anybody who must not see the data looks at the job."""

from __future__ import annotations

import filecmp
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.blinding import runner
from snakemake_executor_plugin_llmagent.blinding.words import for_author
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.protocols import Ending, Item, Job, RunAside, Task
from snakemake_executor_plugin_llmagent.spec import Blind, Document, Kind, Spec
from snakemake_executor_plugin_llmagent.text import clean, one_line
from snakemake_executor_plugin_llmagent.trials import StandIn, Worker

MOST_FILES, MOST_BYTES = 50, 256 << 20
"""How many files, and of which size [bytes], one process masks."""
ADVICE = (
    'Say which inputs are data, as in blind={"mass": (120, 130), "inputs": ["data"]}, or write a function that makes '
    'twins: blind={"function": "twins.py:function", "inputs": ["data"]}.'
)


class TwinTask(StandIn):
    """A task whose data are hidden.

    Attributes:
        note: what an author has to be told about it.
    """

    def __init__(self, task: Task, files: Mapping[str, Path], note: str) -> None:
        """Put twins, by the path of the input as the rule gives it, in the place of data."""
        super().__init__(task, files)
        self.note = note


@dataclass(frozen=True, kw_only=True)
class Twins:
    """The twins of a job's data.

    Attributes:
        files: path of an input as the rule gives it → its twin.
        notes: what is not in the twins as it is in the data, beside what is hidden.
    """

    files: Mapping[str, Path]
    notes: tuple[str, ...]

    def task(self, task: Task, blind: Blind) -> TwinTask:
        """A task as its author may see it."""
        return TwinTask(task, self.files, for_author(blind, self.files, self.notes))


def check(spec: Spec) -> None:
    """Find out, when a rule is parsed, whether what it hides makes sense for its inputs.

    Raises:
        ConfigError: it does not.
    """
    blind = spec.blind
    if blind is None:
        return
    if bool(blind.windows) + blind.mc_only + (blind.function is not None) != 1:
        raise ConfigError(f"Rule {spec.rule}: `blind` takes windows, `mc_only` or a function: one of them.")
    if not spec.inputs:
        raise ConfigError(f"Rule {spec.rule} is blinded, but has no input.")
    # What a function will say may be a mapping, with names that are not known yet.
    open_ended = any(slot.kind is Kind.COMPUTED and slot.name is None for slot in spec.inputs)
    _check_names(spec.rule, blind, [slot.name for slot in spec.inputs], open_ended=open_ended)
    if not blind.windows and not blind.inputs and (len(spec.inputs) > 1 or open_ended):
        given = "mc_only" if blind.mc_only else "a function"
        raise ConfigError(
            f"Rule {spec.rule}: `blind` with {given} has to say which inputs are data, as in "
            f'blind={{"mc_only": True, "inputs": ["data"]}}.'
        )


def _check_names(rule: str, blind: Blind, names: Sequence[str | None], *, open_ended: bool) -> None:
    missing = [name for name in blind.inputs if name not in names]
    if missing and not open_ended:
        known = ", ".join(dict.fromkeys(name for name in names if name)) or "none with a name"
        raise ConfigError(f"Rule {rule}: `blind` names the input {missing[0]!r}; the inputs are: {known}.")


class Maker:
    """Makes twins of a job's data in a folder."""

    def __init__(self, spec: Spec, worker: Worker, run_aside: RunAside) -> None:
        """Prepare for a blinded rule: `worker` masks behind walls, `run_aside` runs the person's own function."""
        assert spec.blind is not None
        self._rule = spec.rule
        self._blind = spec.blind
        self._worker = worker
        self._run_aside = run_aside

    def make(self, job: Job, folder: Path) -> Twins:
        """Make the twins of a job's data.

        Raises:
            ConfigError: they cannot be made; nobody may look at the job then.
        """
        _check_names(self._rule, self._blind, [item.name for item in job.inputs], open_ended=False)
        declared = bool(self._blind.inputs) or not self._blind.windows
        items = {item.path: item for item in job.inputs if not self._blind.inputs or item.name in self._blind.inputs}
        folder.mkdir(parents=True)
        if self._blind.function is not None:
            function = self._blind.function
            return Twins(files={p: self._by_function(function, job, i, folder) for p, i in items.items()}, notes=())
        parts = [part for number, item in enumerate(items.values()) for part in _parts(item, job, folder / str(number))]
        if declared and {part.item.path for part in parts} != set(items):
            raise ConfigError(f"Rule {self._rule} is blinded, and one of the directories of its data is empty.")
        answers = [answer for batch in _batches(parts) for answer in self._masked(batch, job, folder, declared)]
        return self._gathered(parts, answers)

    def _masked(self, parts: Sequence[_Part], job: Job, folder: Path, declared: bool) -> list[_Answer]:
        question = {
            "windows": {name: list(window) for name, window in self._blind.windows.items()},
            "everything": self._blind.mc_only,
            "files": [
                {"source": str(part.source), "target": f"{number}-{part.source.name}", "declared": declared}
                for number, part in enumerate(parts)
            ],
        }
        with tempfile.TemporaryDirectory(prefix="masked-", dir=folder) as written:
            worked = self._worker("mask", question, read=[part.source for part in parts], write=Path(written))
            answers = _answers(worked.answer, len(parts))
            if answers is None:
                # The rest may be what a library printed, values of the data among it.
                why = one_line(worked.problem).partition(":")[0] or "its answer cannot be read"
                raise ConfigError(
                    f"Rule {self._rule} is blinded, and twins of its data cannot be made: {why}. {ADVICE}"
                )
            for number, (part, answer) in enumerate(zip(parts, answers, strict=True)):
                made = Path(written) / f"{number}-{part.source.name}"
                if answer.problem or (answer.written and not made.is_file()):
                    why = clean(answer.problem) or "it was not written"
                    raise ConfigError(
                        f"Rule {self._rule} is blinded, and no twin of its input {part.label(job)} can be made: {why}. "
                        f"{ADVICE}"
                    )
                if answer.written:
                    part.target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(made, part.target)
        return answers

    def _gathered(self, parts: Sequence[_Part], answers: Sequence[_Answer]) -> Twins:
        files: dict[str, Path] = {}
        notes: list[str] = []
        for part, answer in zip(parts, answers, strict=True):
            if answer.written:
                files[part.item.path] = part.twin
                notes += [f"`{part.item.path}`: {note}" for note in answer.notes]
        for part, answer in zip(parts, answers, strict=True):
            if part.item.path in files and not answer.written:  # beside masked files in a directory
                part.target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(part.source, part.target)
        found = {name for answer in answers for name in answer.found}
        missing = [name for name in self._blind.windows if name not in found]
        if missing:
            raise ConfigError(
                f"Rule {self._rule} is blinded, and no input has a column or an axis {missing[0]!r}. {ADVICE}"
            )
        return Twins(files=files, notes=tuple(notes))

    def _by_function(self, function: Document, job: Job, item: Item, folder: Path) -> Path:
        source = job.real(item)
        place = Path(tempfile.mkdtemp(prefix="own-", dir=folder))
        target, question, answer, log = place / source.name, place / "question", place / "answer", place / "log"
        told = {
            "file": str(function.path), "function": function.label.rpartition(":")[2], "source": str(source),
            "target": str(target),
        }  # fmt: skip
        question.write_text(json.dumps(told), encoding="utf-8")
        command = (sys.executable, "-B", "-P", runner.__file__, str(question), str(answer))
        ending = self._run_aside(command, job.workdir, log)
        try:
            problem = str(json.loads(answer.read_text(encoding="utf-8"))["problem"])
        except (OSError, ValueError):
            text = clean(log.read_text(errors="replace")[-2000:]) if log.exists() else ""
            problem = f"it was ended ({ending})" if ending is not Ending.EXIT else f"it cannot be run:\n{text}"
        problem = problem or _wrong(source, target)
        if problem:
            raise ConfigError(
                f"Rule {self._rule} is blinded, and {function.label} makes no twin of the input {item.path}: {problem}."
            )
        return target


def _wrong(source: Path, target: Path) -> str:
    """What is wrong with a twin that somebody else made; empty if nothing is."""
    if source.is_dir():
        if not target.is_dir() or target.is_symlink():
            return "it did not make the directory"
        return "it made links" if any(path.is_symlink() for path in target.rglob("*")) else ""
    if not target.is_file() or target.is_symlink():
        return "it did not write the file"
    if target.samefile(source) or filecmp.cmp(source, target, shallow=False):
        return "what it wrote is the data"
    return ""


# --- files ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A file of an input, where its twin belongs, and the twin of the whole input."""

    item: Item
    source: Path
    target: Path
    twin: Path

    def label(self, job: Job) -> str:
        inner = "" if self.target == self.twin else f" ({self.source.relative_to(job.real(self.item))})"
        return f"{self.item.path}{inner}"


def _parts(item: Item, job: Job, folder: Path) -> Iterator[_Part]:
    real = job.real(item)
    twin = folder / real.name
    if not real.is_dir():
        yield _Part(item=item, source=real, target=twin, twin=twin)
        return
    for path in sorted(real.rglob("*")):
        if not path.is_dir():
            yield _Part(item=item, source=path, target=twin / path.relative_to(real), twin=twin)


def _batches(parts: Sequence[_Part]) -> Iterator[list[_Part]]:
    batch: list[_Part] = []
    size = 0
    for part in parts:
        each = part.source.stat().st_size if part.source.exists() else 0
        if batch and (len(batch) >= MOST_FILES or size + each > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += each
    if batch:
        yield batch


# --- the answer: it comes from a process that a file may have taken over ---------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Answer:
    written: bool
    problem: str
    found: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _answers(told: Any, count: int) -> list[_Answer] | None:
    if not isinstance(told, list) or len(told) != count:
        return None
    try:
        return [
            _Answer(
                written=bool(one["written"]), problem=str(one["problem"]), found=list(map(str, one["found"])),
                notes=list(map(str, one["notes"])),
            )
            for one in told
        ]  # fmt: skip
    except (KeyError, TypeError):
        return None
