"""What it may cost to have a script written: from what a coder would be told, and from calls of the past."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from snakemake_executor_plugin_llmagent import prompts
from snakemake_executor_plugin_llmagent.ledger import Call
from snakemake_executor_plugin_llmagent.money import NOTHING, Price, upper_tokens
from snakemake_executor_plugin_llmagent.protocols import Usage
from snakemake_executor_plugin_llmagent.roles import CODER_TOKENS, SUPERVISOR_TOKENS

CODER, SUPERVISOR, SECOND = "coder", "supervisor", "crosscheck"
LIMITS = {CODER: CODER_TOKENS, SUPERVISOR: SUPERVISOR_TOKENS, SECOND: CODER_TOKENS}
UNSEEN_BRIEF = 12_000
"""What a brief may have at most where inputs are not there yet [tokens, counted upward]."""
FEEDBACK, OUTPUTS = 2_000, 4_000
"""What findings and a log, and what outputs come to in a question [tokens]."""
USUAL = {CODER: (1_000, 8_000), SUPERVISOR: (200, 4_000), SECOND: (1_000, 8_000)}
"""How long replies are where there is no past [tokens]: short, and of models that reason."""
USUAL_SHARE = 0.55
"""How much of what is counted upward a model counts, where there is no past."""
FEW = 3
"""So many calls of the past are needed to go by them."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """What is expected, from when all goes well to when all attempts are needed.

    Attributes:
        low_tokens, high_tokens: of input and output together.
        low_usd, high_usd: what they cost; None if the price of a model is unknown.
    """

    low_tokens: int = 0
    high_tokens: int = 0
    low_usd: Decimal | None = NOTHING
    high_usd: Decimal | None = NOTHING

    def __add__(self, other: Range) -> Range:
        return Range(
            low_tokens=self.low_tokens + other.low_tokens,
            high_tokens=self.high_tokens + other.high_tokens,
            low_usd=_plus(self.low_usd, other.low_usd),
            high_usd=_plus(self.high_usd, other.high_usd),
        )


def _plus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done for a rule.

    Attributes:
        brief: what a coder would be told; None if inputs are not there yet.
        models: role → model, of the roles that are asked at all.
        attempts: how many candidates may be tried.
        instructs: whether a supervisor instructs, and reads every attempt.
    """

    brief: str | None
    models: Mapping[str, str]
    attempts: int
    instructs: bool


class Past:
    """What calls of the past tell: how long replies are, and how many tokens a text has for a model."""

    def __init__(self, calls: Iterable[Call]) -> None:
        """Take the calls of a ledger; those that the provider has not counted tell nothing."""
        self._calls = [call for call in calls if call.settled is not None and call.settled.how == "counted"]

    @property
    def known(self) -> bool:
        """Whether there is a past to go by."""
        return len(self._calls) >= FEW

    def share(self, model: str) -> float:
        """Counted tokens of the input as a share of what is counted upward."""
        shares = [
            call.settled.usage.input_tokens / upward
            for call in self._of(lambda call: call.reserved.model == model)
            if call.settled is not None and (upward := _upward(call)) > 0
        ]
        return statistics.median(shares) if len(shares) >= FEW else USUAL_SHARE

    def replies(self, role: str, model: str) -> tuple[int, int]:
        """How long replies in a role are: short ones, and long ones [tokens]."""
        for fitting in (
            lambda call: (call.reserved.role, call.reserved.model) == (role, model),
            lambda call: call.reserved.role == role,
        ):
            lengths = [call.settled.usage.output_tokens for call in self._of(fitting) if call.settled is not None]
            if len(lengths) >= FEW:
                tenths = statistics.quantiles(lengths, n=10, method="inclusive")
                return round(tenths[1]), round(tenths[8])
        return USUAL[role]

    def _of(self, fitting: Callable[[Call], bool]) -> Sequence[Call]:
        return [call for call in self._calls if fitting(call)]


def _upward(call: Call) -> int:
    return call.reserved.worst.tokens - LIMITS.get(call.reserved.role, 0)


def forecast(work: Work, prices: Mapping[str, Price | None], past: Past) -> Range:
    """What the authoring of a rule may come to.

    Low: the first candidate is accepted, and replies are short. High: all attempts are needed, a reviewer reads each,
    and replies are long.
    """
    expected = Range()
    for role, model in work.models.items():
        price, share = prices.get(model), past.share(model)
        short, long = past.replies(role, model)
        low = [
            Usage(input_tokens=round(size * share), output_tokens=short) for size in _questions(work, role, 1, short)
        ]
        high = [
            Usage(input_tokens=round(size * share), output_tokens=long)
            for size in _questions(work, role, work.attempts, long)
        ]
        expected += Range(
            low_tokens=_tokens(low), high_tokens=_tokens(high), low_usd=_cost(low, price), high_usd=_cost(high, price)
        )
    return expected


def _questions(work: Work, role: str, attempts: int, reply: int) -> list[int]:
    """How long each question to a role is [tokens, counted upward]."""
    brief = UNSEEN_BRIEF if work.brief is None else upper_tokens(work.brief)
    prompt = upper_tokens(prompts.load("review" if role == SUPERVISOR else "coder"))
    script = 2 * reply  # counted upward as well
    if role == SUPERVISOR:
        instructions = [upper_tokens(prompts.load("instruct")) + brief] if work.instructs else []
        return [*instructions, *[prompt + brief + script + FEEDBACK + OUTPUTS] * attempts]
    again = prompt + brief + script + FEEDBACK
    return [prompt + brief, *[again] * ((min(attempts, 2) if role == SECOND else attempts) - 1)]


def _tokens(calls: Iterable[Usage]) -> int:
    return sum(call.input_tokens + call.output_tokens for call in calls)


def _cost(calls: Iterable[Usage], price: Price | None) -> Decimal | None:
    return None if price is None else sum((price.of(call) for call in calls), NOTHING)
