"""Prices: from a person's file, and from the package, by address and name."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.money import Price
from snakemake_executor_plugin_llmagent.pricing import EXAMPLE, as_record, listed_price, read_prices
from snakemake_executor_plugin_llmagent.protocols import Usage

OPENAI, ANTHROPIC = "https://api.openai.com/v1/", "https://api.anthropic.com"


def test_a_file_of_prices(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(EXAMPLE)
    prices = read_prices(path)
    assert prices["openai:gpt-5"] == Price(
        input=Decimal("1.25"), cached_input=Decimal("0.125"), output=Decimal(10), source="prices.yaml, 2026-11-01"
    )
    assert prices["openai:qwen3"].of(Usage(input_tokens=10**9, output_tokens=10**9)) == 0
    assert as_record(prices["openai:gpt-5"]) == {
        "input": 1.25, "output": 10.0, "cached_input": 0.125, "source": "prices.yaml, 2026-11-01",
    }  # fmt: skip
    assert as_record(None) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: {", "is not YAML"),
        ("- a", "is not of this form (USD per million tokens):\ndate: 2026-11-01"),
        ("date: 2026-11-01\nmodels: {}", "is not of this form"),
        ("date: 2026-11-01\nmodel:\n  a: {input: 1, output: 1}", "is not of this form"),
        ("models:\n  a: {input: 1, output: 1}", "needs the day they were looked up"),
        ("date: yesterday\nmodels:\n  a: {input: 1, output: 1}", "needs the day they were looked up"),
        ("date: 2026-11-01\nmodels:\n  a: 3", "a needs `input` and `output`"),
        ("date: 2026-11-01\nmodels:\n  a: {input: 1}", "a needs `input` and `output`"),
        ("date: 2026-11-01\nmodels:\n  a: {input: 1, output: 1, out: 2}", "a needs `input` and `output`"),
        ("date: 2026-11-01\nmodels:\n  a: {input: -1, output: 1}", "`input` has to be dollars per million tokens"),
        ("date: 2026-11-01\nmodels:\n  a: {input: .nan, output: 1}", "not nan"),
        ("date: 2026-11-01\nmodels:\n  a: {input: true, output: 1}", "not True"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"prices\.yaml") as caught:
        read_prices(path)
    assert says in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_prices(tmp_path / "none.yaml")


def test_known_models() -> None:
    """The package may change its prices, but not what kinds of prices these models have."""
    price = listed_price("gpt-5-2025-08-07", OPENAI)
    assert price is not None
    assert price == listed_price("gpt-5", OPENAI)
    assert price.source == f"genai-prices {version('genai-prices')}"
    assert price.cached_input is not None
    assert 0 < price.cached_input < price.input < price.output


def test_long_inputs_and_kept_input_have_prices_of_their_own() -> None:
    price = listed_price("claude-sonnet-4-5", ANTHROPIC)
    assert price is not None
    assert price.cached_input is not None and price.cache_write is not None
    assert price.cached_input < price.input < price.cache_write
    ((start, above),) = price.above
    assert start == 200_000
    assert above.input > price.input
    assert above.output > price.output


@pytest.mark.parametrize("hour", [3, 20])
def test_the_dearest_of_prices_that_change_within_a_day(monkeypatch: pytest.MonkeyPatch, hour: int) -> None:
    from snakemake_executor_plugin_llmagent import pricing

    class At(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 1, 2, hour, tzinfo=UTC)

    monkeypatch.setattr(pricing, "datetime", At)
    price = listed_price("deepseek-chat", "https://api.deepseek.com")
    assert price is not None
    assert price.output == Decimal("1.1")


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("gpt-5", "http://localhost:11434/v1/"),
        ("gpt-5", "http://127.0.0.1:8000/v1/"),
        ("gpt-5", "https://gateway.example.org/v1/"),
        ("scripted", OPENAI),
        ("gpt-5", ""),
    ],
)
def test_unknown_models_have_no_price(model: str, url: str) -> None:
    assert listed_price(model, url) is None
