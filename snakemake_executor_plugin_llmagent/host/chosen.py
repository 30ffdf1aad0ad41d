"""What the person chose for a run, as settings of the parts that do the work."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.assembly import Settings
from snakemake_executor_plugin_llmagent.budgets import parse_budget
from snakemake_executor_plugin_llmagent.config import read_keys, state_place, without_keys
from snakemake_executor_plugin_llmagent.host.providers import providers_of
from snakemake_executor_plugin_llmagent.host.settings import run_options
from snakemake_executor_plugin_llmagent.metering import Charging
from snakemake_executor_plugin_llmagent.money import Price
from snakemake_executor_plugin_llmagent.providers import Providers


def settings_of(workflow: Any, logger: Any, cancelled: threading.Event) -> Settings:
    """The settings of the run; none through Snakemake's API means all defaults."""
    chosen = workflow.executor_settings

    def get(name: str) -> Any:
        return getattr(chosen, name, None)

    key_file = get("key_file")
    providers = providers_of(workflow)  # before the environment: they name its secrets
    return Settings(
        options=run_options(chosen),
        charging=charging_of(get, providers),
        record=Path(get("record")) if get("record") else None,
        read_keys=partial(read_keys, dict(os.environ), Path(key_file) if key_file else None),
        context_tokens=get("context_tokens"),
        locked=bool(get("locked")),
        images=bool(get("images")),
        providers=providers,
        warn=logger.warning,
        workdir=Path.cwd(),
        environment=without_keys(os.environ),
        cancelled=cancelled,
    )


def charging_of(get: Callable[[str], Any], providers: Providers) -> Charging:
    """What the person chose about money; prices of named providers are known ones."""
    budgets = {name: get(name) and parse_budget(name, get(name)) for name in ("budget", "monthly_budget")}
    return Charging(
        budget=budgets["budget"], monthly=budgets["monthly_budget"], place=state_place(os.environ),
        prices=Path(get("prices")) if get("prices") else None, known=prices_of(providers),
    )  # fmt: skip


def prices_of(providers: Providers) -> dict[str, Price]:
    """Model as it is named in settings → what its provider's entry says it costs."""
    return {
        f"{name}:{model}": price for name, provider in providers.items() for model, price in provider.prices.items()
    }
