"""Limits on money in real runs: what is said when one is reached, and what goes on."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.loopback import Asked, Reply, ScriptedModel, say
from tests.workflow.project import APPROVE, Project, fenced
from tests.workflow.scripts import rule_of

SUM = """
import csv, json
with open(snakemake.input[0]) as handle:
    total = sum(float(row["x"]) for row in csv.DictReader(handle))
with open(snakemake.output[0], "w") as handle:
    json.dump({"total": total}, handle)
"""
PRICES = "date: 2026-11-01\nmodels:\n  openai:scripted: {input: 1, output: 10}\n"
SNAKEFILE = """
rule all:
    input: expand("dear_{n}.json", n=range(4)), "cheap.json"
rule dear:
    input: "in.csv"
    output: "dear_{n}.json"
    agent: "sum column x, at a price", budget="0.7 USD"
rule cheap:
    input: "in.csv"
    output: "cheap.json"
    agent: "sum column x", budget="200k tokens", supervision="none"
"""


def prepared(project: Project, snakefile: str = SNAKEFILE) -> Project:
    project.snakefile(snakefile)
    project.write("in.csv", "x,y\n1,2\n3,4\n")
    project.write("prices.yaml", PRICES)
    return project


def models(asked: Asked) -> Reply | str:
    """The reviewer of the dear rule is never content, and writes much about it."""
    if asked.role == "supervisor":
        return say('{"verdict": "revise", "comments": "again"}', input=10_000, output=15_000)
    return say(fenced(SUM), input=10_000, output=1_000) if rule_of(asked) == "dear" else fenced(SUM)


def test_a_rule_that_has_used_up_its_budget(project: Project) -> None:
    """It is said once and in full; its other jobs do not try again, other rules go on, and the ledger knows all."""
    prepared(project)
    with ScriptedModel(models) as server:
        project.uses(server)
        done = project.run("--llmagent-prices", "prices.yaml", "--keep-going", "--retries", "1", cores=4)
    assert not done
    text = " ".join(done.output.split())
    assert text.count("To go on, raise `budget` in the rule to at least 0.") == 1, done.output
    assert "The budget for rule dear is used up: its own budget of 0.7 USD leaves too little for the next call." in text
    assert "spent: 0.54 USD, 108,000 tokens, in 6 calls" in text
    assert "the next call, of openai:scripted as coder: at most 0.3" in text
    assert "this session: 3 attempts, " in text
    assert "It was said in full above." in text
    assert project.json("cheap.json") == {"total": 4.0}
    roles = [asked.role for asked in server.requests if rule_of(asked) == "dear"]
    assert roles == ["coder", "supervisor"] * 3
    lock = yaml.safe_load(project.read("agents/cheap.lock.yaml"))
    assert lock["cost"]["usd"] > 0
    assert lock["cost"]["tokens"] == lock["usage"]["input_tokens"] + lock["usage"]["output_tokens"]
    assert [event["usd"] for event in project.events("dear") if event["event"] == "reply"] == ["0.02", "0.16"] * 3
    costs = json.loads(project.llmagent("costs", "--json").output)
    by_rule = {entry["rule"]: entry for entry in costs["by_rule"]}
    assert by_rule["dear"]["usd"] == 0.54
    assert by_rule["dear"]["calls"] == 6
    assert by_rule["cheap"]["usd"] == lock["cost"]["usd"]


def test_dollars_cannot_be_counted_without_a_price(project: Project) -> None:
    """That is found before any job runs, for rules that would be written; tokens are a way out."""
    prepared(project)
    with ScriptedModel(models) as server:
        project.uses(server)
        done = project.run()
        assert not done
        text = " ".join(done.output.split())
        assert (
            "Agent rule dear is limited to 0.7 USD, but openai:scripted has no known price, so dollars cannot be "
            "counted. Give its price in a file (--llmagent-prices prices.yaml), or limit tokens: "
            'budget="200k tokens" in the rule, or --llmagent-budget "200k tokens".'
        ) in text
        assert "rule cheap is limited" not in text.lower()
        assert server.requests == []
        done = project.run("--llmagent-budget", "500k tokens", "cheap.json")
        assert done, done.output
        assert done.output.count("openai:scripted has no known price: its tokens are counted, its cost is not") == 1
    assert yaml.safe_load(project.read("agents/cheap.lock.yaml"))["cost"]["usd"] is None
    assert "without a known price" in " ".join(project.llmagent("costs").output.split())


def test_a_month_is_limited_across_projects(project: Project, tmp_path: Path) -> None:
    prepared(project)
    other = prepared(Project(tmp_path / "other"))
    other.env["XDG_STATE_HOME"] = project.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    monthly = ("--llmagent-monthly-budget", "0.33 USD", "--llmagent-prices", "prices.yaml", "cheap.json")
    with ScriptedModel(lambda asked: say(fenced(SUM), input=10_000, output=1_000)) as server:
        project.uses(server)
        other.uses(server)
        assert project.run(*monthly)
        refused = other.run(*monthly)
        text = " ".join(refused.output.split())
        assert not refused
        assert (
            "your budget for the month (--llmagent-monthly-budget '0.33 USD', all projects) leaves too little" in text
        )
        assert "or wait for the next month (UTC)" in text
        assert len(server.requests) == 1
    costs = json.loads(other.llmagent("costs", "--month", "--json").output)
    assert [entry["project"] for entry in costs["by_project"]] == [str(project.root)]


def test_plan(project: Project) -> None:
    """Which rules, what state, what it costs; what is not there yet is said; nothing is asked and nothing is left."""
    prepared(
        project,
        SNAKEFILE
        + """
