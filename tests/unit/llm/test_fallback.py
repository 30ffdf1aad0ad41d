"""Models that stand in for each other, and for which reasons."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_llmagent.errors import ConfigError, ModelOutage, ModelRefused, ModelUnavailable
from snakemake_executor_plugin_llmagent.llm.fallback import Fallback
from snakemake_executor_plugin_llmagent.protocols import Completion, Model, Request, Stop, Usage
from tests.loopback import Reply, drop, empty, garbage, hang, refuse, say, status
from tests.unit.llm.support import PROVIDERS, request, scripted


class Scripted:
    """A model that says what it is told to, or raises it."""

    def __init__(self, name: str, *turns: str | Exception | Completion) -> None:
        self.name = name
        self._turns = list(turns)
        self.asked = 0

    def complete(self, request: Request) -> Completion:
        self.asked += 1
        turn = self._turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        if isinstance(turn, str):
            return Completion(text=turn, stop=Stop.END, model=f"{self.name}-1", usage=Usage(input_tokens=2))
        return turn


REFUSAL = Completion(text="No.", stop=Stop.REFUSAL, model="a-1", usage=Usage(input_tokens=10, output_tokens=1))


class Told(list[tuple[str, str, str]]):
    """What a person was told."""

    def __call__(self, before: Model, after: Model, why: str) -> None:
        self.append((before.name, after.name, why))


def test_the_first_answers_as_long_as_it_can() -> None:
    told, first, second = Told(), Scripted("a", "x", "y"), Scripted("b")
    both = Fallback([first, second], told)
    assert [both.complete(request()).text, both.complete(request()).text] == ["x", "y"]
    assert (told, second.asked, both.name) == ([], 0, "a")


def test_after_an_outage_the_next_one_stays() -> None:
    told, first, second = Told(), Scripted("a", ModelOutage("a is down.")), Scripted("b", "x", "y")
    both = Fallback([first, second], told)
    assert both.complete(request()).model == "b-1"
    assert both.name == "b"
    assert both.complete(request()).text == "y"
    assert (told, first.asked) == ([("a", "b", "a is down.")], 1)


@pytest.mark.parametrize("refusal", [REFUSAL, ModelRefused("No.")])
def test_a_refusal_goes_to_the_next_one(refusal: Completion | Exception) -> None:
    told = Told()
    reply = Fallback([Scripted("a", refusal), Scripted("b", "x")], told).complete(request())
    assert (reply.text, reply.model) == ("x", "b-1")
    assert told[0][:2] == ("a", "b") and "No." in told[0][2]


def test_refusals_are_counted() -> None:
    models = [Scripted("a", REFUSAL), Scripted("b", REFUSAL), Scripted("c", "x")]
    told = Told()
    reply = Fallback(models, told).complete(request())
    assert reply.usage == Usage(input_tokens=22, output_tokens=2)
    assert [one[:2] for one in told] == [("a", "b"), ("b", "c")]


def test_the_last_one_has_nobody_behind_it() -> None:
    both = Fallback([Scripted("a", ModelOutage("a")), Scripted("b", ModelOutage("b"), REFUSAL)], Told())
    with pytest.raises(ModelOutage, match="b"):
        both.complete(request())
    assert both.complete(request()).stop is Stop.REFUSAL


@pytest.mark.parametrize("error", [ModelUnavailable("wrong key"), ConfigError("wrong")])
def test_what_a_person_has_to_mend_is_no_reason(error: Exception) -> None:
    second = Scripted("b", "x")
    with pytest.raises(type(error), match="wrong"):
        Fallback([Scripted("a", error), second], Told()).complete(request())
    assert second.asked == 0


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("reply", "falls_back"),
    [
        *((status(code), True) for code in (402, 408, 409, 429, 500, 502, 503, 504, 529)),
        *((status(code), False) for code in (400, 401, 403, 404, 413, 422)),
        (drop(), True),
        (hang(), True),
        (garbage(), True),
        (refuse(), True),
        (say("x"), False),
        (empty(), False),
    ],
)
def test_what_the_sdks_make_of_it(
    provider: str, reply: Reply, falls_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snakemake_executor_plugin_llmagent.llm import CallSettings

    settings = CallSettings(timeout_seconds=1, max_retries=0)
    told, second = Told(), Scripted("b", "x")
    with scripted(provider, [reply], monkeypatch, settings) as (model, _):
        try:
            Fallback([model, second], told).complete(request())
        except ModelUnavailable:
            assert not falls_back
    assert (second.asked, len(told)) == (int(falls_back), int(falls_back))
