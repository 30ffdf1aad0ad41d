"""`llmagent export` after a real run."""

from __future__ import annotations

import json

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
    names = {entity["@id"] for entity in project.json("llmagent-crate/ro-crate-metadata.json")["@graph"]}
    assert {"agents/r.py", "agents/r.lock.yaml", "Snakefile", "#model-scripted"} <= names
    again = project.llmagent("export", "--format", "ro-crate")
    assert again.returncode == 2 and "is there already" in again.output
