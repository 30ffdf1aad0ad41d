"""`llmagent export` after a real run."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Any

from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team


def test_export(project: Project) -> None:
    project.snakefile(
        'rule r:\n    output: "out.txt"\n    agent: "write"\nrule s:\n    output: "s.txt"\n    agent: "write"\n'
    )
    missing = project.llmagent("export", "r", "--format", "inspect")
    assert missing.returncode == 2 and "its script was not written here" in missing.output
    nothing = project.llmagent("export", "--format", "ro-crate")
    assert nothing.returncode == 2 and "nothing to put into a crate" in nothing.output
    with ScriptedModel(team("raise ValueError", "open(snakemake.output[0], 'w').write('x')")) as server:
        project.uses(server)
        done = project.run("r")
        assert done, done.output

    done = project.llmagent("export", "r", "--format", "inspect", "--output", "r.json")
    assert done and "Written: r.json" in done.output, done.output
    (sample,) = project.json("r.json")["samples"]
    models = [event for event in sample["events"] if event["event"] == "model"]
    assert [event["role"] for event in models] == ["coder", "coder", "supervisor"]
    assert all(event["output"]["choices"] and event["input"] for event in models)
    assert sample["scores"]["accepted"]["value"] == "C" and sample["metadata"]["attempts"] == 2

    done = project.llmagent("export", "--format", "ro-crate", "--json")
    assert done, done.output
    told = json.loads(done.output)
    assert told["output"] == "llmagent-crate" and told["problems"] == [
        "Rule s is left out: no script has been written yet."
    ]
    graph = graph_of(project)
    assert {"agents/r.py", "agents/r.lock.yaml", "Snakefile", "#model-scripted"} <= graph.keys()
    # The default target is the first rule, whose output is there.
    assert graph["#run"]["result"] == {"@id": "out.txt"} and "object" not in graph["#run"]
    again = project.llmagent("export", "--format", "ro-crate")
    assert again.returncode == 2 and "is there already" in again.output


def graph_of(project: Project, folder: str = "llmagent-crate") -> dict[str, Any]:
    """The entities of a crate."""
    return {entity["@id"]: entity for entity in project.json(f"{folder}/ro-crate-metadata.json")["@graph"]}


SUM = """
total = sum(map(int, open(snakemake.input.numbers).read().split()))
open(snakemake.output[0], "w").write(str(total))
"""


def test_the_run_of_a_workflow(project: Project) -> None:
    """What no rule makes is its input, what the default target asks for is its result, times are Snakemake's."""
    project.write("data/a.txt", "1 2 3\n")
    project.write("data/b c.txt", "4 5 6\n")
    project.write("config.txt", "x\n")
    project.write(
        "rules/last.smk",
        """
        rule last:
            input: "r/a.txt", "r/b c.txt", cfg="config.txt"
            output: report="sum.txt", folder=directory("plots")
            shell: "cat {input:q} > {output.report}; mkdir {output.folder}; echo 1 > {output.folder}/x.txt"
        """,
    )
    project.snakefile(
        """
        rule all:
            input: "sum.txt", "plots", "by_hand.txt", "config.txt"
        rule r:
            input: numbers="data/{n}.txt"
            output: "r/{n}.txt"
            agent: "sum the numbers"
        rule hand:
            output: "by_hand.txt"
            shell: "echo 1 > {output}"
        rule other:
            input: "data/unused.txt"
            output: "unused.txt"
            shell: "cp {input} {output}"
        include: "rules/last.smk"
        """
    )
    project.write("by_hand.txt", "no rule has made it")
    with ScriptedModel(team(SUM)) as server:
        project.uses(server)
        assert (done := project.run("sum.txt")), done.output

    done = project.llmagent("export", "--format", "ro-crate", "--run-by", "A. Physicist", "--json")
    assert done, done.output
    assert json.loads(done.output)["problems"] == ["Left out, because it has no record of Snakemake: by_hand.txt."]
    graph = graph_of(project)
    run, main = graph["#run"], graph["Snakefile"]
    assert run["instrument"] == graph["./"]["mainEntity"] == {"@id": "Snakefile"}
    assert {"@id": "https://w3id.org/ro/wfrun/workflow/0.5"} in graph["./"]["conformsTo"]
    assert [one["@id"] for one in run["object"]] == ["config.txt", "data/a.txt", "data/b%20c.txt"]
    assert [one["@id"] for one in run["result"]] == ["plots/", "sum.txt"]
    assert [one["@id"] for one in main["input"]] == ["#input-last.cfg", "#input-r.numbers"]
    assert graph["data/a.txt"]["exampleOfWork"] == {"@id": "#input-r.numbers"}
    assert main["hasPart"] == {"@id": "agents/r.py"}
    assert graph["rules/last.smk"]["programmingLanguage"] == main["programmingLanguage"]
    assert graph[run["agent"]["@id"]]["name"] == "A. Physicist"
    assert (project / "llmagent-crate/plots/x.txt").read_text() == "1\n"
    # The run began when the first job did, which had the script written, and ended when the last result was there.
    ended = int((project / "sum.txt").stat().st_mtime)
    start, end = (datetime.fromisoformat(run[name]).timestamp() for name in ("startTime", "endTime"))
    assert start <= datetime.fromisoformat(graph["#authoring-r"]["endTime"]).timestamp() <= end and end >= ended

    # A rule by itself comes without the run; so does what would be made anew.
    assert project.llmagent("export", "r", "--format", "ro-crate", "-o", "alone")
    assert "#run" not in graph_of(project, "alone") and "Snakefile" in graph_of(project, "alone")
    (project / "sum.txt").unlink()
    project.write("config.txt", "changed\n")
    os.utime(project / "config.txt", (ended + 60, ended + 60))
    done = project.llmagent("export", "--format", "ro-crate", "-o", "later")
    assert "because it is not there: sum.txt" in done.output and "made anew now: plots" in done.output, done.output
    assert "No run of the workflow is in the crate" in done.output and "#run" not in graph_of(project, "later")
    assert not (project / "later/plots").exists()


def test_blinded_data_are_not_copied(project: Project) -> None:
    project.write("data.csv", "mass,n\n100.5,1\n125.123456,31337\n150.5,2\n" + "160.5,3\n" * 5)
    project.snakefile(
        """
        rule count:
            input: "data.csv"
            output: "n.txt"
            agent: "count the events", blind={"mass": (120, 130)}
        """
    )
    count = "open(snakemake.output[0], 'w').write(str(len(open(snakemake.input[0]).readlines()) - 1))"
    with ScriptedModel(team(count)) as server:
        project.uses(server)
        assert (done := project.run()), done.output
    assert (done := project.llmagent("export", "--format", "ro-crate")), done.output
    graph = graph_of(project)
    assert graph["#run"]["object"] == {"@id": "#file-data.csv"} and graph["#run"]["result"] == {"@id": "n.txt"}
    assert "is blinded" in graph["#file-data.csv"]["description"] and "from twins" in graph["n.txt"]["description"]
    crate = [path for path in (project / "llmagent-crate").rglob("*") if path.is_file()]
    assert not any(b"125.123456" in path.read_bytes() for path in crate)
