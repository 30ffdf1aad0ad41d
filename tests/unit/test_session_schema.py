"""The schema of sessions knows what is written, and refuses what is not; their reader survives what may lie there."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.session import KINDS, Session, read_session
from tests.workflow.sessions import SCHEMA, VALIDATOR

PACKAGE = Path(__file__).parents[2] / "snakemake_executor_plugin_llmagent"
BEGIN = {
    "rule": "fit", "spec": "fit m_yy", "spec_digest": "0" * 64, "wildcards": {}, "file": "Snakefile", "line": 3,
}  # fmt: skip


def written_kinds() -> set[str]:
    """The kinds of events that the sources write: `….event("kind", …)`."""
    kinds: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "event" and node.args:
                assert isinstance(node.args[0], ast.Constant), f"{path}: the kind of an event is not a literal"
                kinds.add(str(node.args[0].value))
    return kinds


def test_every_kind_of_event_is_in_the_schema() -> None:
    described = {reference["$ref"].rpartition("/")[2] for reference in SCHEMA["oneOf"]}
    assert written_kinds() == described == KINDS
    page = (PACKAGE.parent / "docs/sessions.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []
    assert all(SCHEMA["$defs"][kind]["properties"]["event"] == {"const": kind} for kind in described)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"rule": None}, {"line": -1}, {"spec_digest": "0"}, {"colour": "red"}, {"event": "beginning"}, {"version": 2},
        {"time": "yesterday"},
    ],
)  # fmt: skip
def test_what_is_no_event(tmp_path: Path, change: dict[str, Any]) -> None:
    session = Session(tmp_path / "s")
    session.event("begin", **BEGIN)
    (event,) = read_session(session.directory).events
    VALIDATOR.validate(event)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate({**event, **change})


def test_numbers_that_json_does_not_know_are_texts(tmp_path: Path) -> None:
    session = Session(tmp_path / "s")
    worst = [{"name": "mu", "mine": math.nan, "other": -math.inf, "allowed": math.inf}]
    session.event("crosscheck", compared=1, apart=1, only_mine=[], only_other=["z"], worst=worst)
    session.event("crosscheck", compared=1, apart=0, only_mine=(), only_other=(), worst=({**worst[0], "mine": 1.5},))
    text = (session.directory / "events.jsonl").read_text()
    for line in text.splitlines():
        VALIDATOR.validate(json.loads(line, parse_constant=pytest.fail))
    first = json.loads(text.splitlines()[0])["worst"][0]
    assert (first["mine"], first["other"], first["allowed"]) == ("NaN", "-Infinity", "Infinity")


def test_a_session_is_read_back(tmp_path: Path) -> None:
    session = Session(tmp_path / "s")
    session.event("begin", **BEGIN)
    session.event("arbitration", text=session.keep("crosscheck/arbitration.md", "A is right"))
    for path in (session.directory, session.directory / "events.jsonl"):
        story = read_session(path)
        assert [event["event"] for event in story.events] == ["begin", "arbitration"] and story.problems == ()
        assert story.text(story.of("arbitration")[0]["text"]) == "A is right"
    assert [story.text(name) for name in (None, "", "no.md", "../s/events.jsonl/x", "../../etc/passwd")] == [None] * 5


def test_a_torn_line_and_lines_of_other_versions(tmp_path: Path) -> None:
    session = Session(tmp_path / "s")
    session.event("begin", **BEGIN)
    session.event("applause", hands=2)
    file = session.directory / "events.jsonl"
    with file.open("a", encoding="utf-8") as handle:
        handle.write('{"version": 2, "event": "begin"}\n\nnonsense\n[]\n{"version": 1, "time": "2026-01-02T03:04:05+0')
    story = read_session(session.directory)
    assert [event["event"] for event in story.events] == ["begin", "applause"]
    said = [problem.replace(str(file), "FILE") for problem in story.problems]
    assert said == [
        "Line 2 of FILE is of a kind that this plugin does not know: 'applause'.",
        "Line 3 of FILE has version 2, and this plugin reads version 1; a later plugin may read it.",
        "Line 5 of FILE is not JSON.",
        "Line 6 of FILE is no event.",
        "Line 7 of FILE is torn: the run ended while it was written.",
    ]


@pytest.mark.parametrize("size", range(0, 60, 7))
def test_a_session_that_ends_anywhere(tmp_path: Path, size: int) -> None:
    session = Session(tmp_path / "s")
    for number in range(3):
        session.event("begin", **{**BEGIN, "line": number})
    file = session.directory / "events.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - size])
    story = read_session(file)
    assert len(story.events) == (3 if size < 2 else 2)
    assert len(story.problems) == (0 if size == 0 else 1)


def test_no_session(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No session can be read at"):
        read_session(tmp_path)
