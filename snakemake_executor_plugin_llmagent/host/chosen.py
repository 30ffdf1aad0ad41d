"""What the person chose for a run, as settings of the parts that do the work."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.assembly import Settings
from snakemake_executor_plugin_llmagent.config import read_keys, without_keys
from snakemake_executor_plugin_llmagent.host.providers import providers_of
from snakemake_executor_plugin_llmagent.host.settings import run_options


def settings_of(workflow: Any, logger: Any, cancelled: threading.Event) -> Settings:
    """The settings of the run; none through Snakemake's API means all defaults."""
    chosen = workflow.executor_settings

    def get(name: str) -> Any:
        return getattr(chosen, name, None)

    key_file = get("key_file")
    return Settings(
        options=run_options(chosen),
        record=Path(get("record")) if get("record") else None,
        read_keys=partial(read_keys, dict(os.environ), Path(key_file) if key_file else None),
        context_tokens=get("context_tokens"),
        locked=bool(get("locked")),
        images=bool(get("images")),
        providers=providers_of(workflow), warn=logger.warning,  # before the environment: they name its secrets
        workdir=Path.cwd(),
        environment=without_keys(os.environ),
        cancelled=cancelled,
    )  # fmt: skip
