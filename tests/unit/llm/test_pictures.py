"""Images that go with a message: in each provider's form, and left out for models that read none."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from snakemake_executor_plugin_llmagent.protocols import Picture, Request
from tests.loopback import Reply, status
from tests.unit.llm.support import PROVIDERS, request, scripted

PIXEL = b"\x89PNG\r\n\x1a\n-not-really"


def illustrated() -> Request:
    asked = request("What does `fit.png` show?")
    picture = Picture(name="fit.png", media_type="image/png", data=PIXEL)
    return replace(asked, messages=(asked.messages[0], replace(asked.messages[1], pictures=(picture,))))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_pictures_are_sent_beside_the_text(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, ["a peak"], monkeypatch) as (model, server):
        assert model.complete(illustrated()).text == "a peak"
    (asked,) = server.requests
    assert "What does `fit.png` show?" in asked.text
    parts = asked.body["messages"][-1]["content"]
    data = base64.b64encode(PIXEL).decode()
    if provider == "openai":
        assert parts[1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    else:
        assert parts[0]["source"] == {"type": "base64", "media_type": "image/png", "data": data}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_model_that_reads_no_images_gets_the_text_alone(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script: list[Reply | str] = [status(400, "this model does not support image input"), "no peak", "again"]
    with scripted(provider, script, monkeypatch) as (model, server):
        assert [model.complete(illustrated()).text for _ in range(2)] == ["no peak", "again"]
    first, second, third = (asked.body["messages"][-1]["content"] for asked in server.requests)
    assert isinstance(first, list)
    assert second == third == "What does `fit.png` show?"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_pictures_the_content_is_plain_text(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, ["yes"], monkeypatch) as (model, server):
        model.complete(request("Is it?"))
    assert server.requests[0].body["messages"][-1]["content"] == "Is it?"
