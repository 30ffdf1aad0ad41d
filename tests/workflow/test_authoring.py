"""An agent rule from its sentence to its frozen script, with real Snakemake and the real SDKs."""

from __future__ import annotations

import pytest

from tests.loopback import CANARY, ScriptedModel
from tests.workflow.project import Project, team

SUM = """
import csv, json
with open(snakemake.input[0]) as handle:
    rows = list(csv.DictReader(handle))
total = sum(float(row["x"]) for row in rows)
print("rows", len(rows))
with open(snakemake.output[0], "w") as handle:
    json.dump({"total": total}, handle)
"""
CRASH = """
import csv, json
with open(snakemake.input[0]) as handle:
    rows = list(csv.DictReader(handle))
total = sum(float(row["energy"]) for row in rows)
with open(snakemake.output[0], "w") as handle:
    json.dump({"total": total}, handle)
"""
SNAKEFILE = """
rule total:
    input: "in.csv"
    output: "out.json"
    log: "logs/total.log"
    agent: "sum column x"
"""


@pytest.fixture
def table(project: Project) -> Project:
    project.snakefile(SNAKEFILE)
    project.write("in.csv", "x,y\n1,2\n3,4\n")
    return project


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_first_draft_right(table: Project, provider: str) -> None:
    with ScriptedModel(team(SUM)) as server:
        table.uses(server, provider)
        done = table.run(model=f"{provider}:scripted")
        assert done, done.output
        assert [asked.role for asked in server.requests] == ["coder", "supervisor"]
    assert table.json("out.json") == {"total": 4.0}
    assert "rows 2" in table.read("logs/total.log")
    assert table.states() == {"total": "frozen"}
    again = table.snakemake()
    assert again and "Nothing to be done" in again.output, again.output
    (table / "out.json").unlink()
    plain = table.snakemake()
    assert plain, plain.output
    assert table.json("out.json") == {"total": 4.0}


def test_wrong_then_right(table: Project) -> None:
    with ScriptedModel(team(CRASH, SUM)) as server:
        table.uses(server)
        done = table.run()
        assert done, done.output
        second = [asked for asked in server.requests if asked.role == "coder"][1]
        assert "KeyError: 'energy'" in second.text
        assert "run.failed" in second.text
    assert table.json("out.json") == {"total": 4.0}


def test_recorded_then_replayed(table: Project) -> None:
    with ScriptedModel(team(CRASH, SUM)) as server:
        table.uses(server)
        done = table.run("--llmagent-record", "recordings")
        assert done, done.output
    recordings = sorted((table / "recordings").iterdir())
    assert [path.name.partition("-")[0] for path in recordings] == ["coder", "coder", "supervisor"]
    assert not any(CANARY in path.read_text() for path in recordings)
    script = table.read("agents/total.py")
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        del table.env[name]

    for left in ("agents/total.py", "agents/total.lock.yaml", "out.json"):
        (table / left).unlink()
    done = table.run(model="replay:recordings")
    assert done, done.output
    assert table.read("agents/total.py") == script
    assert table.json("out.json") == {"total": 4.0}

    table.snakefile(SNAKEFILE.replace("sum column x", "sum column y"))
    done = table.run(model="replay:recordings")
    assert not done
    assert "sum column y" in done.output and "sum column x" in done.output, "the first difference is shown"
    assert "coder-" in done.output, "the nearest recording is named"
    assert table.read("agents/total.py") == script
