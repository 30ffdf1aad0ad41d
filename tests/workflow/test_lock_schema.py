"""Locks that the product writes fit the schema that it ships."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads(resources.files("snakemake_executor_plugin_llmagent").joinpath("schemas/lock-1.json").read_text())


def valid(path: Path) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("lock", sorted(ROOT.glob("example_workflow/agents/*.lock.yaml")), ids=lambda path: path.name)
def test_locks_of_the_example(lock: Path) -> None:
    valid(lock)


def test_lock_through_its_life(project: Project) -> None:
    project.snakefile('rule r:\n    output: "out.txt"\n    agent: "write", approve="person"\n')
    with ScriptedModel(team("open(snakemake.output[0], 'w').write('x')")) as server:
        project.uses(server)
        assert not project.run()
    assert project.states() == {"r": "awaiting"}
    valid(project / "agents/r.lock.yaml")
    assert project.llmagent("approve", "r", "--name", "A. Physicist")
    valid(project / "agents/r.lock.yaml")
    (project / "agents/r.lock.yaml").unlink()
    assert project.states() == {"r": "edited"}
    assert project.llmagent("approve", "r", "--name", "A. Physicist")
    valid(project / "agents/r.lock.yaml")
    assert project.states() == {"r": "frozen"}
