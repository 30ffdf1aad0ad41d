"""Every feature of Snakemake's rules in agent rules: authored, frozen under plain Snakemake, and then at rest."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import stat

import pytest

from tests.loopback import ScriptedModel
from tests.workflow.project import Project
from tests.workflow.scripts import by_rule, rule_of
from tests.workflow.test_directive import lives

FILES = """
from pathlib import Path

pathvars:
    place="placed"

def late(wildcards):
    return f"in_{wildcards.kind}.csv"

def several(wildcards):
    return {"first": "in_a.csv", "others": ["in_b.csv", "in_a.csv"]}

rule all:
    input:
        expand("out/computed_{kind}.json", kind=["a", "b"]),
        "out/unpacked.json", "out/folder", "out/kept.json", "out/plot.txt", "out/two.json", "out/flag.done",
        "out/flag.json", "out/odd.json", "placed/vars.json", "out/last.json", "out/gathered.json", "out/same.b.json"

rule computed:
    input: table=late, more=lambda wildcards: ["in_a.csv"] if wildcards.kind == "b" else []
    output: "out/computed_{kind}.json"
    params:
        kind=lambda wildcards: wildcards.kind.upper(),
        size=lambda wildcards, input: len(input),
        target=lambda wildcards, output: str(output[0]),
    agent: "look at what a function says"

rule unpacked:
    input: unpack(several), extra=expand("in_{kind}.csv", kind=["b"])
    output: "out/unpacked.json"
    agent: "look at many inputs"

rule folder:
    input: "in_a.csv"
    output: directory("out/folder")
    agent: "fill a folder"

rule passing:
    input: "out/folder"
    output: temp("out/passing.json")
    agent: "read a folder"

rule kept:
    input: "out/passing.json"
    output: protected("out/kept.json")
    agent: "keep it"

rule plot:
    input: "in_a.csv"
    output: report("out/plot.txt", category="Plots"), ensure("out/full.txt", non_empty=True)
    agent: "draw"

rule two:
    input: "in_a.csv"
    output: *multiext("out/two", ".json", ".txt"), side=["out/side1.txt", "out/side2.txt"]
    agent: "write four files"

rule flag:
    input: "in_a.csv"
    output: touch("out/flag.done"), also="out/flag.json"
    agent: "write one file; the other is touched"

rule odd:
    input: "in_a.csv"
    output: "out/odd.json"
    params:
        "positional {kind}".format(kind="x"),
        nothing=None,
        path=Path("some/where"),
        deep={"a": [1, 2.5, None], "b": {"c": (1, "two")}},
        quotes="it's \\"quoted\\" \\\\ and\\nbroken",
        many=["a", "b"],
        number=float("inf"),
        flag=True,
    agent: "look at odd params"

rule vars:
    input: "in_a.csv"
    output: "<place>/vars.json"
    agent: "use a path variable"

rule fallback:
    input: "in_b.csv"
    output: "out/{name}.json"
    wildcard_constraints: name="last"
    agent: "never used"

rule last:
    input: "in_a.csv"
    output: "out/last.json"
    agent: "win"

ruleorder: last > fallback

checkpoint scatter:
    input: "in_a.csv"
    output: directory("out/scattered")
    agent: "write parts"

def parts(wildcards):
    folder = checkpoints.scatter.get().output[0]
    return expand(folder + "/{part}.txt", part=glob_wildcards(folder + "/{part}.txt").part)

rule gathered:
    input: parts
    output: "out/gathered.json"
    agent: "gather parts"

rule same:
    input: "in_{kind}.csv"
    output: "out/same.{kind}.json"
    agent: "a wildcard beside the suffix"
"""
SCATTER = """
from pathlib import Path
folder = Path(snakemake.output[0])
folder.mkdir(exist_ok=True)
for number, line in enumerate(Path(snakemake.input[0]).read_text().split()):
    (folder / f"{number}.txt").write_text(line)
