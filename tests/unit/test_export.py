"""Sessions in the formats of others: what those formats ask for is there, and it is what happened.

The requirements were read off `inspect_ai` 0.3.285 (its pydantic models) and the profiles Process Run Crate 0.5,
Workflow RO-Crate 1.0 and Workflow Run Crate 0.5; whole exports were validated with `inspect_ai` and `roc-validator`,
which are too large to be installed for tests.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.export.authorings import Authored
from snakemake_executor_plugin_llmagent.export.crate import METADATA, write_crate
from snakemake_executor_plugin_llmagent.export.evallog import eval_log
from snakemake_executor_plugin_llmagent.export.run import LANGUAGE, RUN, Run, RunFile, Workflow
from snakemake_executor_plugin_llmagent.lock import Approval, Lock, digest_script, write_lock
from snakemake_executor_plugin_llmagent.session import Session, Story, read_session
from snakemake_executor_plugin_llmagent.spec import Spec

USAGE = {"input_tokens": 100, "output_tokens": 20, "cached_input_tokens": 60, "reasoning_tokens": 5}
ASKED = "## system\n\nYou write.\n\n## user\n\nFit.\n\n## Further places\n\n- none"

TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}
MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["system", "user", "assistant", "tool"]}, "content": TEXT},
}
MODEL_USAGE = {
    "type": "object",
    "required": ["input_tokens", "output_tokens", "total_tokens"],
    "additionalProperties": COUNT,
}
STOPS = ["stop", "max_tokens", "model_length", "tool_calls", "content_filter", "unknown"]
OUTPUT = {
    "type": "object",
    "required": ["model", "choices"],
    "properties": {
        "model": TEXT,
        "choices": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["message", "stop_reason"],
                "properties": {
                    "message": MESSAGE,
                    "stop_reason": {"enum": STOPS},
                },
            },
        },
        "usage": MODEL_USAGE,
    },
}  # fmt: skip
SCORE = {"type": "object", "required": ["value"], "properties": {"value": {"enum": ["C", "I"]}}}


def event(kind: str, *required: str, **properties: Any) -> dict[str, Any]:
    return {
        "required": ["timestamp", "working_start", *required],
        "properties": {"event": {"const": kind}, "timestamp": TEXT, "working_start": {"type": "number"}, **properties},
    }


INSPECT = {
    "type": "object",
    "required": ["version", "status", "eval", "samples"],
    "properties": {
        "version": {"const": 2},
        "status": {"enum": ["started", "success", "cancelled", "error"]},
        "eval": {
            "type": "object",
            "required": ["created", "task", "dataset", "model", "config"],
            "properties": {"created": TEXT, "task": TEXT, "dataset": {"type": "object"}, "model": TEXT},
        },
        "stats": {"type": "object", "properties": {"model_usage": {"additionalProperties": MODEL_USAGE}}},
        "samples": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "epoch", "input", "target"],
                "properties": {
                    "epoch": {"const": 1},
                    "messages": {"type": "array", "items": MESSAGE},
                    "output": OUTPUT,
                    "scores": {"additionalProperties": SCORE},
                    "events": {
                        "type": "array",
                        "items": {
                            "oneOf": [
                                event(
                                    "model", "model", "input", "tools", "tool_choice", "config", "output",
                                    input={"type": "array", "items": MESSAGE}, output=OUTPUT,
                                    tool_choice={"const": "none"},
                                ),
                                event("score", "score", score=SCORE),
                                event("info", "data"),
                            ]
                        },
                    },
                },
            },
        },
    },
}  # fmt: skip


def begun(folder: Path) -> Session:
    session = Session(folder)
    session.event(
        "begin", rule="fit", spec="fit m_yy", spec_digest="0" * 64, wildcards={"n": "1"}, file="Snakefile", line=3
    )
    return session


def ask(session: Session, number: int, *, answered: bool = True) -> None:
    stem = f"calls/coder-{number}"
    session.event("call", role="coder", model="openai:gpt-5", request=session.keep(f"{stem}.md", ASKED))
    if answered:
        session.event(
            "reply", role="coder", model="gpt-5-2025", stop="length" if number == 1 else "end", usage=USAGE,
            request_id=None, text=session.keep(f"{stem}.reply.md", f"reply {number}"),
        )  # fmt: skip


def attempt(session: Session, number: int, *, accepted: bool) -> None:
    findings = [] if accepted else [{"check": "reply.truncated", "message": "cut off", "severity": "error"}]
    script = session.keep(f"attempt-{number}/script.py", f"x = {number}")
    facts: dict[str, Any] = {"number": number, "accepted": accepted, "script": script, "findings": findings}
    session.event(
        "attempt", log=None, ending=None, returncode=None, seconds=None, review=None, decisions=[], evidence={},
        **facts, **{"class": None},
    )  # fmt: skip


@pytest.fixture
def story(tmp_path: Path) -> Story:
    session = begun(tmp_path / "sessions/fit/20260102T030405")
    for number in (1, 2):
        ask(session, number)
        attempt(session, number, accepted=number == 2)
    session.event("frozen", script="agents/fit.py", attempts=2)
    return read_session(session.directory)


def test_a_log_of_inspect(story: Story, tmp_path: Path) -> None:
    killed = begun(tmp_path / "sessions/fit/20260102T040506")
    ask(killed, 1, answered=False)
    log = eval_log("fit", [story, read_session(killed.directory)])
    jsonschema.Draft202012Validator(INSPECT).validate(json.loads(json.dumps(log)))
    whole, broken = log["samples"]
    assert (whole["id"], whole["input"]) == ("20260102T030405", "fit m_yy")
    assert [each["event"] for each in whole["events"]] == [
        "info", "model", "score", "info", "model", "score", "info", "info",
    ]  # fmt: skip
    first, second = (each for each in whole["events"] if each["event"] == "model")
    assert [message["role"] for message in first["input"]] == ["system", "user"]
    assert first["input"][1]["content"] == "Fit.\n\n## Further places\n\n- none"
    assert first["output"]["choices"][0]["stop_reason"] == "max_tokens"
    assert first["output"]["choices"][0]["message"]["content"] == "reply 1"
    assert (second["model"], second["requested_model"]) == ("gpt-5-2025", "openai/gpt-5")
    scores = [each["score"] for each in whole["events"] if each["event"] == "score"]
    assert [score["value"] for score in scores] == ["I", "C"] and "reply.truncated: cut off" in scores[0]["explanation"]
    assert whole["events"][3]["data"]["source"] == "x = 1"
    assert log["stats"]["role_usage"]["coder"] == {
        "input_tokens": 80, "output_tokens": 40, "total_tokens": 240, "input_tokens_cache_read": 120,
        "reasoning_tokens": 10,
    }  # fmt: skip
    assert broken["scores"]["accepted"]["value"] == "I"
    assert broken["events"][1]["error"] == "no reply came" and broken["output"]["choices"] == []
    assert log["results"]["scores"][0]["metrics"]["accuracy"]["value"] == 0.5


def test_a_log_of_nothing() -> None:
    with pytest.raises(ValueError, match="no session of rule fit"):
        eval_log("fit", [])


# --- research objects -----------------------------------------------------------------------------------------------


@pytest.fixture
def authored(story: Story, tmp_path: Path) -> Authored:
    (tmp_path / "agents").mkdir()
    (tmp_path / "Snakefile").write_text("rule fit: ...\n")
    script = tmp_path / "agents/fit me.py"
    script.write_text("x = 2\n")
    lock = Lock(
        rule="fit", spec_text="fit m_yy", spec_digest="0" * 64, script_digest=digest_script("x = 2\n"),
        approval=Approval(by="person", name="A. Physicist", time="2026-01-02T03:09:05+00:00"),
        created="2026-01-02T03:05:05+00:00", attempts=2,
        models={"coder": {"asked": "openai:gpt-5", "reported": "gpt-5-2025"}},
    )  # fmt: skip
    write_lock(script.with_name("fit me.lock.yaml"), lock)
    spec = Spec(rule="fit", text="fit m_yy", source_file=str(tmp_path / "Snakefile"))
    return Authored(rule="fit", spec=spec, script=script, lock=lock, story=story)


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    return Workflow(snakefile=tmp_path / "Snakefile", included=(), snakemake="9.27.1", largest=1000)


def graph_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The entities of a crate; every reference leads to one, every file is there."""
    metadata = json.loads((folder / METADATA).read_text())
    graph = {entity["@id"]: entity for entity in metadata["@graph"]}
    assert len(graph) == len(metadata["@graph"]), "an entity is described twice"

    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [name for one in value for name in references(one)]
        return [value["@id"]] if isinstance(value, dict) else []

    outside = ("https://w3id.org/ro/crate/1.1", "https://snakemake.readthedocs.io")
    for entity in graph.values():
        for name in (name for key, value in entity.items() if key != "@id" for name in references(value)):
            assert name in graph or name in outside, f"{name} of {entity['@id']} is not described"
        if "File" in entity["@type"]:
            assert (folder / entity["@id"].replace("%20", " ")).is_file()
    return graph


