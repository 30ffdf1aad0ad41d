"""The providers that a person has named for a workflow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.config import persons_file_of_providers
from snakemake_executor_plugin_llmagent.keys import note_key_variables
from snakemake_executor_plugin_llmagent.providers import Providers, places, read_providers

_KEPT_BY_WORKFLOW = "_llmagent_providers"


def providers_of(workflow: Any) -> Providers:
    """The providers by name that count for a workflow; from then on their keys are taken for secrets.

    Which files that are is known in full only when the workflow is executed: settings come after the Snakefile.

    Raises:
        ConfigError: a file cannot be read, or something in it is wrong.
    """
    files = files_of(workflow)
    known: dict[tuple[Path, ...], Providers] = workflow.__dict__.setdefault(_KEPT_BY_WORKFLOW, {})
    if files not in known:
        known[files] = read_providers(files)
        note_key_variables(provider.key_variable for provider in known[files].values() if provider.key_variable)
    return known[files]


def files_of(workflow: Any) -> tuple[Path, ...]:
    """The files that name providers, the nearest first."""
    chosen = getattr(workflow.executor_settings, "providers", None)
    return places(
        chosen=Path(chosen) if chosen else persons_file_of_providers(),
        workdir=Path.cwd(),
        beside=_folder(workflow),
        environment=os.environ,
    )


def _folder(workflow: Any) -> Path | None:
    """Where the main Snakefile lies; None if that is no folder of this machine."""
    folder = Path(workflow.main_snakefile).parent
    return folder if folder.is_dir() else None
