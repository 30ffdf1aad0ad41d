from __future__ import annotations

import anthropic
import openai
import pytest

from tests.loopback import CANARY, Asked, ScriptedModel, garbage, guess_role, say, status


def chat(server: ScriptedModel) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.env("openai")["OPENAI_BASE_URL"], api_key=CANARY, max_retries=0)


def test_openai_streams() -> None:
    with ScriptedModel([say("x = 1\n", finish="length", output=3)]) as server, chat(server) as client:
        chunks = list(
            client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": "hi"}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    finish = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    usage = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
    assert (text, finish, usage) == ("x = 1\n", ["length"], [3])


def test_anthropic_without_a_stream() -> None:
    with (
        ScriptedModel([say("x = 1\n", cached=1, input=3)]) as server,
        anthropic.Anthropic(base_url=server.url, api_key=CANARY, max_retries=0) as client,
    ):
        message = client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    assert "".join(block.text for block in message.content if block.type == "text") == "x = 1\n"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (2, 1)


def test_a_script_that_ends_is_an_error_that_nobody_repeats() -> None:
    with (
        ScriptedModel([]) as server,
        chat(server) as client,
        pytest.raises(openai.BadRequestError, match="script of this test has ended"),
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])


def test_a_script_may_be_a_function_that_knows_who_asks() -> None:
    def script(asked: Asked) -> str:
        return asked.role

    with ScriptedModel(script) as server, chat(server) as client:
        said = [
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
            for text in ("Fit.", "Give your verdict.")
        ]
    assert [reply.choices[0].message.content for reply in said] == ["coder", "supervisor"]
    assert [asked.role for asked in server.requests] == ["coder", "supervisor"]
    assert guess_role(server.requests[1]) == "supervisor"
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


def test_other_bodies_are_sent_as_they_are() -> None:
    with ScriptedModel([garbage("no"), status(418)]) as server, chat(server) as client:
        assert client.models.list().data == []
        raw = client.chat.completions.with_raw_response.create(model="m", messages=[])
        assert raw.content == b"no"
        with pytest.raises(openai.APIStatusError, match="418"):
            client.chat.completions.create(model="m", messages=[])


def test_providers_are_two() -> None:
    with ScriptedModel() as server, pytest.raises(ValueError, match="mistral"):
        server.env("mistral")
