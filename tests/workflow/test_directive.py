"""The keyword `agent:` in all its spellings, in included files, in modules, and inherited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import ScriptedModel
from tests.workflow.project import Project
from tests.workflow.scripts import by_rule, rule_of


def rules(project: Project, *arguments: str) -> dict[str, dict[str, Any]]:
    """What `llmagent status` says about each rule."""
    done = project.llmagent("status", "--json", *arguments)
    assert done, done.output
    return {rule["rule"]: rule for rule in json.loads(done.output)["rules"]}


def lives(project: Project, server: ScriptedModel, *outputs: str) -> None:
    """Authored, then frozen under plain Snakemake: the same files both times, then nothing to do."""
    project.uses(server)
    authored = project.run()
    assert authored, authored.output
    first = {output: contents(project / output) for output in outputs}
    calls = len(server.requests)
    for name in server.env("openai"):
        del project.env[name]
    for output in outputs:
        remove(project / output)
    frozen = project.snakemake()
    assert frozen, frozen.output
    assert {output: contents(project / output) for output in outputs} == first
    again = project.snakemake("--executor", "llmagent")
    assert again and "Nothing to be done" in again.output, again.output
    assert len(server.requests) == calls


def contents(path: Path) -> Any:
    return {member.name: member.read_text() for member in path.iterdir()} if path.is_dir() else path.read_text()


def remove(path: Path) -> None:
    path.chmod(0o755 if path.is_dir() else 0o644)
    if path.is_dir():
        for member in path.iterdir():
            member.unlink()
        path.rmdir()
    else:
        path.unlink()


SPELLINGS = '''
configfile: "config.yaml"

include: "rules/sub/more.smk"

rule all:
    default_target: True
    input:
        expand("out/{name}.json", name=["one", "joined", "triple", "formatted", "filed", "chosen", "more", "raw"])

rule one:
    input: "in.csv"
    output: "out/one.json"
    agent: "sum column x"

rule joined:
    input: "in.csv"
    output: "out/joined.json"
    agent:
        "sum column "  # the one that matters
        "x, "
        # and then
        'and "say" so'

rule triple:
    """Not the sentence."""
    input: "in.csv"
    output: "out/triple.json"
    log: "logs/triple.log"
    agent:
        """
        Sum column x.

        Mind {braces}, 100 % of them, and \\\\alpha.
        """

rule formatted:
    input: "in.csv"
    output: "out/formatted.json"
    agent: f"sum column {config['column']}", max_attempts=2, timeout=60.5, supervision="none"

rule filed:
    input: "in.csv"
    output: "out/filed.json"
    agent:
        spec_file="specs/total.md",
        context=["notes/a.md", "notes/b.txt"],
        checks=["checks/own.py:large_enough", "checks/own.py:named"],

rule chosen:
    input: "in.csv"
    output: "out/chosen.json"
    agent:
        "sum column x" + " " * 2 + "twice",
        coder="openai:one-coder",
        supervisor="openai:one-supervisor",
        supervision="full",
        max_attempts=1,
        approve="checks",
        timeout=30,

rule raw:
    input: "in.csv"
    output: "out/raw.json"
    agent: r"sum \\alpha" if config["column"] else "nothing"
'''
CHECKS = """
from pathlib import Path


def large_enough(job):
    return [] if Path(job.output[0]).stat().st_size > 10 else ["too small"]


def named(job):
    if job.rule != "filed":
        return ["wrong rule"]
    return []
