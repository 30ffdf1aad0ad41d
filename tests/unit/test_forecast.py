"""Forecasts: from what a coder would be told, and from calls of the past."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.forecast import (
    CODER,
    SECOND,
    SUPERVISOR,
    USUAL,
    USUAL_SHARE,
    Past,
    Range,
    Work,
    forecast,
)
from snakemake_executor_plugin_llmagent.ledger import Call, Reservation, Settlement
from snakemake_executor_plugin_llmagent.money import Cost, Price
from snakemake_executor_plugin_llmagent.protocols import Usage

PRICE = Price(input=Decimal(1), output=Decimal(10))
BOTH = {CODER: "openai:m", SUPERVISOR: "openai:m"}
NONE = Past([])


def work(**changes: object) -> Work:
    values: dict[str, object] = {"brief": "weigh the events " * 100, "models": BOTH, "attempts": 5, "instructs": False}
    return Work(**{**values, **changes})  # type: ignore[arg-type]


def call(output: int, role: str = CODER, model: str = "openai:m", how: str = "counted", counted: int = 800) -> Call:
    limit = {CODER: 32_000, SUPERVISOR: 16_000}[role]
    reserved = Reservation(
        worst=Cost(tokens=limit + 1000, usd=None), rule="fit", spec="0", run="r", role=role, model=model
    )
    usage = Usage(input_tokens=counted, output_tokens=output)
    settled = Settlement(id=reserved.id, cost=Cost(tokens=output + counted, usd=None), how=how, usage=usage)
    return Call(reserved=reserved, settled=settled)


@given(attempts=st.integers(1, 9), instructs=st.booleans(), second=st.booleans(), brief=st.none() | st.text())
def test_low_is_never_above_high(attempts: int, instructs: bool, second: bool, brief: str | None) -> None:
    models = {**BOTH, **({SECOND: "openai:m"} if second else {})}
    expected = forecast(
        work(attempts=attempts, instructs=instructs, models=models, brief=brief), {"openai:m": PRICE}, NONE
    )
    assert 0 < expected.low_tokens <= expected.high_tokens
    assert expected.low_usd is not None and expected.high_usd is not None
    assert 0 < expected.low_usd <= expected.high_usd


def test_more_work_costs_more() -> None:
    prices = {"openai:m": PRICE}
    one = forecast(work(), prices, NONE)
    for more in (
        work(brief="weigh the events " * 1000),
        work(instructs=True),
        work(models={**BOTH, SECOND: "openai:m"}),
        work(attempts=6),
    ):
        other = forecast(more, prices, NONE)
        assert one.high_usd is not None and other.high_usd is not None
        assert other.high_usd > one.high_usd
        assert other.low_tokens >= one.low_tokens


def test_nobody_reviews() -> None:
    alone = forecast(work(models={CODER: "openai:m"}, attempts=1), {"openai:m": PRICE}, NONE)
    assert alone.high_tokens < forecast(work(attempts=1), {"openai:m": PRICE}, NONE).high_tokens


def test_an_unknown_price_is_no_price() -> None:
    expected = forecast(work(models={CODER: "openai:m", SUPERVISOR: "openai:n"}), {"openai:m": PRICE}, NONE)
    assert (expected.low_usd, expected.high_usd) == (None, None)
    assert expected.high_tokens > 0
    assert (Range(low_usd=Decimal(1)) + expected).low_usd is None


def test_the_past_tells_how_long_replies_are() -> None:
    past = Past([call(output) for output in (100, 200, 300, 400, 10_000)] + [call(1, how="worst")])
    assert past.known
    assert past.replies(CODER, "openai:m") == (180, 6160)
    assert past.replies(CODER, "openai:other") == (180, 6160), "another model, for want of a better"
    assert past.replies(SUPERVISOR, "openai:m") == USUAL[SUPERVISOR]


def test_a_few_calls_are_no_past() -> None:
    past = Past([call(100), call(100), call(100, how="unbilled")])
    assert not past.known
    assert past.replies(CODER, "openai:m") == USUAL[CODER]
    assert past.share("openai:m") == USUAL_SHARE


def test_the_past_tells_how_a_model_counts() -> None:
    past = Past([call(1, counted=counted) for counted in (400, 500, 900)])
    assert past.share("openai:m") == pytest.approx(0.5)
    assert past.share("openai:n") == USUAL_SHARE
