"""The states of an agent rule: what changes them, what they allow, and which jobs a change reruns."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import ScriptedModel
from tests.workflow.project import Project
from tests.workflow.repeat import repeat
from tests.workflow.scripts import by_rule, rule_of

SNAKEFILE = '''
rule all:
    input: "out/total.json", "out/filed.json", "out/plain.txt"

rule total:
    input: table="in.csv"
    output: fit="out/total.json"
    params: scale=1
    agent:
        """
        Sum column x.

        Then divide by two.
        """

rule filed:
    input: "in.csv"
    output: "out/filed.json"
    agent: spec_file="spec.md", context="note.md", checks="check.py:f"

rule plain:
    input: "in.csv"
    output: "out/plain.txt"
    shell: "cp {input} {output}"
'''


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose two agent rules are frozen; tests work on copies."""
    project = Project(tmp_path_factory.mktemp("template") / "project")
    project.snakefile(SNAKEFILE)
    project.write("in.csv", "x\n1\n")
    project.write("spec.md", "sum column x\nall of it\n")
    project.write("note.md", "a note\n")
    project.write("check.py", "def f(job):\n    return []\n")
    with ScriptedModel(by_rule()) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
    project.env.clear()
    return project


@pytest.fixture
def frozen(template: Project, tmp_path: Path) -> Project:
    """A copy of the template, with the times of its files."""
    shutil.copytree(template.root, tmp_path / "project")
    return Project(tmp_path / "project")


def edit(project: Project, name: str, old: str, new: str) -> None:
    text = project.read(name)
    assert old in text
    (project / name).write_text(text.replace(old, new))


def pending(project: Project, *arguments: str) -> set[str]:
    """The rules that a run would run."""
    ((status, output),) = repeat([(project.root, ["-n", *arguments])], project.environment())
    assert status == 0, output
    return rules_in(output)


def rules_in(output: str) -> set[str]:
    """The rules whose jobs a dry run lists."""
    return set(re.findall(r"^rule (\w+):$", output, re.MULTILINE)) - {"all"}


Edit = Callable[[Project], None]
STALE: dict[str, tuple[str, Edit]] = {
    "first line": ("total", lambda p: edit(p, "Snakefile", "Sum column x.", "Sum column y.")),
    "last line": ("total", lambda p: edit(p, "Snakefile", "by two.", "by three.")),
    "blank line": ("total", lambda p: edit(p, "Snakefile", "x.\n\n", "x.\n\n\n")),
    "white space": ("total", lambda p: edit(p, "Snakefile", "Then divide", "Then  divide")),
    "spec file": ("filed", lambda p: edit(p, "spec.md", "all of it", "half of it")),
    "context": ("filed", lambda p: edit(p, "note.md", "a note", "another note")),
    "check": ("filed", lambda p: edit(p, "check.py", "return []", "return list()")),
    "another context": ("filed", lambda p: edit(p, "Snakefile", 'context="note.md"', 'context="in.csv"')),
    "no check": ("filed", lambda p: edit(p, "Snakefile", ', checks="check.py:f"', "")),
    "output keyword": ("total", lambda p: edit(p, "Snakefile", "fit=", "result=")),
    "output suffix": ("total", lambda p: edit(p, "Snakefile", "out/total.json", "out/total.yaml")),
    "input keyword": ("total", lambda p: edit(p, "Snakefile", "table=", "data=")),
    "new param": ("total", lambda p: edit(p, "Snakefile", "scale=1", "scale=1, more=2")),
}
FRESH: dict[str, tuple[set[str], Edit]] = {
    "model": (set(), lambda p: edit(p, "Snakefile", 'file="spec.md"', 'file="spec.md", model="openai:another"')),
    "attempts": (set(), lambda p: edit(p, "Snakefile", 'file="spec.md"', 'file="spec.md", max_attempts=9')),
    "comment": (set(), lambda p: edit(p, "Snakefile", "    output: fit", "    # new\n    output: fit")),
    "comment above": (set(), lambda p: edit(p, "Snakefile", "rule total", "# new\n\nrule total")),
    "comment behind": (set(), lambda p: edit(p, "Snakefile", '"check.py:f"', '"check.py:f"  # new')),
    "nothing": (set(), lambda p: None),
    "script": ({"filed"}, lambda p: (p / "agents/filed.py").touch()),
    "params": ({"total"}, lambda p: edit(p, "Snakefile", "scale=1", "scale=2")),
    "other place": ({"total"}, lambda p: edit(p, "Snakefile", "out/total.json", "elsewhere/total.json")),
    "other name": ({"total"}, lambda p: edit(p, "Snakefile", "out/total.json", "out/sum.json")),
    "data": ({"total", "filed", "plain"}, lambda p: edit(p, "in.csv", "1", "2")),
}


def test_what_makes_a_rule_stale(frozen: Project) -> None:
    frozen_states = {"total": "frozen", "filed": "frozen"}
    wanted = {name: ({**frozen_states, rule: "stale"}, {rule}) for name, (rule, _) in STALE.items()}
    wanted |= {name: (frozen_states, rerun) for name, (rerun, _) in FRESH.items()}
    changes = {name: change for name, (_, change) in (*STALE.items(), *FRESH.items())}
    variants = []
    for name, change in changes.items():
        variants.append(Project(frozen.root.with_name(name.replace(" ", "_"))))
        shutil.copytree(frozen.root, variants[-1].root)
        change(variants[-1])
    environment = frozen.environment()
    listed = repeat([(each.root, ["status", "--json"]) for each in variants], environment, "llmagent")
    planned = repeat([(each.root, ["-n"]) for each in variants], environment)
    found = {}
    for name, (_, states), (status, output) in zip(wanted, listed, planned, strict=True):
        assert status == 0, output
        found[name] = ({rule["rule"]: rule["state"] for rule in json.loads(states)["rules"]}, rules_in(output))
    assert found == wanted


