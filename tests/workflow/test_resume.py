"""A session that was cut off goes on: what was answered is neither asked nor paid again."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.loopback import Asked, Reply, ScriptedModel, hang, refuse, say, status
from tests.workflow.processes import seconds_until_gone, wait_for
from tests.workflow.project import APPROVE, Project, end, fenced

SUM = """
import csv, json
with open(snakemake.input[0]) as handle:
    total = sum(float(row["x"]) for row in csv.DictReader(handle))
with open(snakemake.output[0], "w") as handle:
    json.dump({"total": total}, handle)
"""
CRASH = """
import os, tempfile
print(object(), os.getcwd(), tempfile.gettempdir(), os.environ["HOME"], open(snakemake.input[0]).read())
raise RuntimeError(snakemake.output[0])
"""
EMPTY = """
print(open(snakemake.input[0]).read())
open(snakemake.output[0], "w")
"""
SNAKEFILE = """
rule total:
    input: "in.csv"
    output: "out.json"
    agent: "sum column x", supervision="none"
"""
PRICES = "date: 2026-11-01\nmodels:\n  openai:scripted: {input: 1, output: 10}\n"


def written(project: Project, snakefile: str = SNAKEFILE) -> Project:
    project.snakefile(snakefile)
    project.write("in.csv", "x,y\n1,2\n3,4\n")
    project.write("prices.yaml", PRICES)
    return project


def drafts(*replies: Reply | str) -> Callable[[Asked], Reply | str]:
    """What a coder says, one after the other."""
    pending = list(replies)
    return lambda asked: APPROVE if asked.role == "supervisor" else pending.pop(0)


def ledger(project: Project) -> list[dict[str, Any]]:
    return [json.loads(line) for line in project.read(".snakemake/llmagent/ledger.jsonl").splitlines()]


def asked_twice(server: ScriptedModel) -> list[str]:
    counted = Counter(json.dumps(asked.body, sort_keys=True) for asked in server.requests)
    return [body for body, times in counted.items() if times > 1]


def test_killed_in_the_third_attempt(project: Project) -> None:
    """The third reply is there, its script is running: no request is sent twice, and nothing is paid twice."""
    started = project.root.parent / "started"
    started.mkdir()
    written(project, SNAKEFILE.replace('agent: "sum column x"', f'agent: "sum column x", readable=[{str(started)!r}]'))
    slow = f"import os, time\nif os.path.exists({str(started / 'slow')!r}):\n    open('begun', 'w'); time.sleep(60)\n"
    (started / "slow").touch()
    with ScriptedModel(drafts(fenced(CRASH), fenced(EMPTY), fenced(slow + SUM))) as server:
        project.uses(server)
        process = project.start("--executor", "llmagent", "--llmagent-model", "openai:scripted", "--cores", "1")
        try:
            stages = project / ".snakemake/llmagent/stages"
            wait_for(lambda: list(stages.rglob("begun")) or process.poll() is not None, "the third script runs")
            os.kill(process.pid, signal.SIGKILL)
        finally:
            end(process)
        seconds_until_gone(project.root)
        assert len(server.requests) == 3
        (started / "slow").unlink()
        done = project.run("--nolock")
        assert done, done.output
        assert "an earlier session was cut off: 3 of its answers serve again" in done.output
        assert len(server.requests) == 3
    assert project.json("out.json") == {"total": 4.0}
    assert [entry["entry"] for entry in ledger(project)] == ["reserve", "settle"] * 3
    reused = [event["event"] for event in project.events("total") if event.get("reused")]
    assert reused == ["reply"] * 3
    assert project.read("agents/total.lock.yaml").count("attempts: 3") == 1


def test_killed_before_the_answer(project: Project) -> None:
    """The call that was in flight counts at its worst case; the two before it are not made again."""
    written(project)
    with ScriptedModel(drafts(fenced(CRASH), fenced(EMPTY), hang(60), fenced(SUM))) as server:
        project.uses(server)
        process = project.start(
            "--executor", "llmagent", "--llmagent-model", "openai:scripted", "--cores", "1",
            "--llmagent-prices", "prices.yaml",
        )  # fmt: skip
        try:
            wait_for(lambda: len(server.requests) == 3 or process.poll() is not None, "the third call is sent")
            os.kill(process.pid, signal.SIGKILL)
        finally:
            end(process)
        seconds_until_gone(project.root)
        done = project.run("--llmagent-prices", "prices.yaml", "--nolock")
        assert done, done.output
        assert len(server.requests) == 4
        assert asked_twice(server) == [json.dumps(server.requests[3].body, sort_keys=True)]
    entries = ledger(project)
    assert Counter(entry["entry"] for entry in entries) == {"reserve": 4, "settle": 3}
    costs = json.loads(project.llmagent("costs", "--json").output)
    lost = next(
        e for e in entries if e["entry"] == "reserve" and e["id"] not in {s["id"] for s in entries if "how" in s}
    )
    assert costs["total"]["open_usd"] == pytest.approx(float(lost["worst_usd"]))


def test_a_later_run_with_more_budget_goes_on(project: Project) -> None:
    written(project)
    with ScriptedModel(drafts(fenced(CRASH), say(fenced(EMPTY), input=3000, output=9000), fenced(SUM))) as server:
        project.uses(server)
        poor = project.run("--llmagent-prices", "prices.yaml", "--llmagent-budget", "0.41 USD")
        assert not poor
        assert poor.output.count("The budget for rule total is used up") == 1
        assert "this session: 2 attempts, " in poor.output
        assert "raise --llmagent-budget to at least 0.42 USD" in poor.output
        assert len(server.requests) == 2
        rich = project.run("--llmagent-prices", "prices.yaml", "--llmagent-budget", "2 USD")
        assert rich, rich.output
        assert len(server.requests) == 3
        assert asked_twice(server) == []


def test_changed_questions_are_asked(project: Project) -> None:
    written(project)
    with ScriptedModel(drafts(fenced(CRASH), status(401), fenced(SUM))) as server:
        project.uses(server)
        assert not project.run()
        assert len(server.requests) == 2
        project.write("in.csv", "x,y,z\n1,2,3\n3,4,5\n")
        done = project.run()
        assert done, done.output
        assert len(server.requests) == 3


def test_finished_sessions_and_refusals_are_not_used(project: Project) -> None:
    written(project, SNAKEFILE.replace('"none"', '"none", max_attempts=1'))
    with ScriptedModel(drafts(fenced(CRASH), fenced(CRASH), refuse(), fenced(SUM), fenced(SUM))) as server:
        project.uses(server)
        for number in (1, 2, 3):
            assert not project.run()
            assert len(server.requests) == number
        assert project.run()
        assert len(server.requests) == 4
        for path in (project / "agents").iterdir():
            path.unlink()
        done = project.run("--forceall")
        assert done, done.output
        assert "an earlier session" not in done.output
        assert len(server.requests) == 5


def test_the_same_job_is_tried_on_again(project: Project) -> None:
    """Which job of a rule comes first differs from run to run; the questions are about one of them."""
    written(
        project,
        """
        samples = list("abcdef")
        rule all:
            input: expand("out_{s}.json", s=samples)
        rule total:
            input: "in_{s}.csv"
            output: "out_{s}.json"
            agent: "sum column x", supervision="none"
        """,
    )
    for sample in "abcdef":
        project.write(f"in_{sample}.csv", f"x,{sample}\n1,2\n3,4\n")
    with ScriptedModel(drafts(fenced(CRASH), status(401), status(401), status(401), fenced(SUM))) as server:
        project.uses(server)
        for number in (2, 3, 4):
            project.env["PYTHONHASHSEED"] = str(number)
            assert not project.run()
            assert len(server.requests) == number
        project.env["PYTHONHASHSEED"] = "77"
        done = project.run(cores=4)
        assert done, done.output
        assert len(server.requests) == 5
    for sample in "abcdef":
        assert project.json(f"out_{sample}.json") == {"total": 4.0}
