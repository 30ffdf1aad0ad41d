"""What calls of models cost: prices, amounts, and what they add up to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from snakemake_executor_plugin_llmagent.protocols import Request, Usage

MILLION = Decimal(1_000_000)
NOTHING = Decimal(0)
MESSAGE_TOKENS = 32
"""What a message takes beside its text, at most [tokens]."""
PICTURE_TOKENS = 6_000
"""What a picture takes, at most [tokens]; providers make large ones smaller first."""
_PIECES = re.compile(r"[A-Za-z]{1,2}|\s{1,4}|[^A-Za-z\s]")
"""What may be a token by itself. Words make fewer tokens than that, digits and signs as many with some models."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a model costs [USD per million tokens].

    Attributes:
        input, output: of what it reads and writes. Reasoning is part of what it writes.
        cached_input: of what the provider had read before; None: as any input.
        cache_write: of input that the provider keeps; None: as any input.
        call: of a call by itself [USD].
        source: who says so and when, such as `genai-prices 0.2.3`.
        above: from how many input tokens on → the price that then holds for the whole call.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    call: Decimal = NOTHING
    source: str = ""
    above: tuple[tuple[int, Price], ...] = ()

    def of(self, usage: Usage) -> Decimal:
        """What a call costs that used so much [USD]."""
        for start, price in sorted(self.above, key=lambda pair: -pair[0]):
            if usage.input_tokens > start:
                return price.of(usage)
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        kept = min(usage.cache_write_tokens, usage.input_tokens - cached)
        per_million = (
            (usage.input_tokens - cached - kept) * self.input
            + cached * _or(self.cached_input, self.input)
            + kept * _or(self.cache_write, self.input)
            + usage.output_tokens * self.output
        )
        return per_million / MILLION + self.call

    def worst(self, input_tokens: int, output_tokens: int) -> Decimal:
        """What a call of that size costs at most [USD]: nothing is cached, and everything is kept."""
        base = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        kept = Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_write_tokens=input_tokens)
        prices = (self, *(price for start, price in self.above if input_tokens > start))
        plain = [Price(**{**vars(price), "above": ()}) for price in prices]
        return max(price.of(usage) for price in plain for usage in (base, kept))


def _or(value: Decimal | None, other: Decimal) -> Decimal:
    return other if value is None else value


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What something came to, or may come to.

    Attributes:
        tokens: of input and output.
        usd: in dollars; None if nobody knows the price.
    """

    tokens: int
    usd: Decimal | None


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What calls came to.

    Attributes:
        usd: of those with a known price.
        tokens: of all.
        unpriced: of those without a known price [tokens].
        open_usd, open_tokens: part of these that is no more than the worst case of calls without an answer so far.
        calls: how many.
    """

    usd: Decimal = NOTHING
    tokens: int = 0
    unpriced: int = 0
    open_usd: Decimal = NOTHING
    open_tokens: int = 0
    calls: int = 0


def upper_tokens(text: str) -> int:
    """How many tokens a text has at most, whatever the model; about twice as many as most count."""
    plain = text.encode("ascii", "ignore")
    beyond = 0 if len(plain) == len(text) else len(text.encode("utf-8", "replace")) - len(plain)
    return sum(1 for _ in _PIECES.finditer(plain.decode())) + beyond


def upper_input(request: Request) -> int:
    """How many tokens a request has at most."""
    pictures = sum(len(message.pictures) for message in request.messages)
    texts = sum(upper_tokens(message.content) + MESSAGE_TOKENS for message in request.messages)
    return texts + pictures * PICTURE_TOKENS


def worst_case(request: Request, price: Price | None) -> Cost:
    """What a request costs at most."""
    tokens = upper_input(request)
    usd = None if price is None else price.worst(tokens, request.max_tokens)
    return Cost(tokens=tokens + request.max_tokens, usd=usd)


def usd_text(usd: Decimal) -> str:
    """Dollars for people: to the cent, small amounts to two digits."""
    if usd == 0 or abs(usd) >= 1:
        return f"{usd:,.2f} USD"
    digits = max(2, 1 - usd.adjusted())
    return f"{usd:.{digits}f} USD"


def cost_text(usd: Decimal, tokens: int, unpriced: int) -> str:
    """An amount for people; what has no known price is said, and is not free."""
    money = usd_text(usd) if tokens > unpriced or not tokens else ""
    if not unpriced:
        return f"{money}, {tokens:,} tokens"
    if not money:
        return f"{tokens:,} tokens without a known price"
    return f"{money}, {tokens:,} tokens, {unpriced:,} of them without a known price"


def total(parts: Iterable[Spent]) -> Spent:
    """What several come to together."""
    listed = list(parts)
    return Spent(
        usd=sum((part.usd for part in listed), NOTHING), tokens=sum(part.tokens for part in listed),
        unpriced=sum(part.unpriced for part in listed), open_usd=sum((part.open_usd for part in listed), NOTHING),
        open_tokens=sum(part.open_tokens for part in listed), calls=sum(part.calls for part in listed),
    )  # fmt: skip