WFRUN = "https://w3id.org/ro/wfrun"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"


def conforms(graph: dict[str, dict[str, Any]]) -> set[str]:
    """The profiles that a crate says it conforms to; each is described."""
    profiles = {one["@id"] for one in graph["./"]["conformsTo"]}
    assert profiles <= graph.keys() and {"@id": WORKFLOW_CRATE} in graph["ro-crate-metadata.json"]["conformsTo"]
    return profiles


def test_a_crate(authored: Authored, workflow: Workflow, tmp_path: Path) -> None:
    folder = tmp_path / "crate"
    write_crate(folder, [authored], workflow, tmp_path)
    graph = graph_of(folder)
    root = graph["./"]
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    assert conforms(graph) == {f"{WFRUN}/process/0.5", WORKFLOW_CRATE}
    assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    action = graph["#authoring-fit"]
    assert action["@type"] == "CreateAction" and {"@id": "#authoring-fit"} in root["mentions"]
    assert action["startTime"] <= action["endTime"] or action["endTime"] == authored.lock.created
    assert action["object"] == {"@id": "Snakefile"}
    assert [one["@id"] for one in action["result"]] == [
        "agents/fit%20me.py", "agents/fit%20me.lock.yaml", "sessions/fit/20260102T030405/",
    ]  # fmt: skip
    kinds = [graph[one["@id"]]["@type"] for one in action["instrument"]]
    assert kinds == ["SoftwareApplication"] * 2 and graph["#model-gpt-5-2025"]["name"] == "gpt-5-2025"
    assert graph["#approval-fit"]["agent"] == {"@id": "#person-A.-Physicist"}
    assert (folder / "sessions/fit/20260102T030405/calls/coder-1.md").read_text() == ASKED


