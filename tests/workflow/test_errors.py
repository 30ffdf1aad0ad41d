"""What is wrong in a Snakefile is said before any job runs: once, with file and line, and without a traceback."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from tests.workflow.project import Project
from tests.workflow.repeat import repeat

RULE = """\
rule other:
    output: "other.txt"
    shell: "touch {output}"

rule total:
    input: "in.csv"
    output: "out.json"
    agent:
        AGENT

rule last:
    output: "last.txt"
    shell: "touch {output}"
"""
LINE = 8
CASES = {
    "unknown option": ('"sum x", max_attempt=3', "no option `max_attempt`. Did you mean `max_attempts`?"),
    "unlike any option": ('"sum x", zzz=3', "no option `zzz`. The options are: spec_file, model"),
    "number": ("3", "has to be a string, not int"),
    "list": ('["sum x", "and y"]', "has to be a string, not list"),
    "function": ("lambda wildcards: 'sum x'", "has to be a string, not function"),
    "empty": ('"  "', "what the rule is to do is empty"),
    "two sentences": ('"sum x",\n        "and y"', "takes one sentence, but 2 are given"),
    "both": ('"sum x", spec_file="spec.md"', "a sentence or `spec_file`, not both"),
    "missing spec file": ('spec_file="specs/none.md"', "specs/none.md cannot be read"),
    "empty spec file": ('spec_file="empty.md"', "empty.md is empty"),
    "spec file of wrong type": ("spec_file=3", "`spec_file` has to be a path, not int"),
    "only options": ("max_attempts=3", "needs a sentence"),
    "attempts as text": ('"sum x", max_attempts="five"', "`max_attempts` has to be a whole number"),
    "no attempts": ('"sum x", max_attempts=0', "`max_attempts` has to be a whole number"),
    "negative time": ('"sum x", timeout=-1', "`timeout` has to be a time in seconds, not -1"),
    "time as text": ('"sum x", timeout="1h"', "`timeout` has to be a time in seconds, not '1h'"),
    "infinite time": ('"sum x", timeout=float("nan")', "`timeout` has to be a time in seconds, not nan"),
    "supervision": ('"sum x", supervision="ful"', "one of review, full, none, not 'ful'. Did you mean 'full'?"),
    "supervision as list": ('"sum x", supervision=["full"]', "`supervision` has to be one of review, full, none"),
    "approve": ('"sum x", approve=True', "`approve` has to be one of checks, person, not True"),
    "model": ('"sum x", model="gpt-5"', "`model` has to be of the form openai:NAME"),
    "provider": ('"sum x", coder="opnai:gpt-5"', "not 'opnai:gpt-5'. Did you mean 'openai'?"),
    "model as number": ('"sum x", supervisor=5', "`supervisor` has to be a string of the form"),
    "planned": ('"sum x", skills=["fits"]', "`skills` is not available in this version"),
    "budget as number": ('"sum x", budget=2', '`budget` has to say of what: 2 may be dollars or tokens. Write "2 USD"'),
    "budget in euros": ('"sum x", budget="2 EUR"', "`budget` is counted in USD or tokens, not in 'EUR'"),
    "blind": ('"sum x", blind="signal region"', "'signal region' is not of the form 'path.py:function'"),
    "probe": ('"sum x", probes=["half_event"]', "which is no probe. Did you mean half_events?"),
    "context": ('"sum x", context=["none.md"]', "none.md cannot be read"),
    "context as number": ('"sum x", context=[3]', "`context` has to be a list of strings; 3 is none"),
    "binary context": ('"sum x", context=["binary.dat"]', "binary.dat cannot be read as text"),
    "check": ('"sum x", checks="checks/none.py:f"', "checks/none.py: No such file or directory"),
    "check without function": ('"sum x", checks=["checks/own.py:g"]', "has no function 'g'"),
    "check of wrong form": ('"sum x", checks=["positive"]', "`checks` has 'positive', which is no check"),
    "broken check": ('"sum x", checks=["checks/broken.py:f"]', "not valid Python"),
    "checks as number": ('"sum x", checks=3', "`checks` has to be a list, not int"),
    "no sandbox": ('"sum x", sandbox="none"', "Rule total: a rule cannot switch the sandbox off. Only the person who"),
    "unknown sandbox": (
        '"sum x", sandbox="landlok"',
        "`sandbox` has to be one of auto, bwrap, bwrap-hostproc, landlock",
    ),
    "sandbox as flag": ('"sum x", sandbox=False', "`sandbox` has to be one of auto, bwrap"),
    "readable as number": ('"sum x", readable=3', "`readable` has to be a list of paths, not int"),
    "readable with number": ('"sum x", readable=["a", 3]', "`readable` has to be a list of paths; 3 is none"),
    "everything readable": ('"sum x", readable=["/"]', "`readable` must not hold /: your working directory lies there"),
    "project readable": ('"sum x", readable="."', "your working directory lies there, and a script could read all of"),
    "beside readable": ('"sum x", readable=[".."]', "your working directory lies there"),
    "home readable": ('"sum x", readable=["in.csv", "~"]', "your home directory lies there"),
    "processes readable": ('"sum x", readable="/proc/self"', "it shows other processes and devices, not data"),
}


def prepared(project: Project, name: str) -> Path:
    folder = project.root / re.sub(r"\W", "_", name)
    for file, text in {
        "in.csv": "x\n1\n", "empty.md": "\n", "spec.md": "sum x", "checks/own.py": "def f(job):\n    return []\n",
        "checks/broken.py": "def f(:\n",
    }.items():  # fmt: skip
        project.write(f"{folder.name}/{file}", text)
    (folder / "binary.dat").write_bytes(b"\xff\xfe\x00\x80")
    return folder


def unclear(status: int, output: str, file: str, line: int, text: str) -> list[str]:
    """What is wrong with a message: it has to be one error, with its place, and nothing else."""
    # Snakemake's parser names a line above the one it stumbles over, also for its own keywords.
    lines = r"\d+" if "SyntaxError" in output else line
    wanted = {
        "exit status": status == 1,
        "text": text in " ".join(output.split()),
        "once": output.count("Error") == 1,
        "place": re.search(rf"{re.escape(file)}\"?, line ({lines})\b", output),
        "traceback": "Traceback" not in output and not re.search(r"File \".*\.py\"", output),
        "early": "Building DAG" not in output,
    }
    return [f"{name}: {text}\n{output}" for name, met in wanted.items() if not met]


def test_wrong_declarations(project: Project) -> None:
    runs = []
    for name, (agent, _) in CASES.items():
        folder = prepared(project, name)
        (folder / "Snakefile").write_text(RULE.replace("AGENT", agent))
        runs.append((folder, ["--cores", "1"]))
    wrong = []
    for (name, (_, text)), (status, output) in zip(CASES.items(), repeat(runs, project.environment()), strict=True):
        wrong += unclear(status, output, str(project.root / re.sub(r"\W", "_", name) / "Snakefile"), LINE, text)
    assert not wrong, "\n".join(wrong)
    assert not list(project.root.rglob("*.txt"))


RULES = {
    "no output": (
        """
        rule total:
            input: "in.csv"

            agent: "sum x"
        """, 4, "has `agent:` but no `output:`"),
    "pipe": (
        """
        rule total:
            output: pipe("out.json")
            agent: "sum x"
        rule reader:
            input: "out.json"
            output: "end.json"
            shell: "cat {input} > {output}"
        """, 3, "an agent rule cannot write pipe() outputs"),
    "service": (
        """
        rule total:
            output: service("out.json")
            agent: "sum x"
        """, 3, "an agent rule cannot write service() outputs"),
    "update": (
        """
        rule total:
            output: update("out.json")
            agent: "sum x"
        """, 3, "an agent rule cannot write update() outputs"),
    "no name": (
        """
        rule:
            output: "out.json"
            agent: "sum x"
        """, 3, "An agent rule needs a name"),
    "shell, then agent": (
        """
        rule total:
            output: "out.json"
            shell: "touch {output}"
            agent: "sum x"
        """, 4, "Multiple run/shell/script/notebook/wrapper/template_engine/cwl/agent keywords in rule total."),
    "agent, then shell": (
        """
        rule total:
            output: "out.json"
            agent: "sum x"
            shell: "touch {output}"
        """, 4, "Multiple run/shell/script/notebook/wrapper/template_engine/cwl/agent keywords in rule total."),
    "agent, then output": (
        """
        rule total:
            agent: "sum x"
            output: "out.json"
        """, 3, "No rule keywords allowed after run/shell/script/notebook/wrapper/template_engine/cwl/agent in rule"),
    "nothing": (
        """
        rule total:
            output: "out.json"
            agent:

        rule last:
            output: "last.txt"
        """, 3, "Say what the rule is to do after `agent:`"),
    "nothing at the end": (
        """
        rule total:
            output: "out.json"
            agent:
        """, 3, "Say what the rule is to do after `agent:`"),
    "no colon": (
        """
        rule total:
            output: "out.json"
            agent "sum x"
        """, 3, "Colon expected after keyword agent"),
    "twice": (
        """
        rule total:
            output: "out.json"
            agent: "sum x"
            agent: "sum y"
        """, 4, "keywords in rule total."),
    "unknown name": (
        """
        rule total:
            output: "out.json"
            agent: f"sum {nowhere}"
        """, 3, "name 'nowhere' is not defined"),
    "with": (
        """
        rule total:
            output: "out.json"
            agent: "sum x"
        use rule total as more with:
            agent: "sum y"
        """, 5, "Unexpected keyword agent in rule definition"),
}  # fmt: skip


def test_wrong_rules(project: Project) -> None:
    runs = []
    for name, (snakefile, _, _) in RULES.items():
        folder = prepared(project, name)
        (folder / "Snakefile").write_text(dedent(snakefile).lstrip("\n"))
        runs.append((folder, ["--cores", "1"]))
    wrong = []
    for (name, (_, line, text)), (status, output) in zip(
        RULES.items(), repeat(runs, project.environment()), strict=True
    ):
        wrong += unclear(status, output, str(project.root / re.sub(r"\W", "_", name) / "Snakefile"), line, text)
    assert not wrong, "\n".join(wrong)
    assert not list(project.root.rglob("*.txt"))


WRONG_PART = """
rule total:
    input: "in.csv"
    output: "out.json"
    agent: "sum x", attempts=3
