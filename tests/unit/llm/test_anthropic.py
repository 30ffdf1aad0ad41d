from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import ModelUnavailable
from snakemake_executor_plugin_llmagent.llm import CallSettings
from snakemake_executor_plugin_llmagent.llm.anthropic import AnthropicModel
from snakemake_executor_plugin_llmagent.protocols import Message, Request, Stop
from tests.loopback import CANARY, Reply, ScriptedModel, garbage, say, status
from tests.unit.llm.support import ONCE, request, scripted

TWICE = CallSettings(max_retries=1)


def stream(*events: Mapping[str, object]) -> Reply:
    return garbage("".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events), "text/event-stream")


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 7,
            "cache_read_input_tokens": 5,
            "output_tokens": 1,
        },
    },
}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
STOP = {"type": "message_stop"}


def test_several_system_messages_become_one(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = (
        Message(role="system", content="One."),
        Message(role="user", content="Hi."),
        Message(role="system", content="Two."),
    )
    with scripted("anthropic", ["x"], monkeypatch) as (model, server):
        model.complete(Request(role="coder", messages=messages, max_tokens=10))
    assert server.requests[0].body["system"] == "One.\n\nTwo."
    assert [message["role"] for message in server.requests[0].body["messages"]] == ["user"]


def test_input_counts_all_of_it_as_with_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}
    with scripted("anthropic", [stream(START, delta, STOP)], monkeypatch) as (model, _):
        usage = model.complete(request()).usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens) == (22, 5, 3)


def test_a_full_context_is_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted("anthropic", [say("x", finish="model_context_window_exceeded")], monkeypatch) as (model, _):
        assert model.complete(request()).stop is Stop.LENGTH


def test_thoughts_are_not_text_and_a_silent_refusal_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    thought = {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "hm"}}
    details = {"type": "refusal", "category": None, "explanation": "It is not physics."}
    delta = {
        "type": "message_delta",
        "delta": {"stop_reason": "refusal", "stop_details": details},
        "usage": {"output_tokens": 3},
    }
    with scripted("anthropic", [stream(START, thought, delta, STOP)], monkeypatch) as (model, _):
        reply = model.complete(request())
    assert (reply.text, reply.stop) == ("It is not physics.", Stop.REFUSAL)


def test_an_overload_within_a_stream_is_tried_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted("anthropic", [stream(START, OVERLOADED), say("x")], monkeypatch, TWICE) as (model, _):
        assert model.complete(request()).text == "x"
    with scripted("anthropic", [stream(START, OVERLOADED)] * 3, monkeypatch, TWICE) as (model, server):
        with pytest.raises(ModelUnavailable, match=r"broke off or .*: Overloaded"):
            model.complete(request())
        assert len(server.requests) == 2


def test_a_stream_that_just_ends_is_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        scripted("anthropic", [stream(START)], monkeypatch) as (model, _),
        pytest.raises(ModelUnavailable, match="ended before the message did"),
    ):
        model.complete(request())


def test_what_ails_the_temperature_ails_the_retry_too(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CallSettings(temperature=0.0, max_retries=0)
    script = [status(400, "temperature is deprecated"), status(404), say("x")]
    with scripted("anthropic", script, monkeypatch, settings) as (model, server):
        with pytest.raises(ModelUnavailable, match="status 404"):
            model.complete(request())
        assert model.complete(request()).text == "x"
    assert [asked.body.get("temperature") for asked in server.requests] == [0.0, None, 0.0]


def test_a_token_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedModel([say("x"), status(401)]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        model = AnthropicModel("m", keys=Keys(values={"ANTHROPIC_AUTH_TOKEN": CANARY}), settings=ONCE)
        assert model.complete(request()).text == "x"
        with pytest.raises(ModelUnavailable, match="Check the key in ANTHROPIC_AUTH_TOKEN"):
            model.complete(request())
        model.close()
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
