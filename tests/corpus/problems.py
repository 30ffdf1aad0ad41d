"""The tasks of the corpus: what an analyst asks for, a right script, wrong ones, and right ones in another style."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
NAMES = (
    "mass_fit", "select_events", "histogram", "upper_limit", "cutflow", "normalise", "categorise", "plot",
    "significance", "efficiency", "to_arrays", "systematics",
)  # fmt: skip
"""The tasks, each a folder with `task.py`, `right.py` and `mutants.py`."""

Paths = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What an analyst asks for.

    Attributes:
        name: of the folder and the rule.
        text: the sentence.
        inputs, outputs: keyword → path, or paths, in which wildcards stand in braces.
        params, wildcards: of the job.
        contracts: in the words of a Snakefile, such as `chi2_band(0.5, 1.8)`.
        probes: as well; None for the default ones.
        make: writes the inputs into a folder.
    """

    name: str = ""
    text: str
    inputs: Paths
    outputs: Mapping[str, str]
    params: Mapping[str, object] = field(default_factory=dict)
    wildcards: Mapping[str, str] = field(default_factory=dict)
    contracts: tuple[str, ...] = ()
    probes: tuple[str, ...] | None = None
    make: Callable[[Path], None]

    @property
    def right(self) -> str:
        """The right script."""
        return (HERE / self.name / "right.py").read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A script that runs, writes everything, and is wrong in one way.

    Attributes:
        name: short, unique in its task.
        kind: of the error, as the table names it.
        source: where the idea comes from.
        changes: texts of the right script, each found once there, and what stands in their place.
        text: the whole script, if it is not made by changes.
        same: if it gives the right numbers on these inputs: why it is wrong nevertheless.
        escapes: if nothing catches it yet: what would.
    """

    name: str
    kind: str
    source: str
    changes: tuple[tuple[str, str], ...] = ()
    text: str = ""
    same: str = ""
    escapes: str = ""

    def script(self, right: str) -> str:
        """The wrong script, made of the right one."""
        if self.text:
            return self.text
        for old, new in self.changes:
            found = right.count(old)
            if found != 1:
                raise ValueError(f"mutant {self.name}: {old!r} occurs {found} times in the right script")
            right = right.replace(old, new)
        return right


@dataclass(frozen=True, kw_only=True)
class Unusual:
    """A right script in a style of its own.

    Attributes:
        file: its name in `unusual/`.
        task: whose inputs it works on.
        style: what is unusual.
        text: the sentence, if it is another one.
        outputs, params, contracts, probes: if they are others.
        differs: parts of names of what is not the same as in the other right script, such as how a library signs.
    """

    file: str
    task: str
    style: str
    text: str = ""
    outputs: Mapping[str, str] | None = None
    params: Mapping[str, object] | None = None
    contracts: tuple[str, ...] | None = None
    probes: tuple[str, ...] | None = None
    differs: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        """The script."""
        return (HERE / "unusual" / f"{self.file}.py").read_text(encoding="utf-8")

    @property
    def problem(self) -> Problem:
        """The task it solves."""
        problem = load(self.task)
        names = ("text", "outputs", "params", "contracts", "probes")
        changes = {name: value for name in names if (value := getattr(self, name))}
        return replace(problem, **changes)


@cache
def load(name: str) -> Problem:
    """A task by its name."""
    problem: Problem = import_module(f"tests.corpus.{name}.task").PROBLEM
    return replace(problem, name=name)


@cache
def mutants(name: str) -> tuple[Mutant, ...]:
    """The wrong scripts of a task."""
    found: tuple[Mutant, ...] = import_module(f"tests.corpus.{name}.mutants").MUTANTS
    return found


@cache
def first_of_their_kind(task: str) -> tuple[Mutant, ...]:
    """The wrong scripts of a task with errors that no task before it has, nor they themselves."""
    seen: set[str] = set()
    for name in NAMES:
        found = []
        for mutant in mutants(name):
            if mutant.kind not in seen:
                found.append(mutant)
            seen.add(mutant.kind)
        if name == task:
            return tuple(found)
    raise KeyError(task)


@cache
def unusual(task: str | None = None) -> tuple[Unusual, ...]:
    """The right scripts of another style, of one task or of all."""
    from tests.corpus.styles import UNUSUAL

    return tuple(one for one in UNUSUAL if task in (None, one.task))


def inputs_of(problem: Problem, store: Path) -> Path:
    """A folder with the inputs of a task, made once for all processes that share the store."""
    place = store / problem.name
    if not place.is_dir():
        store.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{problem.name}-", dir=store))
        problem.make(new)
        try:
            os.rename(new, place)  # noqa: PTH104 (fails where another process was first)
        except OSError:
            shutil.rmtree(new)
    return place
