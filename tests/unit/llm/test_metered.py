"""Every request is paid for before it is sent, whatever comes back: real SDKs against a scripted server."""

from __future__ import annotations

import threading
import time
from decimal import Decimal

import pytest

from snakemake_executor_plugin_llmagent.errors import BudgetExceeded, Cancelled, ModelUnavailable
from snakemake_executor_plugin_llmagent.llm import CallSettings
from snakemake_executor_plugin_llmagent.llm.abortable import Abortable
from snakemake_executor_plugin_llmagent.llm.metered import COUNTED, UNBILLED, WORST, Metered
from snakemake_executor_plugin_llmagent.money import Cost, Price, worst_case
from snakemake_executor_plugin_llmagent.protocols import Stop, Usage
from tests.loopback import (
    Reply,
    ScriptedModel,
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
from tests.unit.llm.support import ONCE, PROVIDERS, Speaker, request, scripted

PRICE = Price(input=Decimal(1), output=Decimal(10), cached_input=Decimal("0.1"), source="a test")
WORST_USD = worst_case(request(), PRICE).usd
TWICE = CallSettings(timeout_seconds=0.3, max_retries=1)


class Purse:
    """Pays for so many calls, and remembers what they came to."""

    def __init__(self, calls: int = 10) -> None:
        self.left = calls
        self.reserved: list[Cost] = []
        self.settled: dict[str, tuple[Cost, str, Usage]] = {}

    def reserve(self, role: str, model: str, price: str, worst: Cost) -> str:
        if not self.left:
            raise BudgetExceeded("nothing is left")
        self.left -= 1
        self.reserved.append(worst)
        assert len(self.settled) == len(self.reserved) - 1, "the last one has to be settled before"
        return str(len(self.reserved))

    def settle(self, call: str, cost: Cost, how: str, usage: Usage, reported: str) -> None:
        assert call not in self.settled
        self.settled[call] = cost, how, usage

    @property
    def paid(self) -> list[tuple[Decimal | None, str]]:
        return [(cost.usd, how) for cost, how, _ in self.settled.values()]


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_the_provider_counted(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = say("x = 1", input=1000, output=500, cached=400, reasoning=300)
    with scripted(provider, [reply], monkeypatch) as (model, server):
        purse = Purse()
        answered = Metered(model, PRICE, purse).complete(request())
    whole = 1000 + (400 if provider == "anthropic" and answered.usage.input_tokens == 1400 else 0)
    usd = PRICE.of(answered.usage)
    assert usd == (Decimal(whole - 400) + Decimal(40) + Decimal(5000)) / 1_000_000
    assert purse.settled["1"] == (Cost(tokens=whole + 500, usd=usd), COUNTED, answered.usage)
    assert answered.usd == usd
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", [truncated(), refuse(), say("not a script")], ids=["cut off", "refused", "useless"])
def test_what_is_of_no_use_is_paid_too(provider: str, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [reply], monkeypatch) as (model, _):
        purse = Purse()
        answered = Metered(model, PRICE, purse).complete(request())
    assert answered.stop in Stop
    assert purse.paid == [(PRICE.of(answered.usage), COUNTED)]


NO_ANSWER = {
    "garbage": garbage(), "broken": broken(), "dropped": drop(), "silent": hang(5), "gateway": status(504),
    "timeout": status(408),
}  # fmt: skip


@pytest.mark.parametrize("reply", NO_ANSWER.values(), ids=NO_ANSWER)
def test_without_an_answer_the_worst_is_paid(provider: str, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    worst_is_paid(provider, reply, monkeypatch)


def test_without_choices_the_worst_is_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    worst_is_paid("openai", no_choices(), monkeypatch)


def worst_is_paid(provider: str, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    once = CallSettings(timeout_seconds=0.3, max_retries=0)
    with scripted(provider, [reply], monkeypatch, once) as (model, _):
        purse = Purse()
        with pytest.raises(ModelUnavailable):
            Metered(model, PRICE, purse).complete(request())
    assert purse.paid == [(WORST_USD, WORST)]


@pytest.mark.parametrize("code", [400, 401, 402, 404, 429, 500, 503, 529])
def test_what_is_turned_down_is_not_paid(provider: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [status(code)], monkeypatch) as (model, _):
        purse = Purse()
        with pytest.raises(ModelUnavailable):
            Metered(model, PRICE, purse).complete(request())
    assert purse.paid == [(Decimal(0), UNBILLED)]


def test_nobody_there_is_not_paid(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedModel() as gone:
        address = gone.env(provider)
    with scripted(provider, [], monkeypatch) as (model, _):
        pass
    for name, value in address.items():
        monkeypatch.setenv(name, value)
    from snakemake_executor_plugin_llmagent.config import Keys
    from snakemake_executor_plugin_llmagent.llm import open_model

    model = open_model(f"{provider}:m", keys=Keys(values=address), settings=ONCE)
    purse = Purse()
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        Metered(model, PRICE, purse).complete(request())
    model.close()  # type: ignore[attr-defined]
    assert purse.paid == [(Decimal(0), UNBILLED)]


def test_requests_that_an_sdk_repeats_are_paid_each(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first got no answer, so it may have been charged."""
    with scripted(provider, [hang(5), say("x")], monkeypatch, TWICE) as (model, server):
        purse = Purse()
        answered = Metered(model, PRICE, purse).complete(request())
    assert len(server.requests) == 2
    assert purse.paid == [(WORST_USD, WORST), (answered.usd, COUNTED)]


def test_after_a_rate_limit_one_is_paid(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [status(429), say("x")], monkeypatch, TWICE) as (model, server):
        purse = Purse(1)
        answered = Metered(model, PRICE, purse).complete(request())
    assert len(server.requests) == 2
    assert purse.paid == [(answered.usd, COUNTED)]


def test_no_repetition_that_cannot_be_paid(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [hang(5), say("x")], monkeypatch, TWICE) as (model, server):
        purse = Purse(1)
        with pytest.raises(BudgetExceeded, match="nothing is left"):
            Metered(model, PRICE, purse).complete(request())
    assert len(server.requests) == 1
    assert purse.paid == [(WORST_USD, WORST)]


def test_nothing_is_sent_that_cannot_be_paid(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [], monkeypatch) as (model, server), pytest.raises(BudgetExceeded):
        Metered(model, PRICE, Purse(0)).complete(request())
    assert server.requests == []


@pytest.mark.parametrize("reply", [empty(), say("x = 1", input=0, output=0)], ids=["empty", "uncounted"])
def test_a_server_that_counts_nothing_is_not_free(provider: str, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [reply], monkeypatch) as (model, _):
        purse = Purse()
        answered = Metered(model, PRICE, purse).complete(request())
    counted = bool(answered.usage.input_tokens)
    assert purse.paid == [(PRICE.of(answered.usage), COUNTED) if counted else (WORST_USD, WORST)]
    assert answered.usd == purse.paid[0][0]


def test_without_a_price_tokens_are_counted(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(provider, [say("x", input=10, output=5)], monkeypatch) as (model, _):
        purse = Purse()
        answered = Metered(model, None, purse).complete(request())
    assert answered.usd is None
    assert purse.reserved[0].usd is None
    assert purse.reserved[0].tokens > 1000
    assert purse.settled["1"][0] == Cost(tokens=15, usd=None)


def test_an_answer_after_a_cancel_is_settled_still(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled, settled = threading.Event(), threading.Event()

    class Told(Purse):
        def settle(self, call: str, cost: Cost, how: str, usage: Usage, reported: str) -> None:
            super().settle(call, cost, how, usage, reported)
            settled.set()

    purse = Told()
    with scripted(provider, [hang(0.3, say("late"))], monkeypatch) as (model, server):
        asking = Abortable(Metered(model, PRICE, purse), cancelled)
        threading.Thread(target=_set_once_asked, args=(server, cancelled)).start()
        with pytest.raises(Cancelled):
            asking.complete(request())
        assert settled.wait(10)
    assert purse.paid[0][1] == COUNTED


def _set_once_asked(server: ScriptedModel, cancelled: threading.Event) -> None:
    while not server.requests:
        time.sleep(0.005)
    cancelled.set()


def test_models_that_say_nothing_of_what_they_send() -> None:
    purse = Purse()
    assert Metered(Speaker("x"), PRICE, purse).name == "openai:speaker"
    assert Metered(Speaker("x"), PRICE, purse).complete(request()).usd == WORST_USD
    with pytest.raises(IndexError):
        Metered(Speaker(), PRICE, purse).complete(request())
    assert purse.paid == [(WORST_USD, WORST)] * 2
