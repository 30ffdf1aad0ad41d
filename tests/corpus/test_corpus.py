"""Right scripts pass everything before a review, wrong ones that run do not."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus import bare
from tests.corpus.conftest import PROPERTY
from tests.corpus.judge import Court
from tests.corpus.problems import NAMES, inputs_of, load, mutants, unusual
from tests.corpus.tables import mutant_rows, right_rows

FEW = os.environ.get("CORPUS") != "all"
"""One wrong script of each kind, unless the environment says `CORPUS=all`, as `python -m tests.corpus` does."""
SHARE = 0.95
"""Of wrong scripts so many at least are rejected before a review; each that escapes says why in `escapes`."""
SAME = 1e-4
"""How far apart the numbers of two right scripts may be, relatively; fits stop where they are good enough."""


@pytest.mark.parametrize("task", NAMES)
def test_right_scripts_pass(court: Court, task: str, record_property: Callable[[str, object], None]) -> None:
    rows = right_rows(court, task)
    record_property(PROPERTY, [row.plain for row in rows])
    stopped = [f"{row.script} by {row.caught_by}: {row.text}" for row in rows if row.rejected]
    assert not stopped, "\n".join(stopped)


@pytest.mark.parametrize("task", NAMES)
def test_wrong_scripts_are_rejected(court: Court, task: str, record_property: Callable[[str, object], None]) -> None:
    rows = mutant_rows(court, task, few=FEW)
    record_property(PROPERTY, [row.plain for row in rows])
    escaped = {f"{row.script} ({row.kind}): {row.caught_by}" for row in rows if not row.rejected and not row.reason}
    assert not escaped, "\n".join(sorted(escaped))
    caught = {f"{row.script} by {row.caught_by}" for row in rows if row.rejected and row.reason}
    assert not caught, f"known to escape, but caught (take out `escapes`): {sorted(caught)}"


def test_few_are_known_to_escape() -> None:
    every = [mutant for task in NAMES for mutant in mutants(task)]
    known = [mutant for mutant in every if mutant.escapes]
    assert len(every) >= len({mutant.kind for mutant in every}) >= 64
    assert len(known) <= (1 - SHARE) * len(every), "\n".join(f"{one.name}: {one.escapes}" for one in known)


# --- the corpus itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", NAMES)
def test_wrong_scripts_run_and_are_wrong(task: str, store: Path, tmp_path: Path) -> None:
    """Each ends well, writes everything, and gives other numbers than the right one, or is wrong as it says."""
    problem = load(task)
    inputs = inputs_of(problem, store)
    bare.run(problem, problem.right, inputs, tmp_path / "right")
    for mutant in mutants(task):
        bare.run(problem, mutant.script(problem.right), inputs, tmp_path / mutant.name)
        differences = bare.different(problem, tmp_path / "right", tmp_path / mutant.name)
        assert bool(differences) != bool(mutant.same), f"{mutant.name}: {differences or 'same results'}"


@pytest.mark.parametrize("task", NAMES)
def test_right_scripts_agree(task: str, store: Path, tmp_path: Path) -> None:
    problem = load(task)
    inputs = inputs_of(problem, store)
    bare.run(problem, problem.right, inputs, tmp_path / "right")
    for one in unusual(task):
        bare.run(one.problem, one.script, inputs, tmp_path / one.file)
        if not one.text:
            differences = bare.different(problem, tmp_path / "right", tmp_path / one.file, SAME)
            other = [text for text in differences if not any(part in text for part in one.differs)]
            assert not other, f"{one.file}: {other}"


def test_names_are_unique() -> None:
    for task in NAMES:
        names = [mutant.name for mutant in mutants(task)]
        assert len(set(names)) == len(names)
    assert len({one.file for one in unusual()}) == len(unusual()) >= 20
