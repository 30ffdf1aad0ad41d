"""Which agent rules a run would have written, and what their authors would be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.assembly import Assembly, settings_without_models
from snakemake_executor_plugin_llmagent.config import DEFAULTS, Options, persons_choices
from snakemake_executor_plugin_llmagent.host.bridge import JobTask
from snakemake_executor_plugin_llmagent.host.chosen import prices_of
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.project import opened, told
from snakemake_executor_plugin_llmagent.host.providers import providers_of
from snakemake_executor_plugin_llmagent.metering import Charging
from snakemake_executor_plugin_llmagent.money import Price
from snakemake_executor_plugin_llmagent.spec import State

DUE = (State.MISSING, State.STALE)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A rule whose script a run would have written.

    Attributes:
        agent: the rule.
        state: why.
        options: what holds for it.
        models: role → model, empty if none is chosen.
        prices: model → price, None if nobody knows; recordings cost nothing.
        jobs: how many jobs of it the run has.
        brief: what a coder would be told; None if that cannot be known yet.
        missing: inputs that are not there yet.
    """

    agent: AgentRule
    state: State
    options: Options
    models: Mapping[str, str]
    prices: Mapping[str, Price | None]
    jobs: int
    brief: str | None
    missing: tuple[str, ...]


def due_rules(
    targets: Sequence[str], chosen: Options, charging: Charging, *, snakefile: Path | None, directory: Path | None,
    config: Sequence[str] = (), configfiles: Sequence[Path] = (),
) -> tuple[Path, list[Due]]:  # fmt: skip
    """The working directory, and the rules that a run for some targets (none: the default) would have written.

    Args:
        targets: files or rules.
        chosen: choices of the run.
        charging: choices about money.
        snakefile: as for `project.agent_rules`, like the other arguments.
        directory: the working directory.
        config: entries `KEY=VALUE`.
        configfiles: config files.

    Raises:
        ConfigError: the workflow has an error, or no job makes a target.
        LockMismatch: a lock cannot be read.
    """
    with opened(snakefile=snakefile, directory=directory, config=config, configfiles=configfiles) as (api, workflow):
        with told(workflow):
            jobs = _needed(api, workflow, targets)
        providers = providers_of(workflow)  # before the environment: they name its secrets
        settings = settings_without_models(chosen.over(persons_choices()), Path.cwd())
        charging = replace(charging, known=prices_of(providers))
        assembly = Assembly(replace(settings, charging=charging, providers=providers))
        try:
            return Path.cwd(), list(_due(jobs, assembly))
        finally:
            assembly.warden.end_scripts()
            assembly.close()


def _needed(api: Any, workflow: Any, targets: Sequence[str]) -> list[Any]:
    """The jobs that a run would do, as far as is known before it."""
    from snakemake.settings.types import DAGSettings

    api._workflow_store = workflow
    api.dag(DAGSettings(targets=set(targets)))
    workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
    workflow._build_dag()
    return list(workflow.dag.needrun_jobs())


def _due(jobs: Sequence[Any], assembly: Assembly) -> list[Due]:
    by_rule: dict[str, list[Any]] = {}
    for job in jobs:
        for member in job if job.is_group() else [job]:
            if hasattr(getattr(member.rule, "ruleinfo", None), "agent"):
                by_rule.setdefault(member.rule.name, []).append(member)
    found = []
    for members in by_rule.values():
        agent: AgentRule = members[0].rule.ruleinfo.agent
        state = lock.status(agent.script, agent.spec.digest).state
        if state in DUE:
            found.append(_told_of(agent, state, members, assembly))
    return sorted(found, key=lambda due: due.agent.name)


def _told_of(agent: AgentRule, state: State, members: Sequence[Any], assembly: Assembly) -> Due:
    options = agent.options.over(assembly.settings.options).over(DEFAULTS)
    tasks = [JobTask(job, agent.script) for job in members]
    ready = [task for task in tasks if task.inputs_exist()]
    first = min(ready or tasks, key=lambda task: sorted(task.job.wildcards.items()))
    missing = tuple(item.path for item in first.job.inputs if not first.job.real(item).exists())
    brief = assembly.brief(agent.spec, options, first) if ready else None
    models = assembly.asked_by(options)
    return Due(
        agent=agent, state=state, options=options, models=models, jobs=len(members), brief=brief, missing=missing,
        prices={model: assembly.models.price_of(model) for model in models.values()},
    )  # fmt: skip