"""


def test_files(project: Project) -> None:
    project.snakefile(FILES)
    project.write("in_a.csv", "x\n1\n")
    project.write("in_b.csv", "x\n2\n")
    outputs = [
        "out/computed_a.json", "out/computed_b.json", "out/unpacked.json", "out/folder", "out/kept.json",
        "out/plot.txt", "out/full.txt", "out/two.json", "out/two.txt", "out/side1.txt", "out/side2.txt",
        "out/flag.json", "out/odd.json", "placed/vars.json", "out/last.json", "out/gathered.json", "out/same.b.json",
    ]  # fmt: skip
    with ScriptedModel(by_rule({"scatter": SCATTER})) as server:
        lives(project, server, *outputs)
        coders = [rule_of(request) for request in server.requests if request.role == "coder"]
    assert len(coders) == len(set(coders)) == 14
    assert "fallback" not in coders
    assert not (project / "out/passing.json").exists()
    assert not (project / "out/kept.json").stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    assert (project / "out/flag.done").read_text() == ""
    assert project.json("out/computed_b.json")["params"] == [
        ["kind", "'B'"], ["size", "2"], ["target", "'out/computed_b.json'"],
    ]  # fmt: skip
    assert project.json("out/unpacked.json")["input"] == [
        ["first", "in_a.csv"], ["others", "in_b.csv in_a.csv"], ["extra", "in_b.csv"],
    ]  # fmt: skip
    odd = dict(map(tuple, project.json("out/odd.json")["params"]))
    assert odd == {
        None: "'positional x'",
        "nothing": "None",
        "path": "PosixPath('some/where')",
        "deep": "{'a': [1, 2.5, None], 'b': {'c': (1, 'two')}}",
        "quotes": repr('it\'s "quoted" \\ and\nbroken'),
        "many": "['a', 'b']",
        "number": "inf",
        "flag": "True",
    }
    made = project.snakemake("--report", "report.html")
    assert made, made.output
    page = re.sub(r"<[^>]*>", "", project.read("report.html"))
    assert "def text(path):" in page
    summary = project.snakemake("--summary")
    assert summary and "update pending" not in summary.output, summary.output


JOBS = """
localrules: quick

onsuccess: print("all went well")

rule all:
    input:
        "out/quick.json", "out/shadow_minimal.json", "out/shadow_shallow.json", "out/measured.json",
        "out/tuned.json", "out/grouped.json", "out/deployed.json"

rule quick:
    input: "in.csv"
    output: "out/quick.json"
    message: "Reading {input} for {rule}"
    priority: 50
    localrule: True
    agent: "be quick"

rule shadow_minimal:
    input: "in.csv"
    output: "out/shadow_minimal.json"
    log: "logs/shadow_minimal.log"
    shadow: "minimal"
    agent: "work in the shadow"

rule shadow_shallow:
    input: "in.csv"
    output: "out/shadow_shallow.json"
    shadow: "shallow"
    params: word="w"
    agent: "work in the shadow of links"

rule measured:
    input: "in.csv"
    output: "out/measured.json"
    benchmark: repeat("benchmarks/measured.tsv", 2)
    agent: "be measured"

rule tuned:
    input: "in.csv"
    output: "out/tuned.json"
    threads: 2
    retries: 2
    resources: mem_mb=100, runtime=5, odd=lambda wildcards, attempt: f"text {attempt}"
    log: first="logs/tuned.log", second="logs/tuned_too.log"
    agent: "be tuned"

rule grouped:
    input: "out/tuned.json", "out/quick.json"
    output: "out/grouped.json"
    group: "together"
    handover: False
    agent: "be in a group"

rule deployed:
    input: "in.csv"
    output: "out/deployed.json"
    conda: "envs/none.yaml"
    container: "docker://nowhere/none"
    agent: "be deployed"
