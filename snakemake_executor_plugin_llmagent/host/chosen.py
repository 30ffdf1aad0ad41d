"""What a person has chosen for a run, as `assembly` takes it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.assembly import Settings
from snakemake_executor_plugin_llmagent.budgets import parse_budget
from snakemake_executor_plugin_llmagent.config import KEY_VARIABLES, read_keys, state_place
from snakemake_executor_plugin_llmagent.host.settings import run_options
from snakemake_executor_plugin_llmagent.metering import Charging


def settings_of(chosen: Any, cancelled: threading.Event) -> Settings:
    """The settings of the run; None through Snakemake's API means all defaults."""

    def get(name: str) -> Any:
        return getattr(chosen, name, None)

    key_file = get("key_file")
    return Settings(
        options=run_options(chosen),
        charging=_charging(get),
        record=Path(get("record")) if get("record") else None,
        read_keys=partial(read_keys, dict(os.environ), Path(key_file) if key_file else None),
        context_tokens=get("context_tokens"),
        locked=bool(get("locked")),
        images=bool(get("images")),
        workdir=Path.cwd(),
        environment={name: value for name, value in os.environ.items() if name not in KEY_VARIABLES},
        cancelled=cancelled,
    )  # fmt: skip


def _charging(get: Callable[[str], Any]) -> Charging:
    budgets = {name: get(name) and parse_budget(name, get(name)) for name in ("budget", "monthly_budget")}
    return Charging(
        budget=budgets["budget"], monthly=budgets["monthly_budget"], place=state_place(os.environ),
        prices=Path(get("prices")) if get("prices") else None,
    )  # fmt: skip
