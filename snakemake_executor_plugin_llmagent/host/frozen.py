"""Running the approved script of an agent rule, under whatever executor."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake.sourcecache import LocalSourceFile

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.errors import AgentError, SandboxUnavailable
from snakemake_executor_plugin_llmagent.host.blinded import stand_ins
from snakemake_executor_plugin_llmagent.host.bridge import approved_job, as_seen, resources_inside, script_params
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.inside import AgentScript, run_confined
from snakemake_executor_plugin_llmagent.host.withheld import params_without_secrets, secrets_of, without_secrets
from snakemake_executor_plugin_llmagent.lock import Status
from snakemake_executor_plugin_llmagent.protocols import Layout
from snakemake_executor_plugin_llmagent.spec import State

RUNNABLE = (State.FROZEN, State.EDITED)
_SAID: set[str] = set()
_SAYING = threading.Lock()


def run_agent(
    workflow: Any, rule: str, basedir: Any, input: Any, output: Any, params: Any, wildcards: Any, threads: Any,
    resources: Any, log: Any, config: Any, conda_env: Any, conda_base_path: Any, container_img: Any,
    singularity_args: Any, env_modules: Any, bench_record: Any, jobid: Any, bench_iteration: Any, cleanup_scripts: Any,
    shadow_dir: Any, sourcecache_path: Any, runtime_sourcecache_path: Any, runtime_paths: Any,  # noqa: ARG001
) -> None:  # fmt: skip
    """The body of every agent rule: run its script, if it may run.

    Raises:
        AgentRuleError: the rule has no script that may run, or it may not see its data, or it could not be confined, or
            it was ended at a limit; says what to do.
    """
    agent: AgentRule = workflow.get_rule(rule).ruleinfo.agent
    try:
        status = lock.status(agent.script, agent.spec.digest)
    except AgentError as error:
        raise agent.error(str(error)) from None
    if status.state not in RUNNABLE:
        raise agent.error(not_runnable(agent, status))
    try:
        twins = stand_ins(agent, status)
    except AgentError as error:
        raise agent.error(str(error)) from None
    say_if_edited(agent, status)
    # Inside a container Snakemake leaves it to the script's shell to enter the shadow directory.
    workdir = Path(shadow_dir) if shadow_dir is not None and container_img is not None else Path.cwd()
    written = workflow.get_rule(rule)
    job = approved_job(written, workdir, input=input, output=output, log=log, threads=threads, resources=resources)
    job = replace(job, stand_ins=twins)
    secrets = secrets_of(workflow)

    def script(layout: Layout) -> AgentScript:
        # Snakemake's own way to read it keeps the first version for the whole run: a repaired script would never run.
        path, source = LocalSourceFile(str(agent.script)), status.source
        return AgentScript(
            path, None, source, basedir, as_seen(input, layout), as_seen(output, layout),
            params_without_secrets(script_params(params), secrets), wildcards, threads,
            resources_inside(resources, layout), as_seen(log, layout), without_secrets(config, secrets), rule,
            conda_env, conda_base_path, container_img, singularity_args, env_modules, bench_record, jobid,
            bench_iteration, cleanup_scripts, shadow_dir, True, runtime_paths,
        )  # fmt: skip

    try:
        run_confined(workflow, agent, job, script)
    except AgentError as error:
        raise (agent.unconfined if isinstance(error, SandboxUnavailable) else agent.error)(str(error)) from None


def say_if_edited(agent: AgentRule, status: Status) -> None:
    """Tell once in a run that a script is the user's own by now."""
    with _SAYING:
        if status.state is not State.EDITED or agent.name in _SAID:
            return
        _SAID.add(agent.name)
    logger.warning(
        f"Agent rule {agent.name}: {status.reason}. It runs as it is. To approve it: llmagent approve {agent.name}"
    )


def not_frozen(agent: AgentRule, status: Status) -> str:
    """Why a rule may not run under `--llmagent-locked`."""
    return f"--llmagent-locked: agent rule {agent.name} is {status.state}, not frozen: {status.reason}."


def write_command(rule: str) -> str:
    """The command that has a rule's script written."""
    return f"snakemake --executor llmagent --llmagent-model openai:NAME --cores 1 --until {rule}"


def not_runnable(agent: AgentRule, status: Status) -> str:
    """Why a rule's script cannot run, and what to do."""
    if status.state is State.AWAITING:
        return (
            f"The script of agent rule {agent.name} waits for approval: {agent.script}\n"
            f"Look at it with `llmagent show {agent.name}` and `llmagent diff {agent.name}`.\n"
            f"Then run `llmagent approve {agent.name}`, or have another one written: "
            f'`llmagent reject {agent.name} --because "..."`.'
        )
    return (
        f"Agent rule {agent.name} has no script that may run ({status.state}: {status.reason}).\n"
        f"Have it written with:\n  {write_command(agent.name)}"
    )
