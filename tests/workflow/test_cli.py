"""The command `llmagent` beside real Snakemake."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from unittest.mock import Mock

import pytest

from snakemake_executor_plugin_llmagent import cli
from snakemake_executor_plugin_llmagent.config import Options
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.eject import ejected
from tests.loopback import ScriptedModel
from tests.unit.support import a_spec
from tests.workflow.project import LLMAGENT, Done, Project
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


def frozen(project: Project, *names: str) -> None:
    """Put approved scripts in place by hand."""
    for name in names:
        project.write(f"agents/{name}.py", "open(snakemake.output[0], 'w').write('1')\n")


def test_rules_that_share_a_sentence_are_not_ejected_one_by_one(project: Project) -> None:
    project.snakefile("""
        rule a:
            output: "a.txt"
            agent: "write"
        use rule a as b with:
            output: "b.csv"
        use rule a as c with:
            output: "c.txt"
    """)
    frozen(project, "a", "b")
    before = project.read("Snakefile")
    for name, other in (("a", "b"), ("b", "a, c")):
        refused = project.llmagent("eject", name)
        assert refused.returncode == 2 and f"shares its `agent:` with {other} (" in refused.output, refused.output
    assert project.read("Snakefile") == before
    project.snakefile(before.replace("b.csv", "b.txt"))  # now all three have one script
    assert project.llmagent("eject", "a")
    assert project.snakemake("a.txt", "b.txt", "c.txt")


def test_ejecting_changes_nothing_else(project: Project, tmp_path: Path) -> None:
    real = tmp_path / 'it\'s "my" {project} é'
    project.root.rename(real)
    project.root.symlink_to(real)
    text = (
        "# a\x0cb\x1cc\x85d\u2028e\r\n"
        "rule a:\r\n"
        '    output: "a.txt"\r\n'
        "    agent:\r\n"
        '        "write \x85 \u2028",\r\n'
        "        max_attempts=3\r\n"
        "# \x0c the last\n"
    )
    place = project / "shared"
    place.mkdir()
    shared = place / "rules {1}.smk"
    shared.write_bytes(text.encode())
    shared.chmod(0o664)
    (project / "Snakefile").symlink_to(shared)
    project.write("shared/agents/a.py", "open(snakemake.output[0], 'w').write('1')\n")
    done = project.llmagent("eject", "a")
    assert done, done.output
    assert (project / "Snakefile").is_symlink()
    assert shared.stat().st_mode & 0o777 == 0o664
    lines = shared.read_bytes().decode().split("\n")
    assert lines[:3] + lines[4:] == text.split("\n")[:3] + text.split("\n")[6:]
    assert lines[3].startswith('    script: "') and lines[3].endswith('a.py"\r')
    ran = project.snakemake("a.txt")
    assert ran, ran.output
    assert project.read("a.txt") == "1"


def test_paths_are_quoted(project: Project) -> None:
    folder = project / 'a "b" {c} \\n'
    folder.mkdir()
    (folder / "Snakefile").write_text('rule a:\n    output: "a.txt"\n    agent: "write"\n')
    inner = project / "inner"
    inner.mkdir()
    (inner / "Snakefile").symlink_to(folder / "Snakefile")
    (folder / "agents").mkdir()
    (folder / "agents" / "a.py").write_text("open(snakemake.output[0], 'w').write('1')\n")
    done = project.llmagent("eject", "a", "-s", "inner/Snakefile")
    assert done, done.output
    ran = project.snakemake("-s", "inner/Snakefile", "a.txt")
    assert ran, ran.output


def test_a_keyword_that_is_not_where_it_was_is_left_alone(project: Project) -> None:
    snakefile = project.snakefile('rule a:\n    output: "a.txt"\n    agent: "write"\n')
    spec = a_spec(source_file=str(snakefile), line=3)
    rule = AgentRule(name="a", spec=spec, options=Options(), script=project / "agents/a.py")
    assert ejected(rule, [rule])[2].endswith('    script: "agents/a.py"\n')
    for text, message in (
        ('rule a:\n    output: "a.txt"\n    threads: agent\n', "does not begin with `agent:`"),
        ("rule a:\n\n\n", "the file changed meanwhile"),
    ):
        snakefile.write_text(text)
        with pytest.raises(ConfigError, match=message):
            ejected(rule, [rule])


def test_what_a_snakefile_prints_is_not_part_of_the_answer(project: Project) -> None:
    project.snakefile("""
        print("noise")
        shell("echo more noise")
        rule a:
            output: "a.txt"
            agent: "write"
    """)
    command = (*LLMAGENT, "status", "--json")
    done = subprocess.run(command, cwd=project.root, env=project.environment(), capture_output=True, check=True)
    assert [rule["rule"] for rule in json.loads(done.stdout)["rules"]] == ["a"]
    assert b"noise" in done.stderr and b"more noise" in done.stderr


def test_a_lock_that_cannot_be_written(project: Project) -> None:
    project.snakefile('rule a:\n    output: "a.txt"\n    agent: "write"\n')
    frozen(project, "a")
    refuses = "import os, sys; os.fsync = lambda fd: (_ for _ in ()).throw(PermissionError(13, 'Permission denied'))"
    code = f"{refuses}; from snakemake_executor_plugin_llmagent.cli import main; sys.exit(main())"
    done = subprocess.run(
        (LLMAGENT[0], "-c", code, "approve", "a", "--name", "Ada"), cwd=project.root, env=project.environment(),
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "llmagent: Permission denied\n")
    assert [path.name for path in (project / "agents").iterdir()] == ["a.py"]


def test_errors_of_the_system_and_interrupts_are_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, status, text in (
        (PermissionError(13, "Permission denied", "agents/a.lock.yaml"), 1, "Permission denied: agents/a.lock.yaml"),
        (OSError("odd"), 1, "odd"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ):
        monkeypatch.setattr(cli, "_main", Mock(side_effect=error))
        assert cli.main(["status"]) == status
        assert capsys.readouterr().err == f"llmagent: {text}\n"


def test_the_name_is_that_of_the_projects_git(project: Project) -> None:
    project.snakefile('rule a:\n    output: "a.txt"\n    agent: "write"\n')
    frozen(project, "a")
    subprocess.run(["git", "init", "-q", str(project.root)], check=True)
    subprocess.run(["git", "-C", str(project.root), "config", "user.name", "Ada of the project"], check=True)
    elsewhere = Project(project.root.parent / "elsewhere")
    elsewhere.root.mkdir()
    done = elsewhere.llmagent("approve", "a", "-s", str(project / "Snakefile"))
    assert done and "approved by Ada of the project" in done.output, done.output
