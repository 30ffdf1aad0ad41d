"""Reading the agent rules of a project, for the `llmagent` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.declared import AgentRule


def agent_rules(
    *, snakefile: Path | None, directory: Path | None, config: Sequence[str] = (), configfiles: Sequence[Path] = ()
) -> tuple[AgentRule, ...]:
    """The agent rules of a workflow, in the order in which they are defined.

    Args:
        snakefile: the Snakefile, or None for where Snakemake looks for it.
        directory: the working directory, or None for the current one.
        config: entries `KEY=VALUE`.
        configfiles: config files.

    Raises:
        ConfigError: there is no Snakefile, or it has an error; says what and where.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.cli import parse_config
    from snakemake.exceptions import format_exception_to_string
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

    files = [path.resolve() for path in configfiles]
    settings = ConfigSettings(config=_parsed(parse_config, config), configfiles=files)
    workflow: Any = None
    try:
        with _stdout_to_stderr(), SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            opened = api.workflow(
                resource_settings=ResourceSettings(cores=1), config_settings=settings,
                snakefile=snakefile.absolute() if snakefile else None, workdir=directory,
            )  # fmt: skip
            workflow = opened._get_workflow(check_envvars=False)
            workflow.include(opened.snakefile, overwrite_default_target=True)
            return tuple(rule.ruleinfo.agent for rule in workflow.rules if hasattr(rule.ruleinfo, "agent"))
    except Exception as error:
        # Snakemake's parser raises whatever a Snakefile's Python raises; this is its own way to show it.
        try:
            text = format_exception_to_string(error, workflow.linemaps if workflow is not None else None)
        except KeyError:  # it cannot place an error on the first line of a Snakefile
            text = format_exception_to_string(error)
        raise ConfigError(text.strip()) from None


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """What a Snakefile and its commands print while it is read must not stand in front of our answer."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _parsed(parse_config: Any, entries: Sequence[str]) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = parse_config(list(entries)) if entries else {}
    return parsed
