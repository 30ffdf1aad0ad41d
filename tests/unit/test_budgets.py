from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.budgets import Budget, parse_budget
from snakemake_executor_plugin_llmagent.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "usd", "tokens"),
    [
        ("2 USD", "2", None),
        ("0.5 USD", "0.5", None),
        ("$2", "2", None),
        (".5usd", "0.5", None),
        ("2 dollars", "2", None),
        ("200k tokens", None, 200_000),
        ("1.5M tokens", None, 1_500_000),
        ("1 token", None, 1),
        ("2 USD and 200k tokens", "2", 200_000),
        ("200k tokens, 2 USD", "2", 200_000),
        (["2 USD", "200k tokens"], "2", 200_000),
    ],
)
def test_read(text: object, usd: str | None, tokens: int | None) -> None:
    budget = parse_budget("budget", text)
    assert budget == Budget(usd=None if usd is None else Decimal(usd), tokens=tokens)
    assert parse_budget("budget", str(budget)) == budget


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (2, '2 may be dollars or tokens. Write "2 USD", or for example "200k tokens"'),
        (0.5, '0.5 may be dollars or tokens. Write "0.5 USD"'),
        ("2", '2 may be dollars or tokens. Write "2 USD"'),
        ("200k", "200k may be dollars or tokens"),
        ("2 EUR", "is counted in USD or tokens, not in 'EUR'. Write \"2 USD\""),
        ("0 USD", "has to be more than nothing, not '0 USD'. To call no model: --llmagent-locked"),
        ("-1 USD", 'has to be a text such as "2 USD"'),
        ("2 USD and 3 USD", "two limits of one kind; the second is '3 USD'"),
        ("", "has to be a text such as"),
        ("plenty", "has to be a text such as"),
        (True, "has to be a text such as"),
        ({"usd": 2}, "not dict"),
        ([2], "not 2"),
        (b"2 USD", "not bytes"),
    ],
)
def test_wrong(value: object, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_budget("budget", value)
    assert str(caught.value).startswith("`budget` ")
    assert says in str(caught.value)


@given(usd=st.decimals("0.01", "1e6", places=4), tokens=st.integers(1, 10**10))
def test_written_as_read(usd: Decimal, tokens: int) -> None:
    budget = Budget(usd=usd, tokens=tokens)
    assert parse_budget("budget", str(budget)) == budget