def test_stale_is_authored_again_and_reruns_its_job_only(frozen: Project) -> None:
    old = frozen.read("agents/total.py")
    edit(frozen, "Snakefile", "by two.", "by three.")
    plain = frozen.snakemake()
    assert plain.returncode == 1
    assert "no script that may run (stale" in plain.output
    assert "snakemake --executor llmagent" in plain.output
    with ScriptedModel(by_rule({"total": "NEW = 1\n" + old})) as server:
        frozen.uses(server)
        done = frozen.run()
        assert done, done.output
        assert [(rule_of(asked), asked.role) for asked in server.requests] == [
            ("total", "coder"), ("total", "supervisor"),
        ]  # fmt: skip
        assert "was written for: Sum column x. Then divide by two." in " ".join(server.requests[0].text.split())
        assert "def text(path):" in server.requests[0].text
    assert "rule filed:" not in done.output
    assert "rule plain:" not in done.output
    assert frozen.states() == {"total": "frozen", "filed": "frozen"}
    assert not list((frozen / "agents").glob("*.edited-*"))
    assert pending(frozen) == set()


def test_edited_script(frozen: Project) -> None:
    before = frozen.read("agents/total.py")
    (frozen / "agents/total.py").write_text(before + "\nprint('edited by hand')\n")
    assert frozen.states() == {"total": "edited", "filed": "frozen"}
    for executor in ("llmagent", "local"):
        assert pending(frozen, "--executor", executor) == {"total"}
        done = frozen.snakemake("--executor", executor)
        assert done, done.output
        assert done.output.count("changed by hand") == 1, done.output
        assert "llmagent approve total" in done.output
        assert "rule filed:" not in done.output
        (frozen / "agents/total.py").touch()
    # The sentence changes too: the person's script is kept when a new one replaces it.
    edit(frozen, "Snakefile", "by two.", "by three.")
    with ScriptedModel(by_rule()) as server:
        frozen.uses(server)
        done = frozen.run()
        assert done, done.output
    assert frozen.read("agents/total.edited-1.py") == before + "\nprint('edited by hand')\n"
    assert frozen.read("agents/total.py") == before
    # Without a lock a script is a person's, too.
    (frozen / "agents/filed.lock.yaml").unlink()
    assert frozen.states() == {"total": "frozen", "filed": "edited"}
    (frozen / "out/filed.json").unlink()
    done = frozen.snakemake()
    assert done and done.output.count("no lock") == 1, done.output


def test_broken_lock_and_missing_script(frozen: Project) -> None:
    lock = frozen / "agents/total.lock.yaml"
    good = lock.read_text()
    (frozen / "out/total.json").unlink()
    for text, reason in (("{", "not valid YAML"), ("- a list\n", "is not a lock"), ("version: 99\n", "has version 99")):
        lock.write_text(text)
        answers = repeat(
            [(frozen.root, ["--cores", "1", "--executor", name]) for name in ("local", "llmagent")],
            frozen.environment(),
        )
        for status, output in answers:
            assert status == 1, output
            assert str(lock) in output and reason in output, output
            assert "Traceback" not in output
        shown = frozen.llmagent("status")
        assert shown.returncode == 4 and "broken" in shown.output
    lock.write_text(good)
    (frozen / "agents/total.py").unlink()
    assert frozen.states() == {"total": "missing", "filed": "frozen"}
    plain = frozen.snakemake()
    assert plain.returncode == 1
    assert "Agent rule total has no script that may run (missing" in plain.output
    assert "--until total" in plain.output
    assert "Traceback" not in plain.output


def test_awaiting(project: Project) -> None:
    project.snakefile("""
        rule total:
            input: "in.csv"
            output: "out_{n}.json"
            agent: "sum column x", approve="person"

        rule all:
            default_target: True
            input: "out_1.json", "out_2.json"
    """)
    project.write("in.csv", "x\n1\n")
    with ScriptedModel(by_rule()) as server:
        project.uses(server)
        done = project.run()
        assert done.returncode == 1
        assert "llmagent show total" in done.output and "llmagent approve total" in done.output
        assert not list(project.root.glob("out_*.json"))
        assert project.states() == {"total": "awaiting"}
        for executor in ("llmagent", "local"):
            again = project.snakemake("--executor", executor)
            assert again.returncode == 1
            assert "waits for approval" in again.output and "llmagent approve total" in again.output
        approved = project.llmagent("approve", "total", "--name", "Ada")
        assert approved, approved.output
        assert project.states() == {"total": "frozen"}
        done = project.run()
        assert done, done.output
        assert len(server.requests) == 2
    assert "name: Ada" in project.read("agents/total.lock.yaml")
    assert project.json("out_2.json")["wildcards"] == [["n", "2"]]


def test_locked(frozen: Project) -> None:
    (frozen / "out/total.json").unlink()
    done = frozen.snakemake("--executor", "llmagent", "--llmagent-locked")
    assert done, done.output
    (frozen / "agents/total.py").write_text("1\n")
    (frozen / "out/plain.txt").unlink()
    done = frozen.snakemake("--executor", "llmagent", "--llmagent-locked", "--forceall")
    assert done.returncode == 1
    assert "agent rule total is edited, not frozen" in done.output
    assert not (frozen / "out/plain.txt").exists()
