"""What the tests of models share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from snakemake_executor_plugin_llmagent.config import read_keys
from snakemake_executor_plugin_llmagent.llm import CallSettings, open_model
from snakemake_executor_plugin_llmagent.protocols import Completion, Message, Model, Request, Stop
from tests.loopback import Script, ScriptedModel

PROVIDERS = ("openai", "anthropic")
ONCE = CallSettings(timeout_seconds=5, max_retries=0)


def request(*texts: str, role: str = "coder", max_tokens: int = 1000) -> Request:
    """A system message and others that take turns, the person first."""
    messages = [Message(role="system", content="You write scripts.")]
    for number, text in enumerate(texts or ("Fit m_yy.",)):
        messages.append(Message(role="assistant" if number % 2 else "user", content=text))
    return Request(role=role, messages=tuple(messages), max_tokens=max_tokens)


class Speaker:
    """A model without a server, which says one text after the other."""

    name = "openai:speaker"

    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)

    def complete(self, request: Request) -> Completion:
        return Completion(text=self._texts.pop(0), stop=Stop.END, model="speaker-1")


@contextlib.contextmanager
def scripted(
    provider: str, script: Script, monkeypatch: pytest.MonkeyPatch, settings: CallSettings = ONCE
) -> Iterator[tuple[Model, ScriptedModel]]:
    """A provider's real SDK, led to a scripted server."""
    with ScriptedModel(script) as server:
        for name, value in server.env(provider).items():
            monkeypatch.setenv(name, value)
        model = open_model(f"{provider}:some/model:7b", keys=read_keys(os.environ), settings=settings)
        with contextlib.closing(model):  # type: ignore[type-var]  # (both providers can be closed)
            yield model, server
