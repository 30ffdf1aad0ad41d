"""The command `llmagent` beside real Snakemake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.loopback import ScriptedModel
from tests.workflow.project import Done, Project
from tests.workflow.scripts import by_rule

SNAKEFILE = '''
module part:
    snakefile: "part/Snakefile"

use rule * from part as part_*

rule all:
    default_target: True
    input: "one.json", "two.json", "three.json", "four.json", "part.json", "last.json"

rule one:  # a comment
    input: "in.csv"
    output: "one.json"
    agent: "sum column x", max_attempts=2  # said here

rule two:
    input: "in.csv"
    output: "two.json"
    # before
    agent:
        "sum column x, "  # first
        # between
        "and y",
        max_attempts=3,

    # after

rule three:
    """agent: "not here" """
    input: "in.csv"
    output: "three.json"
    agent:
        """
        sum column x
rule not_a_rule:
        and y
        """
rule four:
    input: "in.csv"
    output: "four.json"
    agent:
        spec_file="spec.md", context=[
            "note.md",
        ]
# the last one
if True:
    rule last:
        input: "in.csv"
        output: "last.json"
        agent: "be " \\
            "last"'''
EJECTED = '''
rule one:  # a comment
    input: "in.csv"
    output: "one.json"
    script: "agents/one.py"

rule two:
    input: "in.csv"
    output: "two.json"
    # before
    script: "agents/two.py"

    # after

rule three:
    """agent: "not here" """
    input: "in.csv"
    output: "three.json"
    script: "agents/three.py"
rule four:
    input: "in.csv"
    output: "four.json"
    script: "agents/four.py"
# the last one
if True:
    rule last:
        input: "in.csv"
        output: "last.json"
        script: "agents/last.py"
'''
NAMES = ("one", "two", "three", "four", "last")


@pytest.fixture
def written(project: Project) -> Project:
    (project / "Snakefile").write_text(SNAKEFILE.lstrip("\n"))
    project.write("in.csv", "x,y\n1,2\n")
    project.write("spec.md", "sum column x\n")
    project.write("note.md", "a note\n")
    project.write(
        "part/Snakefile",
        """
        rule deep:
            input: "in.csv"
            output: "part.json"
            agent: "look deep"
    """,
    )
    return project


def decoded(done: Done) -> dict[str, object]:
    assert done, done.output
    found: dict[str, object] = json.loads(done.output)
    return found


def test_from_missing_to_ejected(written: Project, tmp_path: Path) -> None:
    project = written
    # Before anything is written.
    listed = project.llmagent("status")
    assert listed and listed.output.count("missing") == 6, listed.output
    assert project.llmagent("status", "--check").returncode == 5
    near = project.llmagent("show", "tree")
    assert near.returncode == 2 and "no agent rule 'tree'. Did you mean 'three'?" in near.output
    assert "part_deep" in near.output
    early = project.llmagent("approve", "one")
    assert early.returncode == 5 and "has no script to approve" in early.output
    early = project.llmagent("eject", "one")
    assert early.returncode == 5 and "missing" in early.output
    assert project.llmagent("eject").returncode == 2

    with ScriptedModel(by_rule()) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
    first = {name: project.read(f"{name}.json") for name in (*NAMES, "part")}

    # From elsewhere, and in a module.
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.root.mkdir()
    where = ("-s", str(project / "Snakefile"), "-d", str(project.root))
    assert elsewhere.llmagent("status", "--check", *where)
    shown = decoded(elsewhere.llmagent("show", "part_deep", "--json", *where))
    assert shown["state"] == "frozen"
    assert shown["script"] == str(project / "part/agents/deep.py")
    assert shown["file"] == str(project / "part/Snakefile")
    assert isinstance(shown["lock"], dict) and shown["lock"]["spec_text"] == "look deep"
    text = project.llmagent("show", "three")
    assert text and "and y" in text.output and "def text(path):" in text.output and "coder:" in text.output

    # Approving what a person changed.
    script = project / "agents/one.py"
    script.write_text(script.read_text() + "# changed\n")
    approved = decoded(project.llmagent("approve", "one", "--name", "Ada", "--json"))
    assert approved["before"] == "edited"
    again = project.llmagent("approve", "one")
    assert again and "frozen already: approved by Ada" in again.output
    good = script.read_text()
    script.write_text("def broken(:\n")
    refused = project.llmagent("approve", "one")
    assert refused.returncode == 2 and "not valid Python: line 1" in refused.output
    script.write_text(good)

    # A dry run changes nothing.
    dry = project.llmagent("eject", "one", "-n")
    assert dry and '+    script: "agents/one.py"' in dry.output
    assert project.read("Snakefile") == SNAKEFILE.lstrip("\n")

    for name in (*NAMES, "part_deep"):
        ejected = project.llmagent("eject", name)
        assert ejected, ejected.output
    head, _, tail = project.read("Snakefile").partition("rule one:")
    assert "rule one:" + tail == EJECTED.lstrip("\n")
    assert head == SNAKEFILE.lstrip("\n").partition("rule one:")[0]
    assert 'script: "agents/deep.py"' in project.read("part/Snakefile")
    assert project.read("Snakefile.before-eject-1") == SNAKEFILE.lstrip("\n")
    assert (project / "Snakefile.before-eject-5").exists()
    assert (project / "part/Snakefile.before-eject-1").exists()
    none = project.llmagent("status")
    assert none and "no agent rules" in none.output
    for name in first:
        (project / f"{name}.json").unlink()
    plain = project.snakemake()
    assert plain, plain.output
    assert {name: project.read(f"{name}.json") for name in first} == first


def test_errors_have_exit_codes(project: Project) -> None:
    none = project.llmagent("status")
    assert none.returncode == 2 and "Snakefile" in none.output and "Traceback" not in none.output
    project.snakefile('rule a\n    output: "a"\n')
    wrong = project.llmagent("status", "--json")
    assert wrong.returncode == 2 and "line 1" in wrong.output and "Traceback" not in wrong.output
    project.snakefile('rule a:\n    output: config["place"]\n    agent: "write"\n')
    assert project.llmagent("status").returncode == 2
    found = decoded(project.llmagent("status", "--json", "-C", "place=a.txt"))
    assert [rule["state"] for rule in found["rules"]] == ["missing"]  # type: ignore[attr-defined]
    project.write("c.yaml", "place: b.txt\n")
    assert project.llmagent("status", "--configfile", "c.yaml")
