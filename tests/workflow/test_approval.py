"""What people decide about scripts: approve, reject with a reason, compare, and be asked in the terminal."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.loopback import Asked, ScriptedModel
from tests.terminal import Console
from tests.workflow.project import APPROVE, SNAKEMAKE, Project, fenced, team

SCHEMA = json.loads(resources.files("snakemake_executor_plugin_llmagent").joinpath("schemas/lock-1.json").read_text())
RULE = """
rule total:
    input: "in.csv"
    output: "out/total.txt"
    agent: "sum column x"{options}
"""
SUM = """
# first
with open(snakemake.input[0]) as f:
    numbers = [float(line) for line in f.read().split()[1:]]
with open(snakemake.output[0], "w") as f:
    f.write(f"{sum(numbers)}")
"""
MEAN = SUM.replace("{sum(numbers)}", "{sum(numbers) / len(numbers)}").replace("first", "second")
REASON = "the sum is asked for, in one line"
ASK = (sys.executable, *SNAKEMAKE[1:], "--cores", "1", "--executor", "llmagent", "--llmagent-model", "openai:scripted",
       "--llmagent-ask")  # fmt: skip


def set_up(project: Project, options: str = ', approve="person"') -> None:
    project.snakefile(RULE.format(options=options))
    project.write("in.csv", "x\n1\n2\n")


def asking(project: Project, *arguments: str) -> Console:
    return Console((*ASK, *arguments), cwd=project.root, env=project.environment(), width=200)


def lock_of(project: Project) -> Any:
    lock = yaml.safe_load(project.read("agents/total.lock.yaml"))
    jsonschema.Draft202012Validator(SCHEMA).validate(lock)
    return lock


def test_reject_and_approve(project: Project) -> None:
    set_up(project)
    with ScriptedModel(team(MEAN, SUM)) as server:
        project.uses(server)
        done = project.run()
        assert done.returncode == 1
        for command in ("show total", "diff total", "approve total", "reject total --because"):
            assert f"llmagent {command}" in done.output
        (kept,) = project.root.glob(".snakemake/llmagent/sessions/total/*/outputs/out/total.txt")
        assert kept.read_text() == "1.5"
        assert f"What it made on trial: {kept.parents[1]}" in done.output
        shown = project.llmagent("show", "total")
        assert str(kept.parents[1]) in shown.output.replace("\n", "")
        assert "llmagent approve total" in shown.output
        assert "No script of this rule was approved before" in project.llmagent("diff", "total").output

        rejected = project.llmagent("reject", "total", "--because", REASON, "--name", "Ada")
        assert rejected, rejected.output
        assert "snakemake --executor llmagent" in rejected.output
        status = json.loads(project.llmagent("status", "--json").output)["rules"][0]
        assert status["state"] == "stale"
        assert REASON in status["reason"] and "rejected by Ada" in status["reason"]
        plain = project.snakemake()
        assert plain.returncode == 1
        assert REASON in plain.output
        assert len(server.requests) == 2

        assert not project.run()
        asked = server.requests[2]
        assert f"Ada read this script and rejected it: {REASON}" in asked.text
        assert "len(numbers)" in asked.text
        assert project.states() == {"total": "awaiting"}
        assert not (project / "out/total.txt").exists()
        assert project.llmagent("approve", "total", "--name", "Ada")
        assert project.run(model=""), done.output
    assert project.read("out/total.txt") == "3.0"
    lock = lock_of(project)
    assert [(act["act"], act["name"]) for act in lock["trail"]] == [("rejected", "Ada"), ("approved", "Ada")]
    assert lock["trail"][0]["script_digest"] != lock["script_digest"] == lock["trail"][1]["script_digest"]
    assert f"rejected by Ada, {lock['trail'][0]['time']}: {REASON}" in project.llmagent("show", "total").output


def test_a_person_who_was_not_content_is_asked_again(project: Project) -> None:
    """Also where checks would do: who rejects a script wants to see the next one."""
    set_up(project, options="")
    with ScriptedModel(team(MEAN, SUM)) as server:
        project.uses(server)
        assert project.run()
        frozen = lock_of(project)
        assert project.llmagent("reject", "total", "--because", REASON, "--name", "Ada")
        assert not project.run()  # although the outputs of the rejected script are there
        assert project.states() == {"total": "awaiting"}
        assert lock_of(project)["replaces"] == frozen["script_digest"]
        difference = project.llmagent("diff", "total").output
        assert "-# second" in difference and "+# first" in difference
        assert project.llmagent("approve", "total", "--name", "Ada")
        assert project.run(model="")
        assert len(server.requests) == 4
        assert "Nothing to be done" in project.snakemake().output
    assert project.read("out/total.txt") == "3.0"


def test_a_change_of_mind(project: Project) -> None:
    set_up(project)
    with ScriptedModel(team(SUM)) as server:
        project.uses(server)
        assert not project.run()
    assert project.llmagent("reject", "total", "--because", REASON, "--name", "Ada")
    assert project.llmagent("approve", "total", "--name", "Ada")
    assert project.states() == {"total": "frozen"}
    assert [act["act"] for act in lock_of(project)["trail"]] == ["rejected", "approved"]


def test_who_approves_what_checks_have_approved(project: Project) -> None:
    set_up(project, options="")
    with ScriptedModel(team(SUM)) as server:
        project.uses(server)
        assert project.run()
    assert lock_of(project)["approval"]["by"] == "checks"
    done = project.llmagent("approve", "total", "--name", "Ada")
    assert "approved by Ada" in done.output
    assert lock_of(project)["approval"]["name"] == "Ada"
    assert "frozen already" in project.llmagent("approve", "total", "--name", "Bob").output
    assert lock_of(project)["approval"]["name"] == "Ada"
    (project / "agents/total.py").write_text(MEAN)
    assert project.llmagent("approve", "total", "--name", "Bob")
    lock = lock_of(project)
    assert [act["name"] for act in lock["trail"]] == ["Ada", "Bob"]
    assert lock["checks"] == lock["evidence"] == {}
    difference = json.loads(project.llmagent("diff", "total", "--json").output)
    assert "-# first" in difference["script"] and difference["spec"] == ""


def test_what_changed_since(project: Project, tmp_path: Path) -> None:
    """Of a script that was edited, also where only git knows what was approved; and of what the rule asks for."""
    set_up(project, options="")
    with ScriptedModel(team(SUM)) as server:
        project.uses(server)
        assert project.run()
    assert "Nothing has changed" not in project.llmagent("diff", "total").output
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "agents", "Snakefile", "in.csv"), ("commit", "-qm", "one")):
        subprocess.run((*git, *command), cwd=project.root, check=True, capture_output=True)
    clone = Project(tmp_path / "clone")
    subprocess.run((*git, "clone", "-q", project.root, clone.root), check=True, capture_output=True)
    for each in (project, clone):
        (each / "agents/total.py").write_text(MEAN)
        done = each.llmagent("diff", "total")
        assert done, done.output
        assert "-# first" in done.output and "+# second" in done.output
    shutil.rmtree(clone / ".git")
    assert "is neither kept in this working directory" in clone.llmagent("diff", "total").output.replace("\n", " ")
    clone.snakefile(RULE.format(options="").replace("sum column x", "sum column y"))
    asked = clone.llmagent("diff", "total").output
    assert "-sum column x" in asked and "+sum column y" in asked


def test_what_cannot_be_rejected(project: Project) -> None:
    set_up(project)
    missing = project.llmagent("reject", "total", "--because", REASON, "--name", "Ada")
    assert missing.returncode == 5 and "has no script to reject" in missing.output
    project.write("agents/total.py", SUM)
    own = project.llmagent("reject", "total", "--because", REASON, "--name", "Ada")
    assert own.returncode == 5 and "has no lock" in own.output
    empty = project.llmagent("reject", "total", "--because", "  ", "--name", "Ada")
    assert empty.returncode == 2 and "needs a reason" in empty.output


# --- in the terminal ------------------------------------------------------------------------------------------------


def test_asked_in_the_terminal(project: Project) -> None:
    """A look at the script, a rejection without and with a reason, and an approval."""
    set_up(project, options="")
    project.write("git/config", "[user]\nname = Ada\n")
    project.env["GIT_CONFIG_GLOBAL"] = str(project / "git/config")
    with ScriptedModel(team(MEAN, SUM)) as server:
        project.uses(server)
        with asking(project) as console:
            summary = console.until_said("total> ")
            assert "asked for: sum column x" in summary and "it does what is asked" in summary
            console.type(b"?\n")
            console.until_said("leave it for later")
            console.until_said("total> ")
            console.type(b"s\n")
            assert "   2 with open(snakemake.input[0]) as f:" in console.until_said("total> ")
            console.type(b"d\n")
            assert "No script of this rule was approved before" in console.until_said("total> ")
            console.type(b"n\n")
            console.until_said("What is wrong with it? ")
            console.type(b"\n")
            assert "A reason is needed" in console.until_said("total> ")
            console.type(b"n\n")
            console.until_said("What is wrong with it? ")
            console.type(f"{REASON}\n".encode())
            console.until_said("total> ")
            console.type(b"y\n")
            assert console.wait() == 0, console.terminal.text
        assert f"Ada read this script and rejected it: {REASON}" in server.requests[2].text
        assert len(server.requests) == 4
    assert project.read("out/total.txt") == "3.0"
    lock = lock_of(project)
    assert lock["approval"]["by"] == "person" and lock["approval"]["name"] == "Ada"
    assert [event["class"]["fine"] for event in project.events("total") if event.get("class")] == ["person.rejected"]


def test_later(project: Project) -> None:
    set_up(project)
    with ScriptedModel(team(SUM)) as server:
        project.uses(server)
        with asking(project) as console:
            console.until_said("total> ")
            console.type(b"l\n")
            assert console.wait() == 1
    assert "llmagent approve total" in console.terminal.text
    assert project.states() == {"total": "awaiting"}


def test_interrupted_while_asking(project: Project) -> None:
    set_up(project)
    with ScriptedModel(team(SUM)) as server:
        project.uses(server)
        with asking(project) as console:
            console.until_said("total> ")
            console.type(b"\x03")
            assert console.wait() != 0, console.terminal.text
    assert project.states() == {"total": "missing"}, console.terminal.text


@pytest.mark.parametrize("options", ["", ', approve="person"'])
def test_nobody_to_ask(project: Project, options: str) -> None:
    set_up(project, options)
    with ScriptedModel(team(SUM)) as server:
        project.uses(server)
        done = project.run("--llmagent-ask")
    assert done.returncode == 1
    assert "no terminal to ask in" in done.output
    assert project.states() == {"total": "awaiting"}


def test_one_question_at_a_time(project: Project) -> None:
    rules = "".join(
        f'rule r{n}:\n    input: "in.csv"\n    output: "out/{n}.txt"\n    agent: "sum column x"\n' for n in (1, 2)
    )
    project.snakefile('rule all:\n    input: "out/1.txt", "out/2.txt"\n' + rules)
    project.write("in.csv", "x\n1\n2\n")

    def answer(asked: Asked) -> str:
        return APPROVE if asked.role == "supervisor" else fenced(SUM)

    with ScriptedModel(answer) as server:
        project.uses(server)
        with asking(project, "--cores", "2") as console:
            for _ in range(2):
                shown = console.until_said("> ")
                assert shown.count("may this script be approved?") == 1
                console.type(b"y\n")
            assert console.wait() == 0, console.terminal.text
    assert project.states() == {"r1": "frozen", "r2": "frozen"}
