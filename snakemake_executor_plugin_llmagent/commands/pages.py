"""What the commands about a whole workflow have in common: its rules in plain values, and eyes for their outputs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.commands.rules import facts_of
from snakemake_executor_plugin_llmagent.report.facts import AgentFacts, JobFacts, Made, RuleFacts, WorkflowFacts
from snakemake_executor_plugin_llmagent.report.outputs import Eyes
from snakemake_executor_plugin_llmagent.session import utc_now

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.overview import Overview, SeenJob, SeenRule

SESSIONS = Path(".snakemake/llmagent/sessions")
WITHHELD = "not shown: the rule is blinded, and nothing says that this was made from twins"
DISTRIBUTION = "snakemake-executor-plugin-llmagent"


def workflow_of(options: argparse.Namespace) -> WorkflowFacts:
    """The workflow that the options lead to, and the agent rules that they name, or all.

    Raises:
        ConfigError: there is no such workflow or rule.
    """
    from snakemake_executor_plugin_llmagent.host.overview import overview
    from snakemake_executor_plugin_llmagent.host.project import named

    seen = overview(
        snakefile=options.snakefile, directory=options.directory, config=options.config, configfiles=options.configfile
    )
    agents = [rule.agent for rule in seen.rules if rule.agent is not None]
    chosen = tuple(named(agents, name).name for name in options.rules) or tuple(agent.name for agent in agents)
    return WorkflowFacts(
        title=_title(seen), snakefile=_near(seen.snakefile, seen.workdir),
        workdir=seen.workdir, rules=tuple(_rule(rule, seen.workdir) for rule in seen.rules), chosen=chosen,
        problem=seen.problem, time=utc_now(),
        versions={name: metadata.version(name) for name in ("snakemake", DISTRIBUTION)},
    )  # fmt: skip


def _title(seen: Overview) -> str:
    """What a person calls a workflow: the directory that it works in."""
    return seen.workdir.name or str(seen.workdir)


def _near(path: Path, base: Path) -> str:
    """A path as it is found from the working directory, if it is not far away."""
    relative = Path(os.path.relpath(path, base))
    return str(path if relative.parts[:2] == ("..", "..") else relative)


def _rule(rule: SeenRule, workdir: Path) -> RuleFacts:
    if rule.agent is None:
        return RuleFacts(name=rule.name, kind=rule.kind, needs=rule.needs, jobs=len(rule.jobs))
    facts, status = facts_of(rule.agent)
    spec = rule.agent.spec
    closed = spec.blind is not None and not (status and lock.opened(status))
    agent = AgentFacts(
        spec=spec, script=_near(rule.agent.script, workdir), place=_near(Path(spec.source_file), workdir),
        state=facts["state"], reason=facts["reason"], blind=facts.get("blind", ""),
        source=status.source if status else None, lock=status.lock if status else None,
        sessions=workdir / SESSIONS / rule.name,
    )  # fmt: skip
    made = tuple(_job(job, workdir, closed=closed) for job in rule.jobs)
    return RuleFacts(name=rule.name, kind=rule.kind, needs=rule.needs, jobs=len(rule.jobs), made=made, agent=agent)


def _job(job: SeenJob, workdir: Path, *, closed: bool) -> JobFacts:
    outputs = tuple(
        Made(
            path=path, place=workdir / path, twins=path in job.twins,
            withheld=WITHHELD if closed and path not in job.twins else "",
        )
        for path in job.outputs
    )  # fmt: skip
    return JobFacts(wildcards=job.wildcards, outputs=outputs)


@contextmanager
def eyes(workdir: Path) -> Iterator[Eyes]:
    """What looks at outputs behind walls; afterwards nothing of it is left.

    Raises:
        ConfigError: the environment asks for an unknown sandbox.
    """
    from snakemake_executor_plugin_llmagent.assembly import Assembly, settings_without_models
    from snakemake_executor_plugin_llmagent.config import DEFAULTS, persons_choices

    assembly = Assembly(settings_without_models(persons_choices(), workdir))
    try:
        reader, worker = assembly.eyes(assembly.settings.options.over(DEFAULTS))
        yield Eyes(describe=reader, read_ahead=reader.read_ahead, worker=worker)
    finally:
        assembly.warden.end_scripts()
        assembly.close()
