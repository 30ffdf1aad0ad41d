from __future__ import annotations

import pytest

from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import ModelUnavailable
from snakemake_executor_plugin_llmagent.llm import CallSettings
from snakemake_executor_plugin_llmagent.llm.openai import OpenAIModel
from snakemake_executor_plugin_llmagent.protocols import Stop, Usage
from tests.loopback import Reply, ScriptedModel, garbage, say, status
from tests.unit.llm.support import ONCE, request, scripted

UNKNOWN = status(400, "Unrecognized request argument supplied: max_completion_tokens")


def limits(server: ScriptedModel) -> list[tuple[object, object]]:
    return [(asked.body.get("max_completion_tokens"), asked.body.get("max_tokens")) for asked in server.requests]


def test_gateways_that_know_max_tokens_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted("openai", [UNKNOWN, say("1"), say("2")], monkeypatch) as (model, server):
        assert [model.complete(request(max_tokens=9)).text for _ in range(2)] == ["1", "2"]
    assert limits(server) == [(9, None), (None, 9), (None, 9)]


def test_gateways_that_answer_422(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = Reply(kind="status", code=422, text="extra fields not permitted: max_completion_tokens")
    with scripted("openai", [reply, say("1")], monkeypatch) as (model, server):
        assert model.complete(request(max_tokens=9)).text == "1"
    assert limits(server) == [(9, None), (None, 9)]


def test_a_limit_that_is_too_high_is_not_taken_for_an_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    too_high = status(400, "max_completion_tokens is too large: 99")
    other = status(400, "Unsupported parameter: 'max_tokens'")
    with scripted("openai", [too_high, other, say("1")], monkeypatch) as (model, server):
        with pytest.raises(ModelUnavailable, match="is too large: 99"):
            model.complete(request(max_tokens=99))
        assert model.complete(request(max_tokens=9)).text == "1"
    assert limits(server) == [(99, None), (None, 99), (9, None)]


def test_limit_and_temperature_may_both_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CallSettings(max_retries=0, temperature=0.0)
    script = [UNKNOWN, status(400, "temperature is not supported"), say("1"), say("2")]
    with scripted("openai", script, monkeypatch, settings) as (model, server):
        assert [model.complete(request(max_tokens=9)).text for _ in range(2)] == ["1", "2"]
    assert [asked.body.get("temperature") for asked in server.requests] == [0.0, 0.0, None, None]
    assert limits(server) == [(9, None), (None, 9), (None, 9), (None, 9)]


def test_a_temperature_that_is_not_taken_does_not_hide_another_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CallSettings(max_retries=0, temperature=0.0)
    script = [status(400, "temperature is not supported"), status(400, "prompt and max_tokens exceed the context")]
    with (
        scripted("openai", script, monkeypatch, settings) as (model, _),
        pytest.raises(ModelUnavailable, match="exceed the context"),
    ):
        model.complete(request())


def test_a_server_that_keeps_complaining_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CallSettings(max_retries=0, temperature=0.0)
    complaint = status(400, "max_completion_tokens and temperature are unknown")
    with scripted("openai", [complaint, complaint], monkeypatch, settings) as (model, server):
        with pytest.raises(ModelUnavailable, match="status 400"):
            model.complete(request())
        assert len(server.requests) == 2


def test_a_content_filter_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted("openai", [say("half a", finish="content_filter")], monkeypatch) as (model, _):
        reply = model.complete(request())
    assert (reply.text, reply.stop) == ("half a", Stop.REFUSAL)


def test_replies_of_sparing_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    sparing = garbage('{"choices": [{"message": {"content": "x"}}]}', "application/json")
    with scripted("openai", [sparing], monkeypatch) as (model, _):
        reply = model.complete(request())
    assert (reply.text, reply.stop, reply.model, reply.usage) == ("x", Stop.END, "some/model:7b", Usage())


def test_an_error_dressed_as_a_reply_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    dressed = garbage('{"error": {"message": "upstream is down", "code": 502}}', "application/json")
    with (
        scripted("openai", [dressed], monkeypatch) as (model, _),
        pytest.raises(ModelUnavailable, match="upstream is down"),
    ):
        model.complete(request())


def test_gateways_need_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedModel(["x"]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.env("openai")["OPENAI_BASE_URL"])
        model = OpenAIModel("qwen3:32b", keys=Keys(), settings=ONCE)
        assert model.complete(request()).text == "x"
        model.close()
