"""What models cost: from the person's file of prices, or from the package genai-prices, which is loaded when needed.

The package finds a model by the address that it is asked at and by its name, so that a model of the same name behind a
gateway or on this machine does not get the price of its maker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.money import NOTHING, Price

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

__all__ = ["Price", "listed_price", "read_prices"]

FIELDS = ("input", "output", "cached_input", "cache_write")
EXAMPLE = """\
date: 2026-11-01
models:
  openai:gpt-5: {input: 1.25, cached_input: 0.125, output: 10}
  openai:qwen3: {input: 0, output: 0}
"""


# --- the person's file ------------------------------------------------------------------------------------------------


def read_prices(path: Path) -> Mapping[str, Price]:
    """Read a file of prices: model as it is named in settings → dollars per million tokens.

    Raises:
        ConfigError: it cannot be read, or is of another form; says which line of it and what the form is.
    """
    import yaml

    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The file of prices {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"The file of prices {path} is not YAML: {' '.join(str(error).split())}") from error
    models = told.get("models") if isinstance(told, Mapping) else None
    if not isinstance(models, Mapping) or not models or not set(told) <= {"date", "models"}:
        raise ConfigError(f"The file of prices {path} is not of this form (USD per million tokens):\n{EXAMPLE}")
    if not isinstance(told.get("date"), date):
        raise ConfigError(f"The file of prices {path} needs the day they were looked up, such as date: 2026-11-01.")
    source = f"{path.name}, {told['date']:%Y-%m-%d}"
    return {str(name): _price(path, str(name), entry, source) for name, entry in models.items()}


def _price(path: Path, name: str, entry: object, source: str) -> Price:
    where = f"The file of prices {path}: {name}"
    if not isinstance(entry, Mapping) or not {"input", "output"} <= set(entry) or set(entry) - set(FIELDS):
        raise ConfigError(f"{where} needs `input` and `output`, and may have `cached_input` and `cache_write`.")
    return _made({str(kind): _number(where, kind, value) for kind, value in entry.items()}, source)


def _made(values: Mapping[str, Decimal], source: str, call: Decimal = NOTHING) -> Price:
    return Price(
        input=values["input"],
        output=values["output"],
        cached_input=values.get("cached_input"),
        cache_write=values.get("cache_write"),
        call=call,
        source=source,
    )


def _number(where: str, kind: str, value: object) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("nan")
    if isinstance(value, bool) or not number.is_finite() or number < 0:
        raise ConfigError(f"{where}: `{kind}` has to be dollars per million tokens, 0 or more, not {value!r}.")
    return number


# --- the package ------------------------------------------------------------------------------------------------------


def listed_price(model: str, url: str) -> Price | None:
    """What the package says a model costs at an address; None if it knows neither.

    Args:
        model: as the provider calls it.
        url: where it is asked.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(model, None, None, url)
    except LookupError:
        return None
    dearest: Price | None = None
    for listed in _listed(info):
        price = _converted(listed)
        if price is None:
            return None
        dearest = price if dearest is None else _dearer(dearest, price)
    return dearest


def _listed(info: ModelInfo) -> list[ModelPrice]:
    """The prices that hold today. Of several that hold at different times of the day, all."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    if isinstance(info.prices, ModelPrice):
        return [info.prices]
    daily = [each.prices for each in info.prices if isinstance(each.constraint, TimeOfDateConstraint)]
    return [info.get_prices(datetime.now(UTC)), *([info.prices[0].prices, *daily] if daily else [])]


def _converted(listed: ModelPrice) -> Price | None:
    """A price of the package as one of ours; None if it has no price for what is read or written."""
    from genai_prices.types import TieredPrices

    keys = {
        "input": "input_mtok", "output": "output_mtok", "cached_input": "cache_read_mtok",
        "cache_write": "cache_write_mtok", "reasoning": "output_reasoning_mtok",
    }  # fmt: skip
    known = {ours: value for ours, theirs in keys.items() if (value := getattr(listed, theirs, None)) is not None}
    if not {"input", "output"} <= set(known):
        return None
    call = getattr(listed, "requests_kcount", None)
    per_call = call / 1000 if isinstance(call, Decimal) else NOTHING

    def at(tokens: int) -> Price:
        values: dict[str, Decimal] = {}
        for kind, value in known.items():
            applies = value
            if isinstance(value, TieredPrices):
                applies = value.base
                for tier in value.tiers:
                    applies = tier.price if tokens > tier.start else applies
            values[kind] = applies
        values["output"] = max(values["output"], values.pop("reasoning", NOTHING))
        return _made(values, _source(), per_call)

    starts = {tier.start for value in known.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    return replace(at(0), above=tuple((start, at(start + 1)) for start in sorted(starts)))


def _dearer(one: Price, other: Price) -> Price:
    """The dearer of two prices in each respect."""

    def cached(price: Price) -> Decimal:
        return price.input if price.cached_input is None else price.cached_input

    return replace(
        one, input=max(one.input, other.input), output=max(one.output, other.output),
        cached_input=max(cached(one), cached(other)), call=max(one.call, other.call),
    )  # fmt: skip


@cache
def _source() -> str:
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}"


def as_record(price: Price | None) -> dict[str, Any]:
    """A price for programs; empty if there is none."""
    if price is None:
        return {}
    named = {kind: getattr(price, kind) for kind in FIELDS}
    return {**{kind: float(value) for kind, value in named.items() if value is not None}, "source": price.source}
