"""Models that stand in for each other, in runs of Snakemake."""

from __future__ import annotations

import yaml

from tests.loopback import Asked, Reply, ScriptedModel, refuse, status
from tests.workflow.project import APPROVE, Project, fenced

SNAKEFILE = """
rule agent:
    input: "in.csv"
    output: "out.txt"
    agent: "copy the table"
"""
SCRIPT = fenced("open(snakemake.output[0], 'w').write(open(snakemake.input[0]).read())")


def lab(project: Project, down: ScriptedModel, up: ScriptedModel) -> None:
    project.snakefile(SNAKEFILE)
    project.write("in.csv", "x,y\n1,2\n")
    project.env |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    providers = {
        name: {"speaks": "openai", "base_url": f"{server.url}/v1"} for name, server in (("far", down), ("near", up))
    }
    project.write("llmagent.yaml", yaml.safe_dump({"providers": providers}))


def test_who_writes_and_who_reviews_when_a_provider_ends(project: Project) -> None:
    """The coder's model is out after one attempt, the supervisor's declines; the lock says who did it in the end."""

    def first(asked: Asked) -> Reply | str:
        if asked.role == "supervisor":
            return refuse("Not today.")
        return fenced("raise SystemExit('no')") if len(asked.messages) == 2 else status(503, "upkeep")

    def second(asked: Asked) -> Reply | str:
        return APPROVE if asked.role == "supervisor" else SCRIPT

    with ScriptedModel(first, reported="far-1") as down, ScriptedModel(second, reported="near-1") as up:
        lab(project, down, up)
        done = project.run("--llmagent-fallback", "near:m", model="far:m")
        assert done, done.output
        assert [asked.role for asked in up.requests] == ["coder", "supervisor"]
    assert project.read("out.txt") == "x,y\n1,2\n"
    lock = yaml.safe_load(project.read("agents/agent.lock.yaml"))
    assert lock["models"] == {role: {"asked": "near:m", "reported": "near-1"} for role in ("coder", "supervisor")}
    assert "attempt 1 of 5: far:m writes" in done.output
    assert "status 503 from" in done.output and "near:m answers instead, until this script is written" in done.output
    assert "far-1 declined to answer: Not today." in done.output
    told = [event for event in project.events("agent") if event["event"] == "fallback"]
    assert [(event["model"], event["instead"]) for event in told] == [("far:m", "near:m")] * 2
    assert "upkeep" in told[0]["because"] and "Not today." in told[1]["because"]


def test_a_wrong_key_is_for_a_person(project: Project) -> None:
    with ScriptedModel([status(401, "who are you?")] * 2) as down, ScriptedModel([]) as up:
        lab(project, down, up)
        project.snakefile(SNAKEFILE.rstrip() + ', model="far:m", fallback=["near:m"]\n')
        done = project.run(model="")
        assert done.returncode == 1
        assert "status 401" in done.output and "who are you?" in done.output
        assert up.requests == []


def test_who_stands_in_is_looked_for_before_any_job(project: Project) -> None:
    with ScriptedModel([]) as down, ScriptedModel([]) as up:
        lab(project, down, up)
        done = project.run("--llmagent-fallback", "near:m", "neer:m", model="far:m")
        assert done.returncode == 1
        assert "'neer:m' does not name a model. Did you mean 'near:m'?" in done.output
        assert down.requests == []
