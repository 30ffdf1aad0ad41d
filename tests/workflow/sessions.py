"""The sessions that real runs leave behind, beside the schema that the product ships for them."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import jsonschema

from snakemake_executor_plugin_llmagent.session import read_session

SCHEMA = json.loads(
    resources.files("snakemake_executor_plugin_llmagent").joinpath("schemas/session-1.json").read_text()
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def assert_sessions_fit(root: Path) -> set[str]:
    """Prove that all events of all sessions below a folder fit the schema; returns their kinds."""
    kinds: set[str] = set()
    for file in root.rglob(".snakemake/llmagent/sessions/*/*/events.jsonl"):
        story = read_session(file)
        for problem in story.problems:
            assert "is torn" in problem, problem  # as kill -9 leaves it
        for event in story.events:
            VALIDATOR.validate(event)
            kinds.add(event["event"])
            for name in (event.get(key) for key in ("script", "log", "request", "text") if event["event"] != "frozen"):
                assert name is None or story.text(name) is not None, f"{name} of {event} is missing"
    return kinds
