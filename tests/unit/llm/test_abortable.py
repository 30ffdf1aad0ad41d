from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.errors import Cancelled, ModelUnavailable
from snakemake_executor_plugin_llmagent.llm.abortable import Abortable
from snakemake_executor_plugin_llmagent.llm.forbidden import Forbidden
from snakemake_executor_plugin_llmagent.protocols import Completion, Request
from tests.loopback import hang, status
from tests.unit.llm.support import ONCE, PROVIDERS, Speaker, request, scripted


def test_it_answers_as_the_model_inside() -> None:
    model = Abortable(Speaker("a", "b"), threading.Event())
    assert model.name == "openai:speaker"
    assert [model.complete(request()).text for _ in range(2)] == ["a", "b"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_blocked_read_is_given_up(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()
    with scripted(provider, [hang()], monkeypatch) as (model, server):

        def cancel() -> None:
            while not server.requests:
                time.sleep(0.005)
            moments.append(time.monotonic())
            cancelled.set()

        moments: list[float] = []
        threading.Thread(target=cancel).start()
        with pytest.raises(Cancelled, match=f"{provider}:some/model:7b"):
            Abortable(model, cancelled).complete(request())
        assert time.monotonic() - moments[0] < 1


def test_nothing_is_asked_once_cancelled() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        Abortable(Forbidden("it must not be reached"), cancelled).complete(request())


def test_failures_of_the_model_inside_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted("openai", [status(404)], monkeypatch, ONCE) as (model, _), pytest.raises(ModelUnavailable):
        Abortable(model, threading.Event()).complete(request())


def test_a_timeout_of_the_model_inside_is_not_mistaken_for_waiting() -> None:
    class Late:
        name = "late"

        def complete(self, request: Request) -> Completion:
            raise TimeoutError("late")

    with pytest.raises(TimeoutError, match="late"):
        Abortable(Late(), threading.Event()).complete(request())


PROGRAM = """
import signal, sys, threading
from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import AgentError
from snakemake_executor_plugin_llmagent.llm import CallSettings
from snakemake_executor_plugin_llmagent.llm.abortable import Abortable
from snakemake_executor_plugin_llmagent.llm.openai import OpenAIModel
from snakemake_executor_plugin_llmagent.protocols import Message, Request
from tests.loopback import ScriptedModel, hang

import os

def script(asked):
    print("asked", flush=True)
    return hang()

cancelled = threading.Event()
signal.signal(signal.SIGINT, lambda number, frame: cancelled.set())
server = ScriptedModel(script).__enter__()
os.environ.update(server.env("openai"))
model = Abortable(OpenAIModel("m", keys=Keys(), settings=CallSettings()), cancelled)
try:
    model.complete(Request(role="coder", messages=(Message(role="user", content="hi"),), max_tokens=1))
except AgentError as error:
    sys.exit(error.exit_code)
"""


def test_an_interrupted_program_ends_at_once() -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert time.monotonic() - started < 2
