"""Sessions are read back, whatever became of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.authoring import record
from snakemake_executor_plugin_llmagent.report.sessions import Story, read_session, sessions_of
from snakemake_executor_plugin_llmagent.report.usage import of_rule
from snakemake_executor_plugin_llmagent.session import Session
from tests.sample import attempt


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session of two attempts, the second accepted."""
    made = Session(tmp_path / "fit" / "20261127T033009")
    made.event("begin", rule="fit", spec="fit the mass", wildcards={"sample": "ggH"})
    shop = cast(Any, SimpleNamespace(session=made, tell=lambda *_, **__: None))
    for number in (1, 2):
        made.event("call", role="coder", model="openai:gpt", request="calls/coder-1.md")
        usage = {"input_tokens": 100, "output_tokens": 10, "cached_input_tokens": 0, "reasoning_tokens": 0}
        made.event("reply", role="coder", model="gpt-2026", stop="end", usage=usage, usd="0.25")
        record(shop, attempt(number, number == 2, 20))
    made.event("frozen", script="agents/fit.py", attempts=2)
    return made


def lines(session: Session) -> list[str]:
    return (session.directory / "events.jsonl").read_text().splitlines()


def rewrite(session: Session, text: str) -> Story:
    (session.directory / "events.jsonl").write_text(text)
    return read_session(session.directory)


def test_a_session_is_told_as_it_was(session: Session) -> None:
    story = read_session(session.directory)
    assert (story.rule, story.sentence, story.wildcards) == ("fit", "fit the mass", {"sample": "ggH"})
    assert story.frozen and not story.problems
    first, second = story.attempts
    assert (first.accepted, first.returncode, first.kind[1]) == (False, 1, "run.failed")
    assert first.findings[0].check == "run.failed" and first.log is not None and "step 3" in first.log
    assert first.script != second.script and second.script is not None
    assert second.accepted and second.approved and second.evidence["probes"]["half_events"] == "passed"
    assert [call.reported for call in story.calls] == ["gpt-2026"] * 2


def test_what_was_used_is_summed(session: Session) -> None:
    used = of_rule([read_session(session.directory)], None)
    assert (used.calls, used.input, used.output, used.usd, used.priced) == (2, 200, 20, 0.5, 2)


def test_what_was_taken_over_is_not_counted_twice(session: Session) -> None:
    session.event("reply", role="coder", model="gpt-2026", stop="end", usage={"input_tokens": 9}, usd="1", reused="x")
    story = read_session(session.directory)
    assert of_rule([story], None).usd == 0.5 and story.left[0].reused


def test_how_a_session_ended_is_told(session: Session) -> None:
    session.event("fallback", model="openai:a", instead="openai:b", because="status 503")
    session.event("budget", limit="--llmagent-budget", of="2 USD")
    session.event("exhausted", attempts=2)
    assert read_session(session.directory).asides == (
        "openai:a did not answer (status 503); openai:b took its place.",
        "The session ended at a limit: --llmagent-budget (2 USD).",
        "The session ended because no attempt was accepted.",
    )


def test_the_digest_that_a_lock_holds_is_found(session: Session) -> None:
    digest = session.digest
    session.event("later", text="after the lock was written")
    assert digest in read_session(session.directory).digests
    rewrite(session, "\n".join(lines(session)).replace("ggH", "VBF"))
    assert digest not in read_session(session.directory).digests


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_line_that_a_kill_cut_off_is_said(session: Session, cut: int) -> None:
    text = "\n".join(lines(session)[:-1])
    story = rewrite(session, text[:-cut])
    assert len(story.attempts) == 1 and not story.frozen
    assert story.problems == ("1 line of its list of events cannot be read",)
    assert len(story.left) == 1  # the call of the attempt that is lost


def test_missing_texts_are_said(session: Session) -> None:
    (session.directory / "attempt-1/script.py").unlink()
    (session.directory / "attempt-2/log.txt").unlink()
    story = read_session(session.directory)
    assert story.attempts[0].script is None and story.attempts[1].log is None
    assert story.problems == (
        "attempt-1/script.py cannot be read: No such file or directory",
        "attempt-2/log.txt cannot be read: No such file or directory",
    )


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "attempt-1/../../secret.txt", "link"])
def test_no_text_of_elsewhere_is_read(session: Session, name: str) -> None:
    (session.directory.parent / "secret.txt").write_text("secret")
    (session.directory / "link").symlink_to(session.directory.parent / "secret.txt")
    story = rewrite(session, "\n".join(lines(session)).replace("attempt-1/log.txt", name))
    assert story.attempts[0].log is None
    assert story.problems == (f"{name} lies elsewhere",)


def test_a_directory_without_events_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "fit/20261127T033009").mkdir(parents=True)
    (story,) = sessions_of(tmp_path / "fit")
    assert story.problems == ("it has no list of events",)
    assert sessions_of(tmp_path / "nothing") == ()


def test_what_later_versions_write_is_named(session: Session) -> None:
    session.event("telepathy", text="?")
    later = json.dumps({"version": 2, "time": "2026-11-27T03:30:09+00:00", "event": "begin", "rule": "fit"})
    story = rewrite(session, "\n".join([*lines(session), later]))
    assert story.problems == ("it is of another version (2), of which this one may not know everything",)
    assert len(story.attempts) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    [
        "version", "time", "role", "model", "usage", "cost", "number", "script", "log", "findings", "review", "class",
        "decisions", "evidence", "seconds", "returncode", "wildcards", "error", "compared", "stop", "text", "accepted",
    ]
)  # fmt: skip
KINDS = st.sampled_from(
    ["begin", "call", "reply", "attempt", "crosscheck", "crosscheck try", "repair", "frozen", "odd"]
)
EVENTS = st.builds(lambda kind, rest: {**rest, "event": kind}, KINDS, st.dictionaries(FIELDS, JSON, max_size=8))


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS | JSON, max_size=5))
def test_nothing_that_a_session_may_hold_is_an_error(tmp_path_factory: pytest.TempPathFactory, told: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("session")
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, told)))
    story = read_session(folder)
    assert len(story.attempts) == sum(isinstance(one, dict) and one.get("event") == "attempt" for one in told)
    of_rule([story], None)