"""
WITHIN = {
    "included": 'include: "parts/part.smk"\n',
    "module": 'module part:\n    snakefile: "parts/part.smk"\n\nuse rule * from part as part_*\n',
    "module of included": 'include: "parts/more.smk"\n',
}


def test_wrong_in_another_file(project: Project) -> None:
    for name, snakefile in WITHIN.items():
        folder = prepared(project, name)
        (folder / "Snakefile").write_text(snakefile)
        project.write(f"{folder.name}/parts/part.smk", WRONG_PART)
        project.write(f"{folder.name}/parts/more.smk", WITHIN["module"].replace("parts/", ""))
    folders = [project.root / re.sub(r"\W", "_", name) for name in WITHIN]
    for folder, (status, output) in zip(
        folders, repeat([(folder, ["-n"]) for folder in folders], project.environment()), strict=True
    ):
        text = "no option `attempts`. Did you mean `max_attempts`?"
        assert not unclear(status, output, str(folder / "parts/part.smk"), 4, text)


def test_llmagent_says_the_same(project: Project) -> None:
    project.snakefile(RULE.replace("AGENT", CASES["unknown option"][0]))
    done = project.llmagent("status")
    assert done.returncode == 2
    assert not unclear(1, done.output, str(project / "Snakefile"), LINE, "Did you mean `max_attempts`?")


@pytest.mark.parametrize(
    "setting",
    [
        "--llmagent-model=gpt-5", "--llmagent-timeout=-1", "--llmagent-max-attempts=0", "--llmagent-readable=/",
        "--llmagent-readable=.", "--llmagent-budget=2", "--llmagent-monthly-budget=2 EUR",
    ],
)  # fmt: skip
def test_wrong_settings(project: Project, setting: str) -> None:
    project.snakefile(RULE.replace("AGENT", '"sum x"'))
    ((status, output),) = repeat(
        [(project.root, ["--cores", "1", "--executor", "llmagent", setting])], project.environment()
    )
    assert status == 1
    assert "Settings of --executor llmagent" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("LLMAGENT_SANDBOX", "nonne", "Environment variable LLMAGENT_SANDBOX: `sandbox` has to be one of auto"),
        ("LLMAGENT_READABLE", "calib", "Environment variable LLMAGENT_READABLE: `readable` has to be absolute here"),
    ],
)
def test_wrong_variables(project: Project, variable: str, value: str, text: str) -> None:
    project.snakefile(RULE.replace("AGENT", '"sum x"'))
    project.env[variable] = value
    done = project.snakemake(cores=1)
    assert not unclear(done.returncode, done.output, str(project / "Snakefile"), LINE, text)
    assert not list(project.root.glob("*.txt"))
    project.snakefile("rule other:\n    output: 'other.txt'\n    shell: 'touch {output}'\n")
    assert project.snakemake(cores=1), "a workflow without agent rules has nothing to do with it"


def test_unknown_sandbox_on_the_command_line(project: Project) -> None:
    project.snakefile(RULE.replace("AGENT", '"sum x"'))
    done = project.snakemake("--executor", "llmagent", "--llmagent-sandbox", "nonne")
    assert done.returncode != 0 and "invalid choice: 'nonne'" in done.output and "Traceback" not in done.output


def test_valid_snakefile_in_every_mode(project: Project) -> None:
    project.snakefile(RULE.replace("AGENT", '"""sum x\n        and {more} % of y"""'))
    project.write("in.csv", "x\n1\n")
    modes = [
        ("-n",), ("--lint",), ("--list",), ("total", "--summary"), ("--print-compilation",), ("total", "-n", "-p"),
        ("total", "--dag"), ("total", "--rulegraph"), ("total", "--list-changes", "params"), ("total", "--touch", "-n"),
        ("total", "--executor", "llmagent", "-n"), ("total", "--filegraph"), ("total", "--d3dag"),
        ("total", "-n", "--quiet", "all"), ("total", "--detailed-summary"),
    ]  # fmt: skip
    answers = repeat([(project.root, [*mode, "--cores", "1"]) for mode in modes], project.environment())
    for mode, (status, output) in zip(modes, answers, strict=True):
        print(mode, status, output)
        assert "Traceback" not in output, (mode, output)
        assert status == (1 if mode == ("--lint",) else 0), (mode, output)
    assert not (project / "agents").exists()
    outputs = dict(zip(modes, (output for _, output in answers), strict=True))
    assert "total" in outputs["--list",]
    assert "@workflow.agent" in outputs["--print-compilation",]
