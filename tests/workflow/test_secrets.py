"""The providers' keys reach the provider and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.config import WITHHELD
from tests.loopback import CANARY, Asked, ScriptedModel
from tests.workflow.project import APPROVE, Project, fenced, team

ENVIRONMENT = """
import json, os
rows = open(snakemake.input[0]).read().split()
json.dump({"rows": len(rows), **os.environ}, open(snakemake.output[0], "w"))
"""
SNAKEFILE = """
rule all:
    input: "agent.json", "shell.txt", "run.txt", "script.txt"
rule agent:
    input: "in.csv"
    output: "agent.json"
    log: "logs/agent.log"
    agent: "store the environment"
rule shell:
    output: "shell.txt"
    shell: "env > {output}"
rule run:
    output: "run.txt"
    run:
        import os
        with open(output[0], "w") as handle:
            handle.write(repr(dict(os.environ)))
        shell("env >> {output}")
rule script:
    output: "script.txt"
    script: "scripts/environment.py"
"""
HIDDEN = CANARY.encode()


@pytest.fixture
def table(project: Project) -> Project:
    project.snakefile(SNAKEFILE)
    project.write("in.csv", "x,y\n1,2\n3,4\n")
    project.write("scripts/environment.py", "import os\nopen(snakemake.output[0], 'w').write(repr(dict(os.environ)))\n")
    return project


def leaks(project: Project) -> list[str]:
    """Files of the project and of its home that hold the key."""
    home = project.root.with_name(f"{project.root.name}-home")
    files = [path for folder in (project.root, home) for path in folder.rglob("*") if path.is_file()]
    assert any(".snakemake" in path.parts for path in files)
    return [str(path) for path in files if HIDDEN in path.read_bytes()]


@contextmanager
def watched_processes() -> Iterator[set[bytes]]:
    """Command lines that held the key at any time."""
    found: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    command = entry.read_bytes()
                except OSError:
                    continue
                if HIDDEN in command:
                    found.add(command)

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield found
    finally:
        over.set()
        watching.join()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_no_file_no_output_no_process_no_job_has_the_key(table: Project, provider: str) -> None:
    loud = ("--verbose", "--printshellcmds", "--show-failed-logs")
    with ScriptedModel(team(ENVIRONMENT)) as server, watched_processes() as shown:
        table.uses(server, provider)
        trial = table.run(*loud, "--llmagent-record", "recordings", model=f"{provider}:scripted")
        assert trial, trial.output
        assert any(CANARY in value for value in server.requests[0].headers.values())
        assert list((table / "recordings").iterdir())
        assert leaks(table) == []
        assert table.json("agent.json")["rows"] == 3
        if provider == "anthropic":
            assert CANARY not in trial.output and shown == set()
            return  # from here on no provider is asked
        (table / "agent.json").unlink()
        frozen = table.run(*loud, model=f"{provider}:scripted")
        assert frozen, frozen.output
        assert leaks(table) == []
        (table / "agent.json").unlink()
        plain = table.snakemake(*loud, "agent.json")
        assert plain, plain.output
        assert table.json("agent.json")["rows"] == 3
        assert leaks(table) == []
    assert shown == set()
    assert all(CANARY not in done.output for done in (trial, frozen, plain))


def test_model_that_repeats_the_key(table: Project) -> None:
    told = fenced(f"key = {CANARY!r}\nprint(key)\n{ENVIRONMENT}")
    drafts = [f"Your key is {CANARY}. {told}", fenced(ENVIRONMENT)]
    verdicts = [f'{{"verdict": "revise", "comments": "is {CANARY} your key?"}}', APPROVE]

    def answer(asked: Asked) -> str:
        turns = verdicts if asked.role == "supervisor" else drafts
        return turns.pop(0) if len(turns) > 1 else turns[0]

    with ScriptedModel(answer) as server:
        table.uses(server)
        done = table.run("agent.json", "--llmagent-record", "recordings")
        assert done, done.output
        assert [asked.role for asked in server.requests] == ["coder", "coder", "supervisor", "coder", "supervisor"]
        assert all(CANARY not in asked.text for asked in server.requests)
    assert "script.key" in done.output
    assert CANARY not in done.output
    assert leaks(table) == []


def test_refusal_that_repeats_the_key(table: Project) -> None:
    with ScriptedModel([f'{{"error": "who is {CANARY}?"}}'] * 5) as server:
        table.uses(server)
        done = table.run("agent.json", "--llmagent-max-attempts", "2")
    assert done.returncode == 1
    assert CANARY not in done.output
    assert leaks(table) == []


def test_key_file(table: Project, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"OPENAI_API_KEY={CANARY}\n")
    with ScriptedModel(team(ENVIRONMENT)) as server:
        table.uses(server)
        del table.env["OPENAI_API_KEY"]
        keys.chmod(0o644)
        refused = table.run("--llmagent-key-file", str(keys))
        assert refused.returncode == 1
        assert f"chmod 600 {keys}" in refused.output
        assert server.requests == []
        assert not (table / "shell.txt").exists(), "no job may have run"
        keys.chmod(0o600)
        done = table.run("agent.json", "--llmagent-key-file", str(keys))
        assert done, done.output
        assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert leaks(table) == []


OPAQUE = "a-text-that-only-the-grid-knows"
LOOKING = """
import json
found = {"config": snakemake.config, "params": dict(snakemake.params.items()), "first": snakemake.params[0]}
json.dump({**found, "x": open(snakemake.input[0]).read()}, open(snakemake.output[0], "w"))
"""
GUARDED = """
import os
configfile: "config.yaml"
envvars: "GRID_STRING", "TMPDIR"
config["copied"] = os.environ["OPENAI_API_KEY"]
rule agent:
    input: "in.csv"
    output: "agent.json"
    params: os.environ["GRID_STRING"], cut=config["cut"], accessKey="AKIA0", deep={"password": "hunter2", "n": [1]}
    agent: "store config and params"
