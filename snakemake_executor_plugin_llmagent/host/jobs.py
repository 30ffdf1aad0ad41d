"""A single job of an agent rule, outside of a run, so that its script can be tried again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.assembly import Assembly, settings_without_models
from snakemake_executor_plugin_llmagent.config import DEFAULTS, persons_choices, remove_keys
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.host.bridge import JobTask
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.project import named, opened, told


@contextmanager
def job_of(
    rule: str, wildcards: Mapping[str, str], *, snakefile: Path | None, directory: Path | None,
    config: Sequence[str] = (), configfiles: Sequence[Path] = (),
) -> Iterator[tuple[AgentRule, JobTask]]:  # fmt: skip
    """An agent rule and its first job whose inputs exist; within it, the working directory is the workflow's.

    Args:
        rule: its name.
        wildcards: values that the job's wildcards have, as far as that matters.
        snakefile: as for `project.agent_rules`, like the other arguments.
        directory: the working directory.
        config: entries `KEY=VALUE`.
        configfiles: config files.

    Raises:
        ConfigError: there is no such rule or job, or the workflow has an error.
    """
    with opened(snakefile=snakefile, directory=directory, config=config, configfiles=configfiles) as (api, workflow):
        agents = [each.ruleinfo.agent for each in workflow.rules if hasattr(each.ruleinfo, "agent")]
        agent = named(agents, rule)
        unknown = [name for name in wildcards if name not in agent.spec.wildcards]
        if unknown:
            known = ", ".join(agent.spec.wildcards) or "none"
            raise ConfigError(f"Rule {rule} has no wildcard {unknown[0]!r}. Its wildcards are: {known}.")
        with told(workflow):
            jobs = _jobs(api, workflow, agent, wildcards)
        yield agent, _first(agent, wildcards, jobs)


def _jobs(api: Any, workflow: Any, agent: AgentRule, wildcards: Mapping[str, str]) -> list[JobTask]:
    """The jobs of a rule: the one that is named in full, or those that the default target needs."""
    from snakemake.settings.types import DAGSettings
    from snakemake.target_jobs import TargetSpec

    whole = set(wildcards) == set(agent.spec.wildcards)
    targets = [TargetSpec(agent.name, dict(wildcards))] if whole else []
    api._workflow_store = workflow
    api.dag(DAGSettings(target_jobs=targets))
    workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
    workflow._build_dag()
    found = [job for job in workflow.dag.jobs if job.rule.name == agent.name]
    return [JobTask(job, agent.script) for job in found]


def _first(agent: AgentRule, wildcards: Mapping[str, str], jobs: list[JobTask]) -> JobTask:
    asked = " ".join(f"{name}={value}" for name, value in wildcards.items())
    fitting = [task for task in jobs if wildcards.items() <= task.job.wildcards.items()]
    if not fitting:
        raise ConfigError(
            f"The workflow has no job of rule {agent.name}{f' with {asked}' if asked else ''} among those that its "
            f"default target needs. Give all of its wildcards: {', '.join(f'{n}=...' for n in agent.spec.wildcards)}."
        )
    ready = [task for task in fitting if task.inputs_exist()]
    if not ready:
        job = fitting[0].job
        gone = [item.path for item in job.inputs if not job.real(item).exists()]
        raise ConfigError(
            f"No job of rule {agent.name}{f' with {asked}' if asked else ''} has all of its inputs; the first one "
            f"lacks {', '.join(gone[:5])}. Run the workflow first."
        )
    return min(ready, key=lambda task: sorted(task.job.wildcards.items()))


@contextmanager
def bench_of(agent: AgentRule, cancelled: threading.Event, tell: Callable[[str], None]) -> Iterator[Bench]:
    """What runs a rule's script outside of a run; afterwards all that it made is gone.

    Raises:
        ConfigError: the environment says something unknown, or what scripts may read is not there.
        SandboxUnavailable: nothing confines scripts here.
    """
    assembly = Assembly(settings_without_models(persons_choices(), Path.cwd(), cancelled))
    kept = remove_keys(os.environ)
    try:
        yield assembly.bench(agent.options.over(assembly.settings.options).over(DEFAULTS), tell)
    finally:
        os.environ.update(kept)
        assembly.warden.end_scripts()
        assembly.close()


def job_to_try(job: Any, agent: AgentRule, begun: Callable[[str], Mapping[str, str] | None]) -> Any:
    """The job that an unfinished session was about, rather than another: what was answered there serves again.

    Args:
        job: the one that is to be run.
        agent: its rule.
        begun: name of a rule → wildcards of the job of its unfinished session, None if there is none.
    """
    wildcards = begun(agent.name) if agent.spec.wildcards else None
    others = [] if wildcards is None else [each for each in list(job.dag.jobs) if each.rule is job.rule]
    other = next((each for each in others if dict(each.wildcards_dict) == wildcards), job)
    return other if JobTask(other, agent.script).inputs_exist() else job
