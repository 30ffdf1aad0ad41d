"""Replies in pieces: what is heard of them while they come, and what is left of them when they break off."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from snakemake_executor_plugin_llmagent.errors import ModelUnavailable
from snakemake_executor_plugin_llmagent.llm import CallSettings
from snakemake_executor_plugin_llmagent.llm.exchange import request_digest
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Picture, Request, Stop, Usage
from tests.loopback import Pace, Reply, ScriptedModel, broken, garbage, piecewise, refuse, say, status, unfinished
from tests.unit.llm.support import PROVIDERS, request, scripted

both = pytest.mark.parametrize("provider", PROVIDERS)
TWICE = CallSettings(timeout_seconds=5, max_retries=1)
USAGE = Usage(input_tokens=7, output_tokens=3)


def streams(server: ScriptedModel) -> list[bool]:
    return [bool(asked.body.get("stream")) for asked in server.requests]


def test_who_listens_is_no_part_of_a_question() -> None:
    asked = request()
    listened = replace(asked, heard=print)
    assert listened == asked and hash(listened) == hash(asked)
    assert "heard" not in repr(listened)
    assert request_digest(listened.role, listened.messages) == request_digest(asked.role, asked.messages)


@both
def test_a_reply_is_heard_while_it_comes(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pace, come = Pace(), threading.Semaphore(0)
    heard: list[int] = []

    def listen(characters: int) -> None:
        if characters not in heard:
            heard.append(characters)
            come.release()

    reply = piecewise("x = 1\n", "y = 2", "\n", pace=pace, input=7, output=3)
    with scripted(provider, [reply], monkeypatch) as (model, _):
        answers: list[Completion] = []
        asking = threading.Thread(target=lambda: answers.append(model.complete(replace(request(), heard=listen))))
        asking.start()
        for expected in ([6], [6, 11], [6, 11, 12]):
            pace.release()
            assert come.acquire(timeout=20)
            assert heard == expected
        asking.join()
    (answer,) = answers
    assert (answer.text, answer.stop, answer.usage) == ("x = 1\ny = 2\n", Stop.END, USAGE)
    assert answer.request_id == "req-1"


def test_thoughts_are_heard_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []
    with scripted("openai", [Reply(text="x", thoughts="well...")], monkeypatch) as (model, _):
        assert model.complete(replace(request(), heard=heard.append)).text == "x"
    assert heard[0] == 7 and max(heard) == 8


@both
def test_keep_alives_are_no_text(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [Reply(text="x = 1", chatter=True)], monkeypatch) as (model, _):
        assert model.complete(request()).text == "x = 1"


def test_gateways_that_answer_at_once_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = replace(say("x", finish="length", input=7, output=3), streams=False)
    refusal = replace(refuse("no"), streams=False)
    with scripted("openai", [reply, refusal], monkeypatch) as (model, server):
        answer, other = model.complete(request()), model.complete(request())
    assert (answer.text, answer.stop, answer.usage, answer.request_id) == ("x", Stop.LENGTH, USAGE, "req-1")
    assert (other.text, other.stop) == ("no", Stop.REFUSAL)
    assert streams(server) == [True, True]


def test_a_page_is_no_stream_that_broke_off(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted("openai", [garbage()], monkeypatch, TWICE) as (model, server):
        with pytest.raises(ModelUnavailable, match="Please log in"):
            model.complete(request())
        assert len(server.requests) == 1


def test_streams_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    body = (
        ': hello\n\ndata: {"model": "m", "choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n'
        'data: {"model": "m", "choices": [{"index": 0, "delta": {"content": "y"}, "finish_reason": "stop"}], '
        '"usage": {"prompt_tokens": 7, "completion_tokens": 3}}\n\ndata: [DONE]\n\n'
    )
    with scripted("openai", [garbage(body, "text/plain")], monkeypatch) as (model, _):
        answer = model.complete(request())
    assert (answer.text, answer.model, answer.usage) == ("xy", "m", USAGE)


@pytest.mark.parametrize(
    "complaint",
    [
        "Unrecognized request argument supplied: stream_options",
        "Your organization must be verified to stream this model.",
        "streaming is not supported",
    ],
)
def test_gateways_that_know_no_streams(complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = [status(400, complaint), say("1", input=7, output=3), say("2")]
    with scripted("openai", script, monkeypatch) as (model, server):
        assert model.complete(request()).usage == USAGE
        assert model.complete(request()).text == "2"
    assert streams(server) == [True, False, False]
    assert "stream_options" not in server.requests[1].body


def test_trouble_upstream_is_no_complaint_about_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted("openai", [status(400, "upstream said no")], monkeypatch) as (model, server):
        with pytest.raises(ModelUnavailable, match="upstream said no"):
            model.complete(request())
        assert len(server.requests) == 1


def test_who_streams_without_counting_is_asked_for_whole_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [Reply(text="1", counted=False), say("2", input=7, output=3)]
    with scripted("openai", script, monkeypatch) as (model, server):
        assert model.complete(request()).usage == Usage()
        assert model.complete(request()).usage == USAGE
    assert streams(server) == [True, False]


def test_a_stream_that_breaks_off_is_asked_for_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a lost connection once, after a stream of another form from then on."""
    script = [broken(), say("1"), unfinished(), say("2"), say("3")]
    with scripted("openai", script, monkeypatch, TWICE) as (model, server):
        assert [model.complete(request()).text for _ in range(3)] == ["1", "2", "3"]
    assert streams(server) == [True, False, True, False, False]


@both
def test_a_stream_that_ends_too_early_is_no_reply(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CallSettings(timeout_seconds=5, max_retries=0)
    with (
        scripted(provider, [unfinished("half a script")], monkeypatch, settings) as (model, _),
        pytest.raises(ModelUnavailable, match="the stream ended before"),
    ):
        model.complete(request())


def test_an_error_within_a_stream_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    body = 'data: {"error": {"message": "the model is overloaded", "code": 502}}\n\n'
    with (
        scripted("openai", [garbage(body, "text/event-stream")], monkeypatch) as (model, _),
        pytest.raises(ModelUnavailable, match="the model is overloaded"),
    ):
        model.complete(request())


def test_silence_within_a_stream_is_not_taken_for_an_absent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace()
    settings = CallSettings(timeout_seconds=0.2, max_retries=0)
    with scripted("openai", [piecewise("x", "y", pace=pace)], monkeypatch, settings) as (model, _):
        pace.release()
        with pytest.raises(ModelUnavailable, match=r"silent for 0\.2 s in the middle of its reply"):
            model.complete(request())
        pace.release()


def test_pictures_and_streams_may_both_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Picture(name="fit.png", media_type="image/png", data=b"png")
    asked = Request(role="supervisor", messages=(Message(role="user", content="?", pictures=(picture,)),), max_tokens=9)
    script = [status(400, "stream is not known"), status(400, "messages[0] is no text"), say("1")]
    with scripted("openai", script, monkeypatch) as (model, server):
        assert model.complete(asked).text == "1"
    assert streams(server) == [True, False, False]
