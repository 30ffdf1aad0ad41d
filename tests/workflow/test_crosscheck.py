"""A second script by another model, blind to the first, with real Snakemake and sandbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import yaml

from tests.loopback import Asked, ScriptedModel
from tests.workflow.project import APPROVE, Project, fenced

SNAKEFILE = """
rule total:
    input: "in.csv"
    output: "out.json"
    agent: "the mean of x, weighted with w", crosscheck="openai:second", probes=[]
"""
MEAN = """
import json
import numpy as np
x, w = np.loadtxt(snakemake.input[0], delimiter=",", skiprows=1, unpack=True)
json.dump({"n_events": len(x), "mean": float((x * w).sum() / w.sum())}, open(snakemake.output[0], "w"))
"""
UNWEIGHTED = MEAN.replace("(x * w).sum() / w.sum()", "x.mean()")
OTHER = """
import csv, json
rows = list(csv.DictReader(open(snakemake.input[0])))
pairs = [(float(row["x"]), float(row["w"])) for row in rows]
mean = sum(x * w for x, w in pairs) / sum(w for _, w in pairs)
json.dump({"n_events": len(rows), "mean": mean, "sum_of_weights": sum(w for _, w in pairs)},
          open(snakemake.output[0], "w"))
"""
CRASH = "x = snakemake.input[0], snakemake.output[0]\nraise ValueError('no luck')"


def models(first: Sequence[str], second: Sequence[str], review: str = APPROVE) -> Callable[[Asked], str]:
    """Two models by name: what each writes, one script after the other."""
    pending = {"scripted": list(first), "second": list(second)}

    def answer(asked: Asked) -> str:
        if "Reply with the whole script" not in asked.text:
            return review
        return fenced(pending[asked.model].pop(0))

    return answer


@pytest.fixture
def table(project: Project) -> Project:
    project.snakefile(SNAKEFILE)
    rows = [f"{1.5 + 0.37 * i},{0.5 + (i % 7) * 0.3}" for i in range(60)]
    project.write("in.csv", "x,w\n" + "\n".join(rows) + "\n")
    return project


def test_two_scripts_that_agree(table: Project) -> None:
    with ScriptedModel(models([MEAN], [OTHER])) as server:
        table.uses(server)
        done = table.run()
        assert done, done.output
        assert [asked.model for asked in server.requests] == ["scripted", "second", "scripted"]
        first, second, _ = server.requests
        assert first.messages[1] == second.messages[1], "both get the same brief"
    assert "crosscheck.only_one" in done.output and "sum_of_weights" in done.output
    lock = yaml.safe_load(table.read("agents/total.lock.yaml"))
    evidence = lock["evidence"]["crosscheck"]
    assert (evidence["done"], evidence["compared"], evidence["differ"]) == (True, 2, 0)
    assert evidence["largest"]["difference"] < 1e-9
    assert lock["models"]["crosscheck"] == {"asked": "openai:second", "reported": "second"}
    assert lock["usage"]["calls"] == 3
    assert list((table / ".snakemake/llmagent/sessions/total").glob("*/calls/crosscheck-1.reply.md"))
    assert table.read("agents/total.py").strip() == MEAN.strip()
    assert not list((table / ".snakemake/llmagent/stages").iterdir())


def test_they_differ_and_then_agree(table: Project) -> None:
    with ScriptedModel(models([UNWEIGHTED, MEAN], [CRASH, OTHER])) as server:
        table.uses(server)
        done = table.run()
        assert done, done.output
        asked = [(asked.model, asked.role) for asked in server.requests]
        assert asked == [
            ("scripted", "coder"), ("second", "coder"), ("second", "coder"), ("scripted", "coder"),
            ("scripted", "supervisor"),
        ]  # fmt: skip
        said = server.requests[3].messages[-1][1]
        assert "crosscheck.differs" in said and "| mean | " in said and "DictReader" not in said
        assert not any("x.mean()" in asked.text for asked in server.requests if asked.model == "second")
    assert "| n_events |" not in said
    assert table.json("out.json")["mean"] == pytest.approx(weighted_mean(table))


def weighted_mean(project: Project) -> float:
    rows = [tuple(map(float, row.split(","))) for row in project.read("in.csv").splitlines()[1:]]
    return sum(x * w for x, w in rows) / sum(w for _, w in rows)


def test_a_second_model_that_fails(table: Project) -> None:
    with ScriptedModel(models([MEAN], [CRASH, CRASH])) as server:
        table.uses(server)
        done = table.run()
        assert done, done.output
    assert "crosscheck.undone" in done.output and "no luck" in done.output
    lock = yaml.safe_load(table.read("agents/total.lock.yaml"))
    assert lock["evidence"]["crosscheck"]["done"] is False
    assert "no script that passes in 2 tries" in lock["checks"]["crosscheck"]


def test_they_never_agree(table: Project) -> None:
    table.snakefile(SNAKEFILE.replace(', crosscheck="openai:second"', ""))
    said = "B uses the weights that the rule asks for; A does not."
    with ScriptedModel(models([UNWEIGHTED], [OTHER], said)) as server:
        table.uses(server)
        done = table.run("--llmagent-crosscheck", "openai:second", "--llmagent-max-attempts", "1")
        assert not done
        assert server.requests[-1].model == "scripted" and "x.mean()" in server.requests[-1].text
        assert "DictReader" in server.requests[-1].text
    assert said in done.output and "crosscheck.differs" in done.output
    assert not (table / "agents").exists() or not list((table / "agents").glob("*.py"))


def test_a_declared_tolerance_and_wrong_ones(table: Project) -> None:
    table.snakefile(SNAKEFILE.replace('"openai:second"', '{"model": "openai:second", "tolerance": 0.5}'))
    with ScriptedModel(models([UNWEIGHTED], [OTHER])) as server:
        table.uses(server)
        done = table.run()
        assert done, done.output
    for wrong, said in (('"second"', "has to be of the form"), ('{"models": 1}', "`crosscheck` has to be a model")):
        table.snakefile(SNAKEFILE.replace('"openai:second"', wrong))
        done = table.snakemake("--dry-run")
        assert not done and said in done.output, done.output