"""


def test_spellings(project: Project) -> None:
    project.snakefile(SPELLINGS)
    project.write("config.yaml", "column: y\n")
    project.write("in.csv", "x,y\n1,2\n")
    project.write("specs/total.md", "Sum column x.\nAll of it.\n")
    project.write("notes/a.md", "a note on x\n")
    project.write("notes/b.txt", "a note on y\n")
    project.write("checks/own.py", CHECKS)
    project.write("rules/sub/specs/more.md", "count rows\n")
    project.write("rules/sub/notes.md", "a note of the included file\n")
    project.write(
        "rules/sub/more.smk",
        """
        rule more:
            input: "in.csv"
            output: "out/more.json"
            agent: spec_file="specs/more.md", context="notes.md"
    """,
    )
    found = rules(project)
    assert {name: rule["spec"] for name, rule in found.items()} == {
        "one": "sum column x",
        "joined": 'sum column x, and "say" so',
        "triple": "\n        Sum column x.\n\n        Mind {braces}, 100 % of them, and \\alpha.\n        ",
        "formatted": "sum column y",
        "filed": "Sum column x.\nAll of it.\n",
        "chosen": "sum column x  twice",
        "raw": r"sum \alpha",
        "more": "count rows\n",
    }
    for name, rule in found.items():
        line = Path(rule["file"]).read_text().splitlines()[rule["line"] - 1]
        assert line.strip().startswith("agent:"), (name, line)
        assert rule["state"] == "missing"
    assert found["more"]["script"] == str(project / "rules/sub/agents/more.py")
    assert found["one"]["script"] == str(project / "agents/one.py")
    with ScriptedModel(by_rule()) as server:
        lives(project, server, *(f"out/{name}.json" for name in found))
        asked: dict[str, list[Any]] = {}
        for request in server.requests:
            asked.setdefault(rule_of(request), []).append(request)
        assert [request.role for request in asked["formatted"]] == ["coder"]
        assert {request.model for request in asked["chosen"]} == {"one-coder", "one-supervisor"}
        assert len(asked["chosen"]) == 3
        assert "a note on x" in asked["filed"][0].text
        assert "a note on y" in asked["filed"][0].text
        assert "a note of the included file" in asked["more"][0].text
        assert "Mind {braces}, 100 % of them" in asked["triple"][0].text
    seen = project.json("out/filed.json")
    assert seen["params"] == []
    assert seen["output"] == [[None, "out/filed.json"]]
    assert "check.checks/own.py:named: passed" in project.read("agents/filed.lock.yaml")


CONFINED = """
import json, os
os.environ["LLMAGENT_SANDBOX"] = os.environ["LLMAGENT_READABLE"] = "none"

include: "rules/part.smk"

rule open:
    output: "open.json"
    agent: "write"

rule chosen:
    output: "chosen.json"
    agent: "write", sandbox="landlock", readable=["calib/", "/opt/../opt/data"]

use rule chosen as inherited with:
    output: "inherited.json"

from snakemake_executor_plugin_llmagent.config import Options, chosen_sandbox
rules_of = {rule.name: rule.ruleinfo.agent for rule in workflow.rules}
with open("seen.json", "w") as handle:
    json.dump({
        name: [chosen_sandbox(agent.options, Options()), agent.options.readable, agent.spec.digest]
        for name, agent in rules_of.items()
    }, handle)
"""


def test_what_confines_rules(project: Project) -> None:
    """What a Snakefile puts into the environment comes too late; what the person put there holds for other rules."""
    project.snakefile(CONFINED)
    project.write(
        "rules/part.smk",
        """
        rule part:
            output: "part.json"
            agent: "write", sandbox="auto", readable="calib"
    """,
    )
    assert project.snakemake("--list")
    seen = project.json("seen.json")
    digests = {name: values.pop() for name, values in seen.items()}
    calib = str(project / "calib")
    assert seen == {
        "open": ["auto", []],
        "part": ["auto", [str(project / "rules/calib")]],
        "chosen": ["landlock", [calib, "/opt/data"]],
        "inherited": ["landlock", [calib, "/opt/data"]],
    }
    assert len(set(digests.values())) == 1, "none of it is what the rule asks for"
    project.env |= {"LLMAGENT_SANDBOX": "none", "LLMAGENT_READABLE": "/opt/more"}
    assert project.snakemake("--list")
    assert {name: values[0] for name, values in project.json("seen.json").items()} == {
        "open": "none", "part": "auto", "chosen": "landlock", "inherited": "landlock",
    }  # fmt: skip


SETTINGS = """
import json
from snakemake_executor_plugin_llmagent.host.settings import run_options