def test_a_crate_of_a_script_whose_session_is_gone(authored: Authored, workflow: Workflow, tmp_path: Path) -> None:
    left = replace(authored, story=None, lock=replace(authored.lock, approval=None))
    write_crate(tmp_path / "crate", [left, left], workflow, tmp_path / "agents")
    graph = graph_of(tmp_path / "crate")
    assert "startTime" not in graph["#authoring-fit"] and "#approval-fit" not in graph
    # What lies outside the project has a place of its own too.
    assert "fit%20me.py" in graph and graph["#authoring-fit"]["object"]["@id"].startswith("elsewhere/")


def test_no_folder_is_written_over(authored: Authored, workflow: Workflow, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        write_crate(tmp_path / "agents", [authored], workflow, tmp_path)


# --- the workflow and its run ---------------------------------------------------------------------------------------


def taken(path: Path, *slots: str, withheld: str = "") -> RunFile:
    return RunFile(path=path.name, place=path, about="No rule makes it.", slots=slots, withheld=withheld)


def ids(value: Any) -> list[str]:
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def test_the_workflow_is_the_main_entity(authored: Authored, workflow: Workflow, tmp_path: Path) -> None:
    (tmp_path / "more.smk").write_text("x = 1\n")
    write_crate(tmp_path / "crate", [authored], replace(workflow, included=(tmp_path / "more.smk",)), tmp_path)
    graph = graph_of(tmp_path / "crate")
    main = graph[graph["./"]["mainEntity"]["@id"]]
    assert main["@type"] == ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    assert main["@id"] == "Snakefile" and main["hasPart"] == {"@id": "agents/fit%20me.py"}
    assert main["programmingLanguage"] == graph["more.smk"]["programmingLanguage"] == {"@id": LANGUAGE}
    assert (graph[LANGUAGE]["@type"], graph[LANGUAGE]["version"]) == ("ComputerLanguage", "9.27.1")
    # Nothing is known of a run, so nothing is said of one.
    assert RUN not in graph and "input" not in main and "output" not in main


def test_the_run(authored: Authored, workflow: Workflow, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text("{}")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/a.png").write_bytes(b"png")
    run = Run(
        about="made", inputs=(taken(tmp_path / "data.json", "fit", "select.data"),),
        results=(taken(tmp_path / "plots", "plot.folder"),), start="2026-01-02T03:00:00+00:00",
        end="2026-01-02T03:04:00+00:00", person="A. Physicist",
    )  # fmt: skip
    write_crate(tmp_path / "crate", [authored], replace(workflow, run=run), tmp_path)
    graph = graph_of(tmp_path / "crate")
    assert conforms(graph) == {f"{WFRUN}/process/0.5", f"{WFRUN}/workflow/0.5", WORKFLOW_CRATE}
    action, main = graph[RUN], graph["Snakefile"]
    assert action["@type"] == "CreateAction" and action["instrument"] == graph["./"]["mainEntity"]
    assert {"@id": RUN} in graph["./"]["mentions"]
    assert (action["object"], action["result"]) == ({"@id": "data.json"}, {"@id": "plots/"})
    assert (action["startTime"], action["endTime"]) == (run.start, run.end)
    # The same person has approved the script.
    assert action["agent"] == graph["#approval-fit"]["agent"] == {"@id": "#person-A.-Physicist"}
    for kind, file, parameters in (
        ("input", "data.json", ["fit", "select.data"]),
        ("output", "plots/", ["plot.folder"]),
    ):
        assert [graph[name]["name"] for name in ids(main[kind])] == parameters
        assert ids(graph[file]["exampleOfWork"]) == ids(main[kind])
        assert {graph[name]["@type"] for name in ids(main[kind])} == {"FormalParameter"}
    assert graph["#input-fit"]["additionalType"] == "File"
    assert graph["#output-plot.folder"]["additionalType"] == "Dataset"
    assert graph["data.json"]["encodingFormat"] == "application/json"
    assert (tmp_path / "crate/plots/a.png").read_bytes() == b"png"


def test_what_nobody_knows_of_a_run_is_left_out(authored: Authored, workflow: Workflow, tmp_path: Path) -> None:
    (tmp_path / "y.unheard").write_text("y")
    run = Run(about="made", inputs=(), results=(taken(tmp_path / "y.unheard", "fit"),))
    write_crate(tmp_path / "crate", [authored], replace(workflow, run=run), tmp_path)
    graph = graph_of(tmp_path / "crate")
    assert graph[RUN].keys() == {"@id", "@type", "name", "description", "instrument", "result"}
    assert "encodingFormat" not in graph["y.unheard"]


def test_files_of_which_a_crate_has_no_copy(authored: Authored, workflow: Workflow, tmp_path: Path) -> None:
    (tmp_path / "large.root").write_bytes(bytes(1001))
    (tmp_path / "just.root").write_bytes(bytes(1000))
    (tmp_path / "hidden.txt").write_text("4 leptons")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/a").symlink_to(tmp_path / "hidden.txt")
    inputs = (
        taken(tmp_path / "large.root", "fit"), taken(tmp_path / "just.root", "fit"),
        taken(tmp_path / "linked", "fit"), taken(tmp_path / "hidden.txt", "fit", withheld="it is blinded"),
    )  # fmt: skip
    run = Run(about="made", inputs=inputs, results=(taken(tmp_path / "just.root", "fit"),))
    write_crate(tmp_path / "crate", [authored], replace(workflow, run=run), tmp_path)
    graph = graph_of(tmp_path / "crate")
    assert ids(graph[RUN]["object"]) == ["#file-large.root", "just.root", "#file-linked", "#file-hidden.txt"]
    for name, why in (("large.root", "1001 bytes"), ("linked", "it holds links"), ("hidden.txt", "it is blinded")):
        told = graph[f"#file-{name}"]
        assert told["@type"] == "CreativeWork" and told["name"] == name and why in told["description"]
        assert not (tmp_path / "crate" / name).exists()
    assert b"4 leptons" not in b"".join(path.read_bytes() for path in (tmp_path / "crate").rglob("*") if path.is_file())


def test_files_from_elsewhere_say_what_they_were_called(authored: Authored, workflow: Workflow, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/x.txt").write_text("x")
    (tmp_path / "agents/link.txt").symlink_to(tmp_path / "far/x.txt")
    far = RunFile(path=str(tmp_path / "far/x.txt"), place=tmp_path / "far/x.txt", about="", slots=("fit",))
    run = Run(about="made", inputs=(far, taken(tmp_path / "agents/link.txt", "fit")), results=(far,))
    write_crate(tmp_path / "crate", [authored], replace(workflow, run=run), tmp_path / "agents")
    graph = graph_of(tmp_path / "crate")
    moved, link = ids(graph[RUN]["object"])
    assert moved.startswith("elsewhere/") and graph[moved]["alternateName"] == far.path
    assert link == "link.txt" and "alternateName" not in graph[link]