rule late:
    input: "cheap.json"
    output: "late.json"
    agent: "copy it", max_attempts=2
""",
    )
    with ScriptedModel(lambda asked: APPROVE if asked.role == "supervisor" else fenced(SUM)) as server:
        project.uses(server)
        told = json.loads(project.llmagent("plan", "all", "late.json", "--json").output)
        assert [(rule["rule"], rule["state"], rule["jobs"]) for rule in told["rules"]] == [
            ("cheap", "missing", 1), ("dear", "missing", 4), ("late", "missing", 1),
        ]  # fmt: skip
        late = told["rules"][2]
        assert late["missing_inputs"] == ["cheap.json"]
        assert 0 < late["tokens"]["low"] < late["tokens"]["high"]
        shown = project.llmagent("plan", "late.json", "--model", "openai:scripted", "--prices", "prices.yaml").output
        assert "late: not there yet, so a description of usual length is assumed: cheap.json." in " ".join(
            shown.split()
        )
        assert "Prices: prices.yaml, 2026-11-01." in shown
        assert server.requests == []
        assert not (project / ".snakemake/llmagent/ledger.jsonl").exists()
        done = project.run("cheap.json", "--llmagent-prices", "prices.yaml")
        assert done, done.output
    arguments = ("plan", "late.json", "--model", "openai:scripted", "--prices", "prices.yaml", "--json")
    (late,) = json.loads(project.llmagent(*arguments).output)["rules"]
    assert late["missing_inputs"] == []
    assert 0 < late["usd"]["low"] < late["usd"]["high"] < 1
    assert "nothing is asked of a model" in project.llmagent("plan", "cheap.json").output
    (project / "Snakefile").write_text(project.read("Snakefile").replace('agent: "sum column x",', 'agent: "sum it",'))
    (cheap,) = json.loads(project.llmagent("plan", "cheap.json", "--json").output)["rules"]
    assert (cheap["rule"], cheap["state"]) == ("cheap", "stale")


def test_a_wrong_month(project: Project) -> None:
    done = project.llmagent("costs", "--month", "november")
    assert done.returncode == 2
    assert "--month takes a month such as 20" in done.output
    assert "No call of a model is recorded in" in project.llmagent("costs").output