def note(path):
    chosen = run_options(workflow.executor_settings)
    with open(path, "w") as handle:
        json.dump([chosen.sandbox, chosen.readable], handle)

onstart:
    note("start.json")

rule r:
    output: "r.json"
    agent: "write"

rule child:
    output: "child.json"
    run:
        note(output[0])
"""
GIVEN = {
    "command line": "--llmagent-sandbox landlock --llmagent-readable calib /opt/x/../data --executor llmagent",
    "profile": "executor: llmagent\nllmagent-sandbox: landlock\nllmagent-readable: [calib, /opt/data]\n",
    "one in a profile": "executor: llmagent\nllmagent-sandbox: landlock\nllmagent-readable: calib\n",
    "environment": "",
}


@pytest.mark.parametrize("how", GIVEN)
def test_settings_of_a_run(project: Project, how: str) -> None:
    """They are relative to where Snakemake was started, and hold in Snakemakes that this one starts too."""
    project.snakefile(SETTINGS, "elsewhere/Snakefile")
    calib = str(project / "calib")
    arguments = GIVEN[how].split()
    if "profile" in how:
        project.write("profile/config.yaml", GIVEN[how])
        arguments = ["--profile", "profile"]
    elif how == "environment":
        project.env |= {"LLMAGENT_SANDBOX": "landlock", "LLMAGENT_READABLE": f"{calib}:/opt/data"}
    done = project.snakemake("child.json", "--directory", "elsewhere", "-s", "elsewhere/Snakefile", *arguments)
    assert done, done.output
    expected = ["landlock", [calib] if how == "one in a profile" else [calib, "/opt/data"]]
    assert project.json("elsewhere/start.json") == expected
    assert project.json("elsewhere/child.json") == expected


MODULES = """
module one:
    snakefile: "parts/one/Snakefile"
    config: {"word": "from the main file"}
    prefix: "first"

use rule * from one as one_*

use rule scale from one as one_scale with:
    params: factor=7

use rule scale from one as one_table with:
    output: table="table.csv"

module other:
    snakefile: "parts/one/Snakefile"
    config: {"word": "another"}
    replace_prefix: {"data/": "second/data/", "out/": "second/out/"}

use rule scale, pick from other as other_*

rule own:
    input: "first/data/in.csv"
    output: "own/{kind}.json"
    params: note="n", deep={"a": [1, 2]}
    wildcard_constraints: kind="a|b"
    agent: "describe the table"

use rule own as own_too with:
    input: "second/data/in.csv"
    output: "own/{kind}_too.json"

use rule own as own_other with:
    output: "own_other/{kind}.csv"
    params: note="m", more=None

rule all:
    default_target: True
    input:
        "first/out/scaled.json", "first/out/nested.json", "first/out/picked.json", "table.csv",
        "second/out/scaled.json", "second/out/picked.json",
        "own/a.json", "own/b.json", "own/a_too.json", "own_other/a.csv"
"""
PART = """
include: "more.smk"

module nested:
    snakefile: "nested/Snakefile"
    config: config

use rule * from nested as nested_*

rule scale:
    input: data="data/in.csv"
    output: scaled="out/scaled.json"
    params: factor=2, word=config["word"]
    agent: "scale column x by the factor"
