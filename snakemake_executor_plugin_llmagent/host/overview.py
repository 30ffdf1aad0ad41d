"""All rules of a workflow with their jobs, for pages about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.blinded import made_from_twins
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.project import opened, told

_KINDS = ("shellcmd", "script", "wrapper", "notebook", "cwl", "template_engine")
_NAMES = {"shellcmd": "shell", "template_engine": "template"}


@dataclass(frozen=True, kw_only=True)
class SeenJob:
    """A job that the default target needs.

    Attributes:
        wildcards: their values.
        outputs: as the rule gives them.
        twins: outputs that were made from twins of blinded data, as far as Snakemake's records tell.
    """

    wildcards: Mapping[str, str]
    outputs: tuple[str, ...]
    twins: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class SeenRule:
    """A rule of a workflow.

    Attributes:
        name: its name in the workflow.
        kind: `agent`, `shell`, `script`, `run`, …, or `target` for one that only collects files.
        needs: rules whose outputs its jobs take, sorted.
        jobs: its jobs, in the order of their wildcards.
        agent: what an agent rule declares.
    """

    name: str
    kind: str
    needs: tuple[str, ...] = ()
    jobs: tuple[SeenJob, ...] = ()
    agent: AgentRule | None = None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A workflow.

    Attributes:
        rules: all of them, in the order in which they are defined.
        problem: why it is not known which jobs there are; empty if it is.
        workdir: the working directory.
        snakefile: the main Snakefile.
    """

    rules: tuple[SeenRule, ...]
    problem: str
    workdir: Path
    snakefile: Path


def overview(
    *, snakefile: Path | None, directory: Path | None, config: Sequence[str] = (), configfiles: Sequence[Path] = ()
) -> Overview:
    """All rules of a workflow, with the jobs that its default target needs.

    Raises:
        ConfigError: there is no Snakefile, or it has an error. Jobs that cannot be found are no error.
    """
    opening = opened(snakefile=snakefile, directory=directory, config=config, configfiles=configfiles)
    with opening as (api, workflow):
        problem = ""
        try:
            with told(workflow):
                find_jobs(api, workflow)
        except ConfigError as error:
            problem = str(error)
        jobs, needs = ({}, {}) if problem else _jobs_of(workflow)
        rules = tuple(_rule(rule, jobs, needs) for rule in workflow.rules)
        return Overview(rules=rules, problem=problem, workdir=Path.cwd(), snakefile=Path(workflow.main_snakefile))


def find_jobs(api: Any, workflow: Any) -> None:
    """Have Snakemake find the jobs that the default target needs; they are in `workflow.dag` then."""
    from snakemake.settings.types import DAGSettings

    if not any(workflow.rules):
        return
    api._workflow_store = workflow
    api.dag(DAGSettings())
    workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
    workflow._build_dag()


def _jobs_of(workflow: Any) -> tuple[dict[str, list[SeenJob]], dict[str, set[str]]]:
    jobs: defaultdict[str, list[SeenJob]] = defaultdict(list)
    needs: defaultdict[str, set[str]] = defaultdict(set)
    for job in workflow.dag.jobs if any(workflow.rules) else ():
        name = job.rule.name
        twins = frozenset(str(path) for path in job.output if from_twins(workflow, job, path))
        outputs = tuple(map(str, job.output))
        jobs[name].append(SeenJob(wildcards=dict(job.wildcards_dict), outputs=outputs, twins=twins))
        needs[name] |= {other.rule.name for other in workflow.dag.dependencies[job]} - {name}
    return jobs, needs


def from_twins(workflow: Any, job: Any, path: Any) -> bool:
    """Whether Snakemake recorded that an output was made while the data of its rule were hidden."""
    agent = getattr(job.rule.ruleinfo, "agent", None)
    if agent is None or agent.spec.blind is None:
        return False
    return made_from_twins(workflow.persistence.params(path) or ())


def _rule(rule: Any, jobs: Mapping[str, list[SeenJob]], needs: Mapping[str, set[str]]) -> SeenRule:
    agent = getattr(rule.ruleinfo, "agent", None)
    found = sorted(jobs.get(rule.name, ()), key=lambda job: sorted(job.wildcards.items()))
    kind = "agent" if agent is not None else _kind(rule)
    return SeenRule(
        name=rule.name, kind=kind, needs=tuple(sorted(needs.get(rule.name, ()))), jobs=tuple(found), agent=agent
    )


def _kind(rule: Any) -> str:
    for attribute in _KINDS:
        if getattr(rule.ruleinfo, attribute, None) is not None:
            return _NAMES.get(attribute, attribute)
    return "run" if rule.output else "target"
