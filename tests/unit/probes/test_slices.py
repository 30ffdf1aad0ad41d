"""Large inputs are cut to their first entries for a first trial."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snakemake_executor_plugin_llmagent.authoring import author, try_out
from snakemake_executor_plugin_llmagent.errors import AttemptsExhausted, Cancelled
from snakemake_executor_plugin_llmagent.gates import slices
from snakemake_executor_plugin_llmagent.gates.slices import Slicer
from snakemake_executor_plugin_llmagent.protocols import (
    Execution,
    Finding,
    Item,
    Layout,
    Severity,
    Task,
    Trial,
)
from snakemake_executor_plugin_llmagent.roles import Draft
from snakemake_executor_plugin_llmagent.spec import Document
from snakemake_executor_plugin_llmagent.trials import Ahead, Evidence, Gate, OnSlices, Slice, StandIn, Worked
from tests.unit.probes.support import Place
from tests.unit.support import FileTask, a_job, a_spec, an_execution, names
from tests.unit.test_authoring import Behaviour, FakeSandbox, Shop, draft, script

LABEL = "the first 50 of 900 entries of `data.txt`"


class Watching(FakeSandbox):
    """Notes whether a run saw a slice; what a script makes of one may be planned apart (`# tag on a slice`)."""

    def run(self, task: Task, source: str, stage: Path) -> tuple[Layout, Execution]:
        tag = source.strip().rpartition("# ")[2]
        on_slice = bool(task.job.stand_ins)
        return super().run(task, source.replace(tag, f"{tag} on a slice") if on_slice else source, stage)


@pytest.fixture
def task(tmp_path: Path) -> FileTask:
    project = tmp_path / "project"
    project.mkdir()
    (project / "data.txt").write_text("m_yy 125.1\n")
    return FileTask(a_job(project), sys.executable)


def shop(folder: Path, sandbox: FakeSandbox, *drafts: str, gates: tuple[Gate, ...] = (), attempts: int = 5) -> Shop:
    made = Shop(folder, sandbox, *drafts, attempts=attempts)

    def first(task: Task) -> Slice:
        return Slice(task=StandIn(task, {"data.txt": folder / "first.txt"}), entries=50, label=LABEL)

    made.workshop = replace(made.workshop, first=first, gates=gates)
    return made


def gate(name: str, on_slices: OnSlices, seen: list[tuple[str, int]], *findings: Finding) -> Gate:
    def judge(task: Task, trial: Trial) -> Evidence:
        seen.append((name, trial.slice))
        assert bool(task.job.stand_ins) is bool(trial.slice) is bool(trial.job.stand_ins)
        return Evidence(findings=findings, results={"looked": "passed"})

    return Gate(name=name, judge=judge, on_slices=on_slices)


def test_all_entries_are_read_only_once_a_slice_has_passed(tmp_path: Path, task: FileTask) -> None:
    sandbox = Watching({"bad on a slice": Behaviour(execution=an_execution(returncode=1, log="KeyError: 'x'"))})
    made = shop(tmp_path, sandbox, draft("bad"), draft("good"))
    attempt = author(made.workshop, a_spec(), task)
    assert sandbox.ran == ["bad on a slice", "good on a slice", "good"]
    assert f"On {LABEL}: The script ended with exit status 1" in made.coder.asked[1].messages[-1].content
    assert made.attempts == [["run.failed"], []]
    assert attempt.layout is not None and made.left == [attempt.layout.stage]
    assert attempt.evidence == {"slices": {"first": LABEL}}
    assert any(text == f"the script is tried on {LABEL}" for text in made.told)
    bad, good = (event for event in made.events if event["event"] == "attempt")
    assert bad["evidence"] == good["evidence"] == {"slices": {"first": LABEL}}
    assert (bad["returncode"], good["returncode"]) == (1, 0)


def test_what_fails_on_all_entries_is_told_as_ever(tmp_path: Path, task: FileTask) -> None:
    sandbox = Watching({"bad": Behaviour(files={})})
    made = shop(tmp_path, sandbox, draft("bad"), draft("good"))
    author(made.workshop, a_spec(), task)
    assert sandbox.ran == ["bad on a slice", "bad", "good on a slice", "good"]
    told = made.coder.asked[1].messages[-1].content
    assert "output.missing: The script did not write" in told and "On the first" not in told


def test_gates_judge_slices_as_they_can(tmp_path: Path, task: FileTask) -> None:
    seen: list[tuple[str, int]] = []
    warning = Finding(check="probe.half", message="odd", severity=Severity.WARNING)
    gates = (
        gate("contents", OnSlices.ALSO, seen, replace(warning, check="contents.odd")),
        gate("probes", OnSlices.ONLY, seen, warning),
        gate("crosscheck", OnSlices.NEVER, seen),
    )
    made = shop(tmp_path, Watching({}), draft("good"), gates=gates)
    attempt = author(made.workshop, a_spec(), task)
    assert seen == [("contents", 50), ("probes", 50), ("contents", 0), ("crosscheck", 0)]
    assert names(attempt.findings) == ["probe.half", "contents.odd"], "what is looked at twice is told once"
    assert attempt.findings[0].message == f"On {LABEL}: odd" and attempt.findings[1].message == "odd"
    assert set(attempt.evidence) == {"slices", "contents", "probes", "crosscheck"}


def test_a_gate_can_stop_a_candidate_on_a_slice(tmp_path: Path, task: FileTask) -> None:
    seen: list[tuple[str, int]] = []
    sandbox = Watching({})
    wrong = gate("probes", OnSlices.ONLY, seen, Finding(check="probe.half", message="wrong"))
    made = shop(tmp_path, sandbox, draft("one"), gates=(wrong,), attempts=2)
    attempt = try_out(made.workshop, a_spec(), task, Draft(source=script("one")), number=1)
    assert not attempt.accepted and sandbox.ran == ["one on a slice"]
    assert attempt.evidence["probes"] == {"looked": "passed"}


def test_the_last_attempts_see_all_entries_at_once(tmp_path: Path, task: FileTask) -> None:
    """A right script that cannot do with few events must not be kept out."""
    few = Behaviour(execution=an_execution(returncode=1, log="ValueError: too few events"))
    tags = [f"number {i}" for i in range(1, 6)]
    sandbox = Watching({f"{tag} on a slice": few for tag in tags})
    made = shop(tmp_path, sandbox, *map(draft, tags))
    assert author(made.workshop, a_spec(), task).number == 4
    assert sandbox.ran == [f"number {i} on a slice" for i in (1, 2, 3)] + ["number 4"]


@pytest.mark.parametrize(("attempts", "on_slices"), [(1, 0), (2, 1), (3, 2)])
def test_the_only_attempt_is_not_lost_on_a_slice(tmp_path: Path, task: FileTask, attempts: int, on_slices: int) -> None:
    few = Behaviour(files={})
    sandbox = Watching({"one on a slice": few, "one": few})
    made = shop(tmp_path, sandbox, *[draft("one")] * attempts, attempts=attempts)
    with pytest.raises(AttemptsExhausted):
        author(made.workshop, a_spec(), task)
    assert sandbox.ran == ["one on a slice"] * on_slices + ["one"]


def test_a_script_that_was_there_before_sees_all_entries(tmp_path: Path, task: FileTask) -> None:
    sandbox = Watching({})
    try_out(shop(tmp_path, sandbox).workshop, a_spec(), task, Draft(source=script("old")), number=0)
    assert sandbox.ran == ["old"]


def test_the_rules_own_checks_are_made_on_all_entries_alone(tmp_path: Path, task: FileTask) -> None:
    own = tmp_path / "own.py"
    own.write_text("def many(job):\n    open(job.output.fit + '.seen', 'a').write('x')\n")
    spec = a_spec(checks=(Document(label="own.py:many", path=own, text=""),))
    made = shop(tmp_path, Watching({}), draft("good"))
    attempt = author(made.workshop, spec, task)
    assert attempt.layout is not None
    assert (attempt.layout.stage / "results/fit.txt.seen").read_text() == "x"


def test_what_ends_a_session_on_a_slice_leaves_no_stage(tmp_path: Path, task: FileTask) -> None:
    made = shop(tmp_path, Watching({"one on a slice": Behaviour(failure=Cancelled("stop"))}), draft("one"))
    with pytest.raises(Cancelled):
        author(made.workshop, a_spec(), task)
    assert made.left == []


@pytest.mark.parametrize("fails", [True, False])
def test_what_gates_begin_ahead_is_ended(tmp_path: Path, task: FileTask, fails: bool) -> None:
    said: list[str] = []

    class Beside:
        def ran(self, trial: Trial) -> None:
            assert trial.execution is not None
            said.append("ran")

        def end(self) -> None:
            said.append("end")

    def ahead(task: Task, trial: Trial, stage: Path) -> Ahead:
        assert trial.execution is None and not stage.exists()
        said.append("begin")
        return Beside()

    seen: list[tuple[str, int]] = []
    first = gate("contents", OnSlices.ALSO, seen, *([Finding(check="contents.x", message="wrong")] if fails else []))
    later = replace(gate("probes", OnSlices.ONLY, seen), ahead=ahead)
    made = Shop(tmp_path, FakeSandbox({"broken": Behaviour(files={})}))
    workshop = replace(made.workshop, gates=(first, later))
    try_out(workshop, a_spec(), task, Draft(source=script("one")), number=1)
    assert said == ["begin", "ran", "end"] and len(seen) == (1 if fails else 2)
    try_out(workshop, a_spec(), task, Draft(source=script("broken")), number=1)
    assert said == ["begin", "ran", "end", "begin", "end"], "a script that failed is not judged"


# --- cutting --------------------------------------------------------------------------------------------------------


def large(folder: Path, rows: int = 300_000) -> Place:
    generator = np.random.default_rng(1)
    pq.write_table(pa.table({"x": generator.random(rows)}), folder / "in.parquet")
    return Place(folder)


def test_large_inputs_are_cut_once(tmp_path: Path) -> None:
    place = large(tmp_path)
    slicer = Slicer(place.work, tmp_path / "first", None)
    part = slicer(place.task())
    assert part is not None and part.entries == 50_000
    assert part.label == "the first 50,000 of 300,000 entries of `in.parquet`"
    copy = part.task.job.real(part.task.job.inputs[0])
    assert pq.read_metadata(copy).num_rows == 50_000
    assert slicer(place.task()) is not None and place.asked == ["first"]
    os.utime(tmp_path / "in.parquet", ns=(1, 1))
    slicer(place.task())
    assert place.asked == ["first", "first"], "an input that is written again is cut again"


def test_small_inputs_are_not_even_looked_at(tmp_path: Path) -> None:
    place = large(tmp_path, rows=1000)
    assert Slicer(place.work, tmp_path / "first", None)(place.task()) is None
    assert place.asked == []


def test_inputs_that_are_neither_small_nor_large_are_whole(tmp_path: Path) -> None:
    place = large(tmp_path, rows=190_000)
    assert Slicer(place.work, tmp_path / "first", None)(place.task()) is None
    assert place.asked == ["first"]


def test_the_number_of_entries_can_be_chosen(tmp_path: Path) -> None:
    place = large(tmp_path, rows=1000)
    place.inputs = (*place.inputs, Item(name="again", path="in.parquet"))
    part = Slicer(place.work, tmp_path / "first", 70)(place.task())
    assert part is not None and part.entries == 70 and "the first 70 of 1,000 entries" in part.label
    assert Slicer(place.work, tmp_path / "other", 0)(place.task()) is None
    assert Slicer(place.work, tmp_path / "third", 1000)(place.task()) is None


def test_what_cannot_be_cut_is_whole(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "model.pkl").write_bytes(bytes(2_000_000))
    inputs = (Item(name="a", path="folder"), Item(name="b", path="model.pkl"))
    place = Place(tmp_path, inputs=inputs)
    assert Slicer(place.work, tmp_path / "first", 10)(place.task()) is None
    assert place.asked == []


@pytest.mark.parametrize(
    "answer", [None, "text", {"files": {"in.parquet": "../../etc/passwd"}, "entries": {"in.parquet": 9}}, {"files": 3}]
)
def test_an_answer_that_makes_no_sense_is_none(tmp_path: Path, answer: object) -> None:
    place = large(tmp_path, rows=1000)
    worked = Worked(answer=answer, problem="ended (memory)")
    assert Slicer(lambda *_, **__: worked, tmp_path / "first", 10)(place.task()) is None


def test_the_usual_numbers_fit_together() -> None:
    assert slices.USUAL_ENTRIES < slices.LARGE_ENTRIES
