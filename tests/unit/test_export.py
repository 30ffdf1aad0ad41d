"""Sessions in the formats of others: what those formats ask for is there, and it is what happened.

The requirements were read off `inspect_ai` 0.3.285 (its pydantic models) and the profile Process Run Crate 0.5; whole
exports were validated with `inspect_ai` and `roc-validator`, which are too large to be installed for tests.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.export.crate import METADATA, Authored, write_crate
from snakemake_executor_plugin_llmagent.export.evallog import eval_log
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


def graph_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The entities of a crate; every reference leads to one, every file is there."""
    metadata = json.loads((folder / METADATA).read_text())
    graph = {entity["@id"]: entity for entity in metadata["@graph"]}
    assert len(graph) == len(metadata["@graph"]), "an entity is described twice"

    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [name for one in value for name in references(one)]
        return [value["@id"]] if isinstance(value, dict) else []

    outside = "https://w3id.org/ro/crate/1.1"
    for entity in graph.values():
        for name in (name for key, value in entity.items() if key != "@id" for name in references(value)):
            assert name in graph or name == outside, f"{name} of {entity['@id']} is not described"
        if "File" in entity["@type"]:
            assert (folder / entity["@id"].replace("%20", " ")).is_file()
    return graph


def test_a_crate(authored: Authored, tmp_path: Path) -> None:
    folder = tmp_path / "crate"
    write_crate(folder, [authored], tmp_path)
    graph = graph_of(folder)
    root = graph["./"]
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    assert root["conformsTo"]["@id"] in graph and graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
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


def test_a_crate_of_a_script_whose_session_is_gone(authored: Authored, tmp_path: Path) -> None:
    left = replace(authored, story=None, lock=replace(authored.lock, approval=None))
    write_crate(tmp_path / "crate", [left, left], tmp_path / "agents")
    graph = graph_of(tmp_path / "crate")
    assert "startTime" not in graph["#authoring-fit"] and "#approval-fit" not in graph
    # What lies outside the project has a place of its own too.
    assert "fit%20me.py" in graph and graph["#authoring-fit"]["object"]["@id"].startswith("elsewhere/")


def test_no_folder_is_written_over(authored: Authored, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        write_crate(tmp_path / "agents", [authored], tmp_path)
