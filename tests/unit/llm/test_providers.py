"""Both providers' real SDKs against a scripted server: what holds for either."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from types import ModuleType

import anthropic
import openai
import pytest

from snakemake_executor_plugin_llmagent.config import Keys, read_keys
from snakemake_executor_plugin_llmagent.errors import ModelOutage, ModelUnavailable
from snakemake_executor_plugin_llmagent.llm import CallSettings, open_model
from snakemake_executor_plugin_llmagent.llm.service import Service
from snakemake_executor_plugin_llmagent.protocols import Message, Request, Stop, Usage
from tests.loopback import (
    CANARY,
    Reply,
    Script,
    broken,
    drop,
    empty,
    garbage,
    hang,
    no_choices,
    refuse,
    say,
    status,
    truncated,
)
from tests.unit.llm.support import ONCE, PROVIDERS, request, scripted

both = pytest.mark.parametrize("provider", PROVIDERS)
RETRYING = CallSettings(timeout_seconds=0.4, max_retries=2)


def failure(
    provider: str, script: Script, monkeypatch: pytest.MonkeyPatch, settings: CallSettings = ONCE
) -> tuple[str, int]:
    """The text of the failure that a script leads to, proved to hide the key, and how many requests came."""
    with scripted(provider, script, monkeypatch, settings) as (model, server):
        with pytest.raises(ModelUnavailable) as caught:
            model.complete(request())
        assert_nothing_leaks(caught.value)
        assert str(caught.value).startswith(f"{provider}:some/model:7b gave no answer: ")
        return str(caught.value), len(server.requests)


def assert_nothing_leaks(error: BaseException) -> None:
    assert error.__cause__ is None
    assert error.__context__ is None
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    report.stack[:] = [frame for frame in report.stack if "/tests/" not in frame.filename]
    assert report.stack
    assert CANARY not in "".join(report.format()) + repr(error) + repr(error.args) + repr(vars(error))


@both
def test_a_reply_is_read(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = [say("x = 1 é ∫ 😀\n", input=100, output=20, cached=60, reasoning=5)]
    with scripted(provider, script, monkeypatch) as (model, server):
        reply = model.complete(request("Fit m_yy.", "No.", "Do.", max_tokens=123))
    assert (reply.text, reply.stop, reply.model) == ("x = 1 é ∫ 😀\n", Stop.END, "some/model:7b")
    assert reply.usage == Usage(input_tokens=100, output_tokens=20, cached_input_tokens=60, reasoning_tokens=5)
    assert reply.request_id == "req-1"
    (asked,) = server.requests
    assert asked.messages == [
        ("system", "You write scripts."),
        ("user", "Fit m_yy."),
        ("assistant", "No."),
        ("user", "Do."),
    ]
    assert asked.model == "some/model:7b"
    assert CANARY in asked.headers["authorization"] + asked.headers.get("x-api-key", "")
    assert "temperature" not in asked.body


@both
def test_the_model_is_the_one_the_provider_reports(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, ["x"], monkeypatch) as (model, server):
        server.reported = "some-model-2025-08-07"
        assert model.complete(request()).model == "some-model-2025-08-07"


@both
@pytest.mark.parametrize(
    ("reply", "text", "stop"),
    [
        (truncated("import num"), "import num", Stop.LENGTH),
        (refuse("I will not."), "I will not.", Stop.REFUSAL),
        (empty(), "", Stop.END),
        (say(""), "", Stop.END),
    ],
)
def test_how_a_reply_ends(provider: str, reply: Reply, text: str, stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [reply], monkeypatch) as (model, _):
        completion = model.complete(request())
    assert (completion.text, completion.stop) == (text, stop)


@both
def test_long_replies_may_be_asked_for(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x = 1\n" * 20_000
    with scripted(provider, [text], monkeypatch, CallSettings()) as (model, _):
        assert model.complete(request(max_tokens=64_000)).text == text


@both
def test_lone_surrogates_do_not_reach_the_provider(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, ["x"], monkeypatch) as (model, server):
        model.complete(request("log: \udcff"))
    assert server.requests[0].messages[1] == ("user", "log: ?")


@both
def test_temperature_is_sent_and_dropped_where_it_is_not_taken(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    complaint = status(400, "`temperature` is not supported with this model")
    settings = CallSettings(temperature=0.25, max_retries=0)
    with scripted(provider, [say("1"), complaint, say("2"), say("3")], monkeypatch, settings) as (model, server):
        assert [model.complete(request()).text for _ in range(3)] == ["1", "2", "3"]
    assert [asked.body.get("temperature") for asked in server.requests] == [0.25, 0.25, None, None]


# --- failures -------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (400, "turned the request down"),
        (401, "_API_KEY"),
        (402, "balance"),
        (403, "--llmagent-key-file"),
        (404, "model's name"),
        (413, "turned the request down"),
        (418, "turned the request down"),
        (422, "turned the request down"),
    ],
)
def test_a_refused_request_is_not_repeated(
    provider: str, code: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, requests = failure(provider, [status(code, f"no {CANARY}, sorry")], monkeypatch, RETRYING)
    assert requests == 1
    assert f"status {code} from 127.0.0.1:" in text
    assert "no [redacted], sorry" in text
    assert advice in text


@both
@pytest.mark.parametrize(("code", "advice"), [(429, "quota"), (500, "try again later"), (529, "try again later")])
def test_an_overloaded_provider_is_asked_again(
    provider: str, code: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(provider, [status(code), status(code), say("x")], monkeypatch, RETRYING) as (model, server):
        assert model.complete(request()).text == "x"
        assert len(server.requests) == 3
    text, requests = failure(provider, [status(code)] * 3, monkeypatch, RETRYING)
    assert (requests, f"status {code}" in text, advice in text) == (3, True, True)


@both
@pytest.mark.parametrize("trouble", [drop(), hang(), broken()])
def test_a_lost_connection_is_made_again(provider: str, trouble: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CallSettings(timeout_seconds=0.4, max_retries=1)
    with scripted(provider, [trouble, say("x")], monkeypatch, settings) as (model, _):
        assert model.complete(request()).text == "x"


@both
def test_silence(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = failure(provider, [hang()], monkeypatch, CallSettings(timeout_seconds=0.2, max_retries=0))
    assert "was silent for 0.2 s, tried once" in text


@both
def test_a_connection_lost_for_good(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = failure(provider, [drop()], monkeypatch)
    assert "cannot be reached, tried once: Server disconnected" in text


@both
def test_a_reply_broken_off_for_good(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = failure(provider, [broken("secret plan")], monkeypatch)
    assert "peer closed connection" in text


@both
def test_nobody_listens(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", f"http://{address}")
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", CANARY)
    model = open_model(f"{provider}:m", keys=read_keys(os.environ), settings=ONCE)
    with pytest.raises(ModelUnavailable) as caught:
        model.complete(request())
    assert f"{address} cannot be reached" in str(caught.value)
    assert "refused" in str(caught.value)
    assert_nothing_leaks(caught.value)


@both
@pytest.mark.parametrize(
    "reply",
    [
        no_choices(),
        garbage(),
        garbage("{nope", "application/json"),
        garbage("[]", "application/json"),
        garbage('"text"', "application/json"),
        garbage("null", "application/json"),
        garbage("", "application/json"),
        garbage('{"choices": [{}]}', "application/json"),
        garbage('{"choices": [{"message": {"content": 7}}]}', "application/json"),
        garbage('{"choices": 7}', "application/json"),
        garbage("data: {nope\n\n", "text/event-stream"),
        garbage('event: message_start\ndata: {"type": "message_start"}\n\n', "text/event-stream"),
        garbage('event: message_start\ndata: {"type": "message_start", "message": {}}\n\n', "text/event-stream"),
        garbage("event: message_start\ndata: {nope\n\n", "text/event-stream"),
    ],
)
def test_other_replies(provider: str, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = failure(provider, [reply], monkeypatch)
    assert "another form than this provider's" in text
    assert f"{provider.upper()}_BASE_URL" in text


@both
def test_what_a_server_says_is_shortened_and_made_harmless(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The key straddles the place where the text is cut.
    said = "\x1b[2J" + "no\n" * 131 + CANARY + " sorry" * 1000
    text, _ = failure(provider, [status(400, said)], monkeypatch)
    assert len(text) < 700
    assert "\x1b" not in text
    assert CANARY[:8] not in text


def subclasses(base: type[Exception]) -> Iterator[type[Exception]]:
    for cls in base.__subclasses__():
        yield cls
        yield from subclasses(cls)


@pytest.mark.parametrize(("sdk", "base"), [(openai, openai.OpenAIError), (anthropic, anthropic.AnthropicError)])
def test_every_exception_of_the_sdk_becomes_ours(sdk: ModuleType, base: type[Exception]) -> None:
    service = Service(
        name="m",
        host="h",
        key_variable="KEY",
        url_from="URL",
        sdk=sdk,
        keys=Keys(values={"KEY": CANARY}),
        settings=CallSettings(),
    )
    classes = [base, *subclasses(base)]
    assert len(classes) > 15
    for cls in classes:
        error = cls.__new__(cls)
        Exception.__init__(error, f"boom {CANARY}")
        if not hasattr(error, "status_code"):
            vars(error).update(status_code=418, request_id=None)
        result = service.failure(error)
        assert type(result) in (ModelOutage, ModelUnavailable)
        assert "m gave no answer: " in str(result)
        assert CANARY not in str(result)


@both
def test_one_model_serves_several_threads(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, lambda asked: asked.messages[-1][1], monkeypatch) as (model, server):
        replies: dict[str, str] = {}

        def ask(text: str) -> None:
            replies[text] = model.complete(request(text)).text

        threads = [threading.Thread(target=ask, args=(f"question {n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(replies) == len(server.requests) == 8
    assert all(question == answer for question, answer in replies.items())


def test_the_server_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    with scripted("openai", [hang(60)], monkeypatch) as (model, server):
        failures: list[str] = []

        def ask() -> None:
            try:
                model.complete(request())
            except ModelUnavailable as error:
                failures.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        while not server.requests:
            time.sleep(0.01)
        started = time.monotonic()
        server.close()
        thread.join()
    assert time.monotonic() - started < 1
    assert len(failures) == 1
    assert threading.active_count() <= before


def test_a_request_may_lack_a_system_message(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Request(role="coder", messages=(Message(role="user", content="hi"),), max_tokens=10)
    for provider in PROVIDERS:
        with scripted(provider, ["x"], monkeypatch) as (model, server):
            model.complete(bare)
        assert server.requests[0].messages == [("user", "hi")]
        assert "system" not in server.requests[0].body
