"""Locks that the product writes fit the schema that it ships."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from snakemake_executor_plugin_llmagent.lock import Lock, read_lock, run_record, sandbox_record, write_lock
from tests.loopback import ScriptedModel
from tests.workflow.project import Project, team

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads(resources.files("snakemake_executor_plugin_llmagent").joinpath("schemas/lock-1.json").read_text())


def valid(path: Path) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "lock", sorted(ROOT.glob("example_workflow/workflow/agents/*.lock.yaml")), ids=lambda path: path.name
)
def test_locks_of_the_example(lock: Path) -> None:
    valid(lock)


EVIDENCE = Lock(
    rule="fit",
    spec_text="fit",
    spec_digest="0" * 64,
    script_digest="1" * 64,
    approval=None,
    created="2026-01-02T03:04:05+00:00",
    sandbox=sandbox_record("bwrap", 7, {"seconds": 3600.0, "memory": 8_000_000_000, "disk": None}),
    run=run_record(seconds=1.5, cpu_seconds=2.5, peak_memory=2e8, opened={"a.root": True, "b.root": False}),
)


@pytest.mark.parametrize(
    "lock",
    [
        EVIDENCE,
        replace(EVIDENCE, sandbox=sandbox_record("none", None, {}), run={}),
        replace(EVIDENCE, sandbox={}, run={}),
        replace(EVIDENCE, sandbox="staged"),  # type: ignore[arg-type]
    ],
)
def test_evidence(tmp_path: Path, lock: Lock) -> None:
    """The last one is as the first version wrote it."""
    write_lock(tmp_path / "fit.lock.yaml", lock)
    valid(tmp_path / "fit.lock.yaml")
    read = read_lock(tmp_path / "fit.lock.yaml")
    assert read is not None
    assert replace(read, sandbox=lock.sandbox) == lock
    assert isinstance(read.sandbox, dict)


@pytest.mark.parametrize(
    "change",
    [
        {"sandbox": {"backend": "bwrap", "kernel": "6.1"}}, {"sandbox": {"landlock": "7"}}, {"sandbox": 3},
        {"sandbox": {"limits": {"seconds": "1h"}}}, {"run": {"seconds": -1}}, {"run": {"opened": "a.root"}},
        {"run": {"colour": "red"}}, {"run": "well"},
    ],
)  # fmt: skip
def test_wrong_evidence(tmp_path: Path, change: dict[str, Any]) -> None:
    write_lock(tmp_path / "fit.lock.yaml", replace(EVIDENCE, **change))
    with pytest.raises(jsonschema.ValidationError):
        valid(tmp_path / "fit.lock.yaml")


def test_lock_through_its_life(project: Project) -> None:
    project.snakefile('rule r:\n    output: "out.txt"\n    agent: "write", approve="person"\n')
    with ScriptedModel(team("open(snakemake.output[0], 'w').write('x')")) as server:
        project.uses(server)
        assert not project.run()
    assert project.states() == {"r": "awaiting"}
    valid(project / "agents/r.lock.yaml")
    evidence = yaml.safe_load(project.read("agents/r.lock.yaml"))
    assert evidence["sandbox"].keys() == {"backend", "landlock", "limits"}
    assert evidence["sandbox"]["limits"]["seconds"] == 3600
    assert evidence["run"]["seconds"] > 0 and evidence["run"]["peak_memory_mb"] > 1
    assert project.llmagent("approve", "r", "--name", "A. Physicist")
    valid(project / "agents/r.lock.yaml")
    (project / "agents/r.lock.yaml").unlink()
    assert project.states() == {"r": "edited"}
    assert project.llmagent("approve", "r", "--name", "A. Physicist")
    valid(project / "agents/r.lock.yaml")
    assert project.states() == {"r": "frozen"}