"""


def test_jobs(project: Project) -> None:
    project.snakefile(JOBS)
    project.write("in.csv", "x\n1\n")
    project.write("envs/none.yaml", "channels: [nodefaults]\ndependencies: [python]\n")
    names = ["quick", "shadow_minimal", "shadow_shallow", "measured", "tuned", "grouped", "deployed"]
    with ScriptedModel(by_rule()) as server:
        lives(project, server, *(f"out/{name}.json" for name in names))
        coders = [rule_of(request) for request in server.requests if request.role == "coder"]
    assert sorted(coders) == sorted(names)
    assert len(project.read("benchmarks/measured.tsv").splitlines()) == 3
    tuned = project.json("out/tuned.json")
    assert tuned["threads"] == 2
    assert tuned["resources"] == {"runtime": 5, "odd": "text 1"}
    for log in ("shadow_minimal", "tuned", "tuned_too"):
        assert project.read(f"logs/{log}.log") == "seen\n"
    assert {path.name for path in project.root.iterdir()} == {
        "Snakefile", "in.csv", "envs", "out", "logs", "benchmarks", "agents", ".snakemake",
    }  # fmt: skip


CACHED = """
rule one:
    output: "one.json"
    cache: True
    agent: "write one"

rule two:
    output: "two.json"
    cache: True
    agent: "write two"
"""


def test_cache_between_workflows(project: Project) -> None:
    store = project.root.parent / "store"
    store.mkdir()
    project.env["SNAKEMAKE_OUTPUT_CACHE"] = str(store)
    project.snakefile(CACHED)
    with ScriptedModel(by_rule()) as server:
        project.uses(server)
        done = project.run("one.json", "two.json", "--cache")
        assert done, done.output
        assert len(server.requests) == 4
    assert len(list(store.iterdir())) == 2
    assert {project.json(f"{name}.json")["rule"] for name in ("one", "two")} == {"one", "two"}

    # Another workflow with the same scripts takes the outputs and runs nothing.
    other = Project(project.root.parent / "other", {"SNAKEMAKE_OUTPUT_CACHE": str(store)})
    shutil.copytree(project / "agents", other / "agents")
    other.snakefile(CACHED)
    for executor in ("local", "llmagent"):
        done = other.snakemake("one.json", "two.json", "--executor", executor, "--cache")
        assert done, done.output
        for name in ("one", "two"):
            assert (other / f"{name}.json").is_symlink()
            assert other.json(f"{name}.json")["rule"] == name
            (other / f"{name}.json").unlink()

    # Another script makes another entry.
    (other / "agents/one.py").write_text(other.read("agents/one.py") + "# by hand\n")
    done = other.snakemake("one.json", "two.json", "--executor", "llmagent", "--cache")
    assert done, done.output
    assert len(list(store.iterdir())) == 3


@pytest.mark.skipif(
    importlib.util.find_spec("snakemake_executor_plugin_cluster_generic") is None,
    reason="needs snakemake-executor-plugin-cluster-generic",
)
def test_frozen_under_another_executor(project: Project) -> None:
    project.snakefile("""
        rule all:
            input: "out/a.json", "out/b.json"

        rule one:
            input: "in.csv"
            output: "out/{kind}.json"
            params: depth=1
            retries: 1
            agent: "sum column x"
    """)
    project.write("in.csv", "x\n1\n")
    project.env["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    with ScriptedModel(by_rule()) as server:
        project.uses(server)
        done = project.run()
        assert done, done.output
    first = {kind: project.read(f"out/{kind}.json") for kind in "ab"}
    for kind in first:
        (project / f"out/{kind}.json").unlink()
    submit = ("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "bash", "--jobs", "1")
    done = project.snakemake(*submit)
    assert done, done.output
    for kind, text in first.items():
        assert project.json(f"out/{kind}.json")["contents"] == json.loads(text)["contents"]
    (project / "agents/one.py").unlink()
    (project / "out/a.json").unlink()
    done = project.snakemake(*submit)
    assert done.returncode == 1
