"""The usual probes beside the trial, with real walls: they are begun with it if there is room, and end with it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent import assembly
from snakemake_executor_plugin_llmagent.assembly import Assembly, Settings
from snakemake_executor_plugin_llmagent.authoring import try_out
from snakemake_executor_plugin_llmagent.config import DEFAULTS, Keys, Options
from snakemake_executor_plugin_llmagent.probes.batch import Batch
from snakemake_executor_plugin_llmagent.protocols import Execution, Item, Job, Layout, Task
from snakemake_executor_plugin_llmagent.roles import Attempt, Draft
from snakemake_executor_plugin_llmagent.sandbox.confined import ConfinedSandbox
from tests.unit.probes.support import EVENTS, RIGHT, START, events
from tests.unit.support import FileTask, a_spec

Judge = Callable[..., Attempt]
RIGHT_AND_SLOW = f"""
import time
{RIGHT}
time.sleep(1)
"""
WRONG = f"""
import time
{START}
time.sleep(3600 if table.num_rows < {EVENTS} else 1)
raise RuntimeError("the trial fails")
"""
LARGE = f"""
import time
{RIGHT}
held = b"x" * 400_000_000
time.sleep(1)
"""
SLOW_ON_FEW = f"""
import time
{RIGHT}
time.sleep(3600 if len(mass) < {EVENTS} else 0)
"""


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What began and ended, in order: `trial` and `probes`."""
    said: list[str] = []
    real = ConfinedSandbox.run

    def run(self: ConfinedSandbox, task: Task, source: str, stage: Path) -> tuple[Layout, Execution]:
        name = "probes" if isinstance(task, Batch) else "trial"
        said.append(f"{name} begin")
        try:
            return real(self, task, source, stage)
        finally:
            said.append(f"{name} end")

    monkeypatch.setattr(ConfinedSandbox, "run", run)
    return said


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    events(tmp_path / "in.parquet")
    made = Assembly(
        Settings(
            options=DEFAULTS, record=None, read_keys=lambda: Keys(values={"OPENAI_API_KEY": "sk-none"}),
            context_tokens=None, locked=False, workdir=tmp_path, environment=dict(os.environ),
            cancelled=threading.Event(),
        )
    )  # fmt: skip
    options = Options(model="openai:scripted", slice=0).over(DEFAULTS)

    def judged(
        source: str,
        cores: int = 2,
        resources: Mapping[str, object] | None = None,
        inputs: Sequence[str] = (),
        sandbox: str = "auto",
    ) -> Attempt:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        job = Job(
            rule="fit", workdir=tmp_path,
            inputs=(Item(name="data", path="in.parquet"), *(Item(name=None, path=path) for path in inputs)),
            outputs=(Item(name="fit", path="fit.json"),), resources=resources or {},
        )  # fmt: skip
        shop = made.workshop(a_spec(), replace(options, sandbox=sandbox), lambda *_: None)
        return try_out(shop, a_spec(), FileTask(job, sys.executable), Draft(source=source), number=1)

    yield judged
    made.close()
    assert not list((tmp_path / ".snakemake/llmagent/stages").glob("*")), "stages are left"


def test_they_are_made_while_the_script_runs(judge: Judge, seen: list[str]) -> None:
    attempt = judge(RIGHT_AND_SLOW)
    assert attempt.accepted and attempt.evidence["probes"]["half_events"] == "passed"
    assert seen.index("probes begin") < seen.index("trial end")


def test_what_they_open_is_not_taken_for_what_the_script_opens(judge: Judge, seen: list[str], tmp_path: Path) -> None:
    events(tmp_path / "other.parquet")
    attempt = judge(RIGHT_AND_SLOW, inputs=["other.parquet"])
    assert [(one.check, "other.parquet" in one.message) for one in attempt.findings] == [("input.unopened", True)]
    assert seen.index("probes begin") < seen.index("trial end")


def test_large_inputs_are_not_copied(judge: Judge, seen: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakemake_executor_plugin_llmagent.gates.probes.MOST_COPIED", 100)
    assert judge(RIGHT).accepted
    assert seen == ["trial begin", "trial end", "probes begin", "probes end"]


@pytest.mark.parametrize(
    ("sandbox", "cores", "resources"), [("auto", 1, {}), ("auto", 4, {"mem_mb": 10**9}), ("none", 4, {})]
)
def test_where_there_is_no_room_or_no_wall_they_wait(
    judge: Judge, seen: list[str], sandbox: str, cores: int, resources: Mapping[str, object]
) -> None:
    attempt = judge(RIGHT, cores, resources, sandbox=sandbox)
    assert attempt.accepted and attempt.evidence["probes"]["half_events"] == "passed"
    assert seen == ["trial begin", "trial end", "probes begin", "probes end"]


def test_they_end_with_a_trial_that_fails(judge: Judge, seen: list[str]) -> None:
    attempt = judge(WRONG)
    assert [one.check for one in attempt.findings] == ["run.failed"] and "probes" not in attempt.evidence
    assert seen == ["trial begin", "probes begin", "trial end", "probes end"], "they would have slept for an hour"


def test_what_needs_more_memory_than_is_left_is_made_after_the_trial(
    judge: Judge, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "machine_memory", lambda: 1_000_000_000)  # a fifth is left beside a trial
    attempt = judge(LARGE)
    assert attempt.accepted and attempt.evidence["probes"]["half_events"] == "passed"
    first, second = (place for place, said in enumerate(seen) if said == "probes begin")
    assert first < seen.index("trial end") < second


def test_what_takes_much_longer_than_the_trial_is_ended(
    judge: Judge, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snakemake_executor_plugin_llmagent.probes.usual.SECONDS", 1.0)
    attempt = judge(SLOW_ON_FEW)
    assert attempt.accepted
    told = "not judged: with 1,000 of 4,000 events, it was ended (timeout)"
    assert attempt.evidence["probes"]["half_events"] == told and len(seen) == 4
