"""Reading the agent rules of a project, for the `llmagent` command."""

from __future__ import annotations

import difflib
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
    opening = opened(snakefile=snakefile, directory=directory, config=config, configfiles=configfiles)
    with opening as (_, workflow):
        return tuple(rule.ruleinfo.agent for rule in workflow.rules if hasattr(rule.ruleinfo, "agent"))


def named(rules: Sequence[AgentRule], name: str) -> AgentRule:
    """The agent rule of a name.

    Raises:
        ConfigError: there is none; names the near match.
    """
    found = {rule.name: rule for rule in rules}
    if name in found:
        return found[name]
    near = difflib.get_close_matches(name, found, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = ", ".join(found) or "none"
    raise ConfigError(f"There is no agent rule {name!r}.{hint} The agent rules are: {known}.")


@contextmanager
def opened(
    *, snakefile: Path | None, directory: Path | None, config: Sequence[str] = (), configfiles: Sequence[Path] = ()
) -> Iterator[tuple[Any, Any]]:
    """Snakemake's API of a workflow and the workflow, whose Snakefile has been read; within it, in its directory.

    Raises:
        ConfigError: there is no Snakefile, or it has an error; says what and where.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.cli import parse_config
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

    files = [path.resolve() for path in configfiles]
    settings = ConfigSettings(config=_parsed(parse_config, config), configfiles=files)
    with _stdout_to_stderr(), SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        with told():
            reading = api.workflow(
                resource_settings=ResourceSettings(cores=1), config_settings=settings,
                snakefile=snakefile.absolute() if snakefile else None, workdir=directory,
            )  # fmt: skip
            workflow = reading._get_workflow(check_envvars=False)
        with told(workflow):
            workflow.include(reading.snakefile, overwrite_default_target=True)
        yield reading, workflow


@contextmanager
def told(workflow: Any = None) -> Iterator[None]:
    """Within it, what Snakemake and a Snakefile's Python raise is told as Snakemake tells it.

    Raises:
        ConfigError: something was raised.
    """
    from snakemake.exceptions import format_exception_to_string

    try:
        yield
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
