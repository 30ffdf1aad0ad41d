from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.money import (
    Price,
    Spent,
    cost_text,
    total,
    upper_tokens,
    usd_text,
    worst_case,
)
from snakemake_executor_plugin_llmagent.protocols import Message, Picture, Request, Usage

DEAR = Price(input=Decimal(6), output=Decimal("22.5"), cached_input=Decimal("0.6"), cache_write=Decimal("7.5"))
PRICE = Price(
    input=Decimal(3), output=Decimal(15), cached_input=Decimal("0.3"), cache_write=Decimal("3.75"),
    above=((200_000, DEAR),),
)  # fmt: skip


def test_each_kind_of_token_has_its_price() -> None:
    """Reasoning is part of the output and costs no more."""
    usage = Usage(
        input_tokens=10_000, cached_input_tokens=4_000, cache_write_tokens=2_000, output_tokens=1_000,
        reasoning_tokens=900,
    )  # fmt: skip
    assert PRICE.of(usage) == Decimal("0.0357")  # 4k × 3 + 4k × 0.3 + 2k × 3.75 + 1k × 15


def test_cached_input_without_a_price_costs_as_any() -> None:
    price = Price(input=Decimal(3), output=Decimal(15))
    assert price.of(Usage(input_tokens=1000, cached_input_tokens=1000)) == Decimal("0.003")


def test_long_inputs_cost_more_from_the_first_token() -> None:
    assert PRICE.of(Usage(input_tokens=200_000)) == Decimal("0.6")
    assert PRICE.of(Usage(input_tokens=200_001)) == Decimal("1.200006")


usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 400_000),
    output_tokens=st.integers(0, 50_000),
    cached_input_tokens=st.integers(0, 500_000),
    cache_write_tokens=st.integers(0, 500_000),
)


@given(used=usages, more=st.integers(0, 100_000))
def test_nothing_costs_more_than_the_worst_case(used: Usage, more: int) -> None:
    assert PRICE.of(used) <= PRICE.worst(used.input_tokens + more, used.output_tokens + more)


def test_a_request_at_its_worst() -> None:
    picture = Picture(name="a.png", media_type="image/png", data=b"")
    message = Message(role="user", content="weigh the events", pictures=(picture,))
    plain = Request(role="coder", messages=(Message(role="user", content="weigh the events"),), max_tokens=1000)
    shown = Request(role="coder", messages=(message,), max_tokens=1000)
    assert worst_case(plain, None).usd is None
    assert worst_case(shown, None).tokens - worst_case(plain, None).tokens == 6000
    cost = worst_case(plain, Price(input=Decimal(0), output=Decimal(10)))
    assert cost.usd == Decimal("0.01")
    assert 1000 < cost.tokens < 1100


@pytest.mark.parametrize(
    ("text", "least"),
    [("", 0), ("weights", 4), ("3.14159", 7), ("x = [1, 2]", 8), ("µ→ee", 6), ("\n        return", 5)],
)
def test_tokens_are_counted_upward(text: str, least: int) -> None:
    assert least <= upper_tokens(text) <= len(text.encode()) + 1


@pytest.mark.parametrize(
    ("usd", "shown"),
    [("0", "0.00 USD"), ("1234.5", "1,234.50 USD"), ("0.5", "0.50 USD"), ("0.0123", "0.012 USD"),
     ("0.000456", "0.00046 USD"), ("0.1", "0.10 USD")],
)  # fmt: skip
def test_dollars_for_people(usd: str, shown: str) -> None:
    assert usd_text(Decimal(usd)) == shown


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ((Decimal("0.5"), 1200, 0), "0.50 USD, 1,200 tokens"),
        ((Decimal(0), 1200, 1200), "1,200 tokens without a known price"),
        ((Decimal("0.5"), 1200, 200), "0.50 USD, 1,200 tokens, 200 of them without a known price"),
        ((Decimal(0), 0, 0), "0.00 USD, 0 tokens"),
    ],
)
def test_unpriced_is_not_free(parts: tuple[Decimal, int, int], shown: str) -> None:
    assert cost_text(*parts) == shown


def test_totals() -> None:
    assert total([]) == Spent()
    one = Spent(usd=Decimal(1), tokens=2, unpriced=1, open_usd=Decimal(1), open_tokens=1, calls=1)
    assert total([one, one]) == Spent(usd=Decimal(2), tokens=4, unpriced=2, open_usd=Decimal(2), open_tokens=2, calls=2)