"""


def test_modules(project: Project) -> None:
    project.snakefile(MODULES)
    project.write("parts/one/Snakefile", PART)
    project.write(
        "parts/one/more.smk",
        """
        rule pick:
            input: "data/in.csv"
            output: "out/picked.json"
            agent: "pick column x"
    """,
    )
    project.write(
        "parts/one/nested/Snakefile",
        """
        rule deep:
            input: "data/in.csv"
            output: "out/nested.json"
            params: config["word"]
            agent: "look deep"
    """,
    )
    project.write("first/data/in.csv", "x\n1\n")
    project.write("second/data/in.csv", "x\n2\n")
    found = {name: Path(rule["script"]).relative_to(project.root) for name, rule in rules(project).items()}
    parts = Path("parts/one/agents")
    assert found == {
        "one_pick": parts / "pick.py",
        "one_nested_deep": Path("parts/one/nested/agents/deep.py"),
        "one_scale": parts / "scale.py",
        "one_table": parts / "one_table.py",
        "other_pick": parts / "pick.py",
        "other_scale": parts / "scale.py",
        "own": Path("agents/own.py"),
        "own_too": Path("agents/own.py"),
        "own_other": Path("agents/own_other.py"),
    }
    outputs = [
        "first/out/scaled.json", "first/out/nested.json", "first/out/picked.json", "table.csv", "own/a.json",
        "second/out/scaled.json", "second/out/picked.json", "own/b.json", "own/a_too.json", "own_other/a.csv",
    ]  # fmt: skip
    with ScriptedModel(by_rule()) as server:
        lives(project, server, *outputs)
        coders = [rule_of(request) for request in server.requests if request.role == "coder"]
        assert len(coders) == 6
    assert sorted(path.name for path in (project / "parts/one/agents").glob("*.py")) == [
        "one_table.py", "pick.py", "scale.py",
    ]  # fmt: skip
    seen = project.json("first/out/scaled.json")
    assert seen["params"] == [["factor", "7"], ["word", "'from the main file'"]]
    assert seen["config"] == {"word": "from the main file"}
    assert seen["input"] == [["data", "first/data/in.csv"]]
    assert project.json("second/out/scaled.json")["params"] == [["factor", "2"], ["word", "'another'"]]
    assert project.json("first/out/nested.json")["params"] == [[None, "'from the main file'"]]
    assert json.loads(project.read("own_other/a.csv"))["params"] == [
        ["note", "'m'"], ["deep", "{'a': [1, 2]}"], ["more", "None"],
    ]  # fmt: skip
    assert project.json("own/a_too.json")["contents"] == ["x\n2\n"]


def test_each_script_has_one_spec(project: Project) -> None:
    """Rules of one name from several files of a folder, and a rule named as another file's, do not share a script."""
    project.snakefile("""
        module first:
            snakefile: "rules/first.smk"
        module second:
            snakefile: "rules/second.smk"
        module third:
            snakefile: "beside.smk"

        use rule * from first as first_*
        use rule * from second as second_*
        use rule * from third as third_*

        rule fit:
            output: "fit.json"
            agent: "fit"

        use rule fit as plot with:
            output: "fit.yaml"
    """)
    for name in ("first", "second"):
        project.write(
            f"rules/{name}.smk",
            f"""
            rule fit:
                output: "{name}.json"
                agent: "fit {name}"

            rule same:
                output: "{name}_same.json"
                agent: "the same"
        """,
        )
    project.write(
        "beside.smk",
        """
        rule plot:
            output: "plot.json"
            agent: "plot"
    """,
    )
    found = rules(project)
    scripts = {name: Path(rule["script"]).relative_to(project.root) for name, rule in found.items()}
    digests: dict[Path, set[str]] = {}
    for name, rule in found.items():
        digests.setdefault(scripts[name], set()).add(rule["spec_digest"])
    assert all(len(held) == 1 for held in digests.values()), scripts
    assert scripts["first_fit"] == Path("rules/agents/fit.py")
    assert scripts["second_fit"] == Path("rules/agents/second_fit.py")
    assert scripts["first_same"] == scripts["second_same"] == Path("rules/agents/same.py")
    assert scripts["third_plot"] == Path("agents/plot.py")
    assert scripts["plot"].name.startswith("plot-")
