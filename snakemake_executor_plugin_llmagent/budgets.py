"""Limits on money and tokens, as people write them: `"2 USD"`, `"200k tokens"`, `"2 USD and 1.5M tokens"`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from snakemake_executor_plugin_llmagent.errors import ConfigError

EXAMPLES = '"2 USD", "0.5 USD", "200k tokens", "1.5M tokens" or "2 USD and 200k tokens"'
_PART = re.compile(r"(?P<sign>\$?)\s*(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<factor>[kM]?)\s*(?P<unit>[A-Za-z$]*)")
_FACTORS = {"": 1, "k": 1_000, "M": 1_000_000}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A limit on what calls of models may come to.

    Attributes:
        usd: in dollars, None for no limit.
        tokens: in tokens, of input and output together, None for no limit.
    """

    usd: Decimal | None = None
    tokens: int | None = None

    def __str__(self) -> str:
        parts = [] if self.usd is None else [f"{self.usd.normalize():f} USD"]
        parts += [] if self.tokens is None else [f"{_short(self.tokens)} tokens"]
        return " and ".join(parts)


def parse_budget(name: str, value: object) -> Budget:
    """Read a limit.

    Args:
        name: what it is the limit of, for messages, such as `budget`.
        value: a text such as `2 USD`, with a second limit after `and` or a comma, or a list of such texts.

    Raises:
        ConfigError: it is of no such form; says how to write it.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ConfigError(
            f"`{name}` has to say of what: {value} may be dollars or tokens. "
            f'Write "{value} USD", or for example "200k tokens".'
        )
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | dict):
        raise ConfigError(f"`{name}` has to be a text such as {EXAMPLES}, not {type(value).__name__}.")
    found = Budget()
    for text in texts:
        if not isinstance(text, str):
            raise ConfigError(f"`{name}` has to be a text such as {EXAMPLES}, not {text!r}.")
        for part in re.split(r",|\band\b", text):
            found = _with(name, found, part.strip())
    return found


def _with(name: str, budget: Budget, part: str) -> Budget:
    match = _PART.fullmatch(part)
    if match is None:
        raise ConfigError(f"`{name}` has to be a text such as {EXAMPLES}, not {part!r}.")
    unit = "usd" if match["sign"] and not match["unit"] else match["unit"].lower()
    number = Decimal(match["number"]) * _FACTORS[match["factor"]]
    if not unit:
        raise ConfigError(
            f"`{name}` has to say of what: {part} may be dollars or tokens. "
            f'Write "{part} USD", or for example "200k tokens".'
        )
    if number <= 0:
        raise ConfigError(f"`{name}` has to be more than nothing, not {part!r}. To call no model: --llmagent-locked.")
    if unit in ("usd", "$", "dollar", "dollars") and budget.usd is None:
        return Budget(usd=number, tokens=budget.tokens)
    if unit in ("token", "tokens") and budget.tokens is None:
        return Budget(usd=budget.usd, tokens=int(number) or 1)
    if unit in ("usd", "$", "dollar", "dollars", "token", "tokens"):
        raise ConfigError(f"`{name}` has two limits of one kind; the second is {part!r}. Leave one out.")
    raise ConfigError(f"`{name}` is counted in USD or tokens, not in {match['unit']!r}. Write {EXAMPLES}.")


def _short(tokens: int) -> str:
    for letter, factor in (("M", 1_000_000), ("k", 1_000)):
        if tokens >= factor and tokens * 100 % factor == 0:
            return f"{Decimal(tokens) / factor:f}{letter}"
    return str(tokens)
