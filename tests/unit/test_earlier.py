"""Replies of sessions that were cut off serve again, each as often and in the order as it was given."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.earlier import Earlier, request_digest
from snakemake_executor_plugin_llmagent.errors import ModelUnavailable
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Picture, Request, Stop, Usage
from snakemake_executor_plugin_llmagent.session import Session
from snakemake_executor_plugin_llmagent.witness import Witness
from tests.unit.support import Scripted

ONE = Request(role="coder", messages=(Message(role="user", content="one"),), max_tokens=10)
TWO = Request(role="coder", messages=(Message(role="user", content="two"),), max_tokens=10)
REPLY = Completion(
    text="x = 1\r\n\ty = 'é'\n", stop=Stop.LENGTH, model="m-1", request_id="r-1", usd=Decimal("0.0000123"),
    usage=Usage(input_tokens=5, output_tokens=3, cached_input_tokens=2, reasoning_tokens=1, cache_write_tokens=1),
)  # fmt: skip


def ask(root: Path, model: Scripted, *requests: Request, ended: str = "") -> Witness:
    """One session, in which a model is asked."""
    earlier = Earlier(root, "fit")
    session = Session.start(root, "fit")
    session.event("begin", rule="fit", wildcards={"sample": session.directory.name})
    witness = Witness(model, session, earlier)
    for request in requests:
        witness.complete(request)
    if ended:
        session.event(ended)
    return witness


def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    ask(tmp_path, Scripted(REPLY), ONE)
    silent = Scripted()
    witness = ask(tmp_path, silent, ONE)
    kept = Earlier(tmp_path, "fit").take(request_digest(silent.name, ONE))
    assert kept is not None
    assert kept.reply == REPLY
    assert silent.asked == []
    assert (witness.reported, witness.usd, witness.usage["output_tokens"]) == ("m-1", REPLY.usd, 3)


def test_through_several_sessions_that_got_different_far(tmp_path: Path) -> None:
    """The second one was cut off sooner than the first."""
    ask(tmp_path, Scripted("a", "b", "c"), ONE, ONE, TWO)
    ask(tmp_path, Scripted(), ONE)
    model = Scripted("d")
    ask(tmp_path, model, ONE, ONE, TWO, TWO)
    assert model.asked == [TWO]
    earlier = Earlier(tmp_path, "fit")
    assert earlier.left == 4
    said = [earlier.take(request_digest(model.name, request)) for request in (ONE, ONE, ONE, TWO, TWO)]
    assert [kept and kept.reply.text for kept in said] == ["a", "b", None, "c", "d"]


@pytest.mark.parametrize("ended", ["frozen", "exhausted"])
def test_finished_sessions_and_those_before_serve_no_more(tmp_path: Path, ended: str) -> None:
    ask(tmp_path, Scripted("a"), ONE)
    ask(tmp_path, Scripted("b"), TWO, ended=ended)
    assert Earlier(tmp_path, "fit").left == 0
    assert Earlier(tmp_path, "fit").wildcards is None
    ask(tmp_path, Scripted("c"), TWO)
    assert Earlier(tmp_path, "fit").left == 1


@pytest.mark.parametrize(
    "other",
    [
        TWO,
        replace(ONE, role="supervisor"),
        replace(ONE, max_tokens=11),
        replace(ONE, messages=(*ONE.messages, Message(role="user", content=""))),
        replace(ONE, messages=(Message(role="user", content="one "),)),
        replace(ONE, messages=(replace(ONE.messages[0], pictures=(Picture(name="p", media_type="m", data=b"1"),)),)),
    ],
)
def test_only_the_same_question(other: Request) -> None:
    assert request_digest("openai:m", other) != request_digest("openai:m", ONE)


def test_only_the_same_model() -> None:
    assert request_digest("openai:m", ONE) != request_digest("openai:n", ONE)


def test_refusals_and_failures_are_asked_again(tmp_path: Path) -> None:
    class Broken(Scripted):
        def complete(self, request: Request) -> Completion:
            raise ModelUnavailable("gone")

    ask(tmp_path, Scripted(replace(REPLY, stop=Stop.REFUSAL)), ONE)
    with pytest.raises(ModelUnavailable):
        ask(tmp_path, Broken(), ONE)
    assert Earlier(tmp_path, "fit").left == 0


def test_what_was_tampered_with_is_asked_again(tmp_path: Path) -> None:
    ask(tmp_path, Scripted("a", "b", "c", "d"), ONE, TWO, ONE, TWO)
    (folder,) = (tmp_path / "fit").iterdir()
    (folder / "calls/coder-1.reply.md").write_text("import os")
    (folder / "calls/coder-2.reply.md").unlink()
    events = folder / "events.jsonl"
    lines = events.read_text().splitlines()
    lines[6] = json.dumps({**json.loads(lines[6]), "stop": "odd"})
    events.write_text("\n".join(["{", *lines, '{"event": "fro']))
    earlier = Earlier(tmp_path, "fit")
    assert earlier.left == 1
    kept = earlier.take(request_digest("openai:scripted", TWO))
    assert kept is not None
    assert kept.reply.text == "d"


def test_the_job_of_the_last_session(tmp_path: Path) -> None:
    ask(tmp_path, Scripted("a"), ONE)
    last = ask(tmp_path, Scripted("b"), TWO)
    assert Earlier(tmp_path, "fit").wildcards == {"sample": last._session.directory.name}
    (tmp_path / "fit" / "29991231T000000").mkdir()
    assert Earlier(tmp_path, "fit").left == 2
    assert Earlier(tmp_path, "none").wildcards is None