rule script:
    input: "in.csv"
    output: "script.json"
    params: os.environ["GRID_STRING"], cut=config["cut"], accessKey="AKIA0", deep={"password": "hunter2", "n": [1]}
    script: "scripts/looking.py"
"""


def test_secrets_of_config_and_params(project: Project) -> None:
    """A script of a model is given a mark in their place, and so is the model; a script of a person gets them."""
    project.snakefile(GUARDED)
    project.write("in.csv", "x\n1\n")
    project.write("scripts/looking.py", LOOKING)
    project.write(
        "config.yaml", f"cut: 25\nservice:\n  api_key: AKIA0\n  url: https://me:{OPAQUE}@grid\n  max_tokens: 3\n"
    )
    project.env |= {"GRID_STRING": OPAQUE, "TMPDIR": "/tmp"}
    secrets = (CANARY, OPAQUE, "AKIA0", "hunter2")
    expected = {
        "config": {
            "cut": 25, "service": {"api_key": WITHHELD, "url": WITHHELD, "max_tokens": 3}, "copied": WITHHELD,
        },
        "params": {"cut": 25, "accessKey": WITHHELD, "deep": {"password": WITHHELD, "n": [1]}},
        "first": WITHHELD,
        "x": "x\n1\n",
    }  # fmt: skip
    with ScriptedModel(team(LOOKING)) as server:
        project.uses(server)
        trial = project.run("agent.json", "script.json")
        assert trial, trial.output
        asked = [request.text for request in server.requests]
        assert project.json("agent.json") == expected
        told = project.read("script.json")
        assert all(secret in told for secret in secrets)
        (project / "agent.json").unlink()
        frozen = project.run("agent.json")  # the key has left the environment by then
        assert frozen and project.json("agent.json") == expected, frozen.output
        assert len(asked) == len(server.requests)
    (project / "agent.json").unlink()
    plain = project.snakemake("agent.json")
    assert plain and project.json("agent.json") == expected, plain.output
    assert all(secret not in text for secret in secrets for text in asked)
    assert any("snakemake.params.accessKey = '[withheld]'" in text for text in asked)
    kept = [*(project / ".snakemake/llmagent").rglob("*"), *(project / "agents").iterdir()]
    texts = [path.read_text(errors="replace") for path in kept if path.is_file()]
    assert len(texts) > 5
    assert all(secret not in text for secret in secrets for text in texts)
