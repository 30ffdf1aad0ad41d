"""Running an approved script confined, by Snakemake's own way to run Python scripts, under whatever executor."""

from __future__ import annotations

import atexit
import os
import shlex
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake.script import PythonScript

from snakemake_executor_plugin_llmagent.config import (
    NO_SANDBOX,
    Options,
    check_readable,
    chosen_sandbox,
    without_keys,
)
from snakemake_executor_plugin_llmagent.errors import Cancelled, SandboxUnavailable, ScriptEnded
from snakemake_executor_plugin_llmagent.host import settings
from snakemake_executor_plugin_llmagent.host.bridge import container_places, thread_variables, with_modules
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.keys import key_variables
from snakemake_executor_plugin_llmagent.protocols import Job, Layout
from snakemake_executor_plugin_llmagent.sandbox import caches, confined, layout, limits
from snakemake_executor_plugin_llmagent.sandbox.collect import Refused, publish
from snakemake_executor_plugin_llmagent.sandbox.confined import Ground, Room
from snakemake_executor_plugin_llmagent.sandbox.order import Order, Report, read_report
from snakemake_executor_plugin_llmagent.sandbox.process import supervisor_command
from snakemake_executor_plugin_llmagent.sandbox.stages import Stages
from snakemake_executor_plugin_llmagent.sandbox.walls import Walls, choose, forget
from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN
from snakemake_executor_plugin_llmagent.text import one_line

_MARK = threading.local()
_SAID: set[str] = set()


@contextmanager
def marked(token: str) -> Iterator[None]:
    """Within it, and in this thread, scripts run with a mark by which their supervisors can be found and ended."""
    _MARK.token = token
    try:
        yield
    finally:
        del _MARK.token


class AgentScript(PythonScript):  # type: ignore[misc]
    """Snakemake's own way to run a Python script, with a supervisor before the interpreter."""

    order_for: Callable[[Path, bool], Order]
    """Makes the order for a script; told the script, and whether an environment manager changes the environment."""
    order_file: Path

    modules: str = ""
    """A line that lets the script import modules of the person's."""

    def get_preamble(self) -> str:
        """Snakemake's lines before a script, and ours."""
        return str(super().get_preamble()) + self.modules

    def _execute_cmd(self, cmd: str, **kwargs: Any) -> Any:
        if not kwargs.get("is_python_script"):
            return super()._execute_cmd(cmd, **kwargs)
        script = Path.cwd() / kwargs["fname"]
        self.order_for(script, bool(self.conda_env or self.env_modules)).write(self.order_file)
        names = [word for name in key_variables() for word in ("-u", name)]
        token = getattr(_MARK, "token", None)
        mark = [f"{TOKEN}={token}"] if token else []
        places = container_places() if self.container_img is not None else None
        words = supervisor_command(self.order_file, *confined.supervisor_of(places))
        confine = shlex.join(("env", *names, *mark, *words))
        return super()._execute_cmd(f"{{confine}} {cmd}", confine=confine, **{**kwargs, "fname": str(script)})


def run_confined(workflow: Any, agent: AgentRule, job: Job, make: Callable[[Layout], AgentScript]) -> None:
    """Run the approved script of a rule for a job, and put what it wrote where it belongs.

    Raises:
        AgentError: it could not be confined, or was ended at a limit, or wrote what cannot be taken.
        subprocess.CalledProcessError: it failed, as any script of Snakemake's does.
    """
    ground = ground_of(workflow, agent)
    stage = _stages(ground.home / "stages").new_folder() / f"{agent.name}-{uuid.uuid4().hex[:8]}"
    try:
        with confined.room(job, stage) as place:
            script = make(place.layout)
            container = container_places() if script.container_img is not None else None
            caches.prepare(ground.cache, place.tmp / "cache", ground.outer)
            script.order_file, script.modules = place.order, with_modules(place.layout)
            script.order_for = partial(_order, ground, place, job, container)
            try:
                script.evaluate()
            except subprocess.CalledProcessError as error:
                _take(place.layout, job, logs_only=True)
                _raise_if_ended(read_report(place.report, f"exit status {error.returncode}"), ground.cache)
                raise
            caches.learn(ground.cache, place.tmp / "cache")
            _take(place.layout, job)
            _say(agent, job, read_report(place.report, ""), layout.strays(place.layout, job))
    finally:
        layout.remove(stage)


def _order(
    ground: Ground, place: Room, job: Job, container: dict[str, str] | None, script: Path, managed: bool
) -> Order:
    bounds = limits.limits_for(
        job.resources, job.threads, None, total_memory=limits.machine_memory(),
        free_disk=limits.free_disk(place.layout.stage),
    )  # fmt: skip
    return confined.order(
        ground, place, job, script, bounds=bounds, added=thread_variables(job.threads), managed=managed,
        container=container, show=True,
    )  # fmt: skip


# --- what holds for a run -------------------------------------------------------------------------------------------


def run_options(workflow: Any) -> Options:
    """What the person chose for this run; settings exist under `--executor llmagent` alone."""
    return settings.run_options(workflow.executor_settings)


def ground_of(workflow: Any, agent: AgentRule) -> Ground:
    """What all approved scripts of a rule have in common.

    Raises:
        ConfigError: the person chose something that is not there.
        SandboxUnavailable: nothing confines scripts on this machine.
    """
    inside = Path(getattr(workflow.persistence, "path", None) or Path.cwd() / ".snakemake").absolute()
    home = inside / "llmagent"
    chosen = agent.options.over(run_options(workflow))
    check_readable(chosen)
    found = walls_for(agent, run_options(workflow), home / "cache")
    return Ground(
        project=inside.parent, home=home, readable=tuple(map(Path, chosen.readable)), walls=lambda: found,
        outer=without_keys(os.environ),
    )  # fmt: skip


def walls_for(agent: AgentRule, run: Options, store: Path) -> Walls:
    """What confines the scripts of a rule here; says so once if nothing does, because the person wanted it so."""
    wanted = chosen_sandbox(agent.options, run)
    if wanted == NO_SANDBOX:
        if wanted not in _SAID:
            _SAID.add(wanted)
            logger.warning(
                "THE SANDBOX IS SWITCHED OFF (sandbox: none). Scripts that a model wrote run with all your rights: "
                "they can read, change and send whatever you can."
            )
        return Walls(backend="none")
    return _walls(wanted, store)


@cache
def _walls(wanted: str, store: Path) -> Walls:
    return choose(wanted, store)


@cache
def _stages(root: Path) -> Stages:
    made = Stages(root)
    atexit.register(made.close)
    return made


# --- afterwards -----------------------------------------------------------------------------------------------------


def _take(place: Layout, job: Job, *, logs_only: bool = False) -> None:
    """Move what a script wrote to where it belongs; Snakemake itself says what is missing.

    Raises:
        Refused: it wrote something that cannot be taken.
    """
    items = (*job.logs, *(() if logs_only else job.outputs))
    found = [(place.inside(item), job.real(item), item.kind) for item in items]
    try:
        publish([move for move in found if os.path.lexists(move[0])], stage=place.stage)
    except Refused as error:
        if not logs_only:
            raise
        logger.warning(f"A log of the script is not kept: {one_line(str(error))}")


def _raise_if_ended(report: Report, store: Path) -> None:
    """Tell an end that was made from one that the script came to.

    Raises:
        AgentError: it was ended at a limit, or from outside, or never ran.
    """
    if report.ending == "refused to start":
        forget(store)
        raise SandboxUnavailable(f"The sandbox {report.backend} could not be set up: {report.refusal}")
    if report.ending == "stopped":
        raise Cancelled("The run of the script was ended from outside.")
    if report.limit is not None:
        raise ScriptEnded(f"The script was ended after {report.seconds:.0f} s. {limits.explain(*report.limit)}")


def _say(agent: AgentRule, job: Job, report: Report, strays: tuple[str, ...]) -> None:
    """Tell what a person should know about a run that went well."""
    logger.debug(
        f"Agent rule {agent.name}: {report.seconds:.1f} s, {report.cpu_seconds:.1f} s on all cores, at most "
        f"{report.peak_memory / 1e6:.0f} MB, sandbox {report.backend} (Landlock {report.abi})"
    )
    unopened = [item.path for item in job.inputs if report.access.get(item.path, (None,))[0] is False]
    unopened = [path for path in unopened if _holds_something(job.workdir / path)]
    if unopened:
        names = one_line(", ".join(unopened))
        logger.warning(f"Agent rule {agent.name}: the script never opened its input {names}.")
    if strays:
        names = one_line(", ".join(strays))
        logger.warning(f"Agent rule {agent.name}: not kept, because the rule does not declare them: {names}")


def _holds_something(path: Path) -> bool:
    with suppress(OSError):
        return not path.is_file() or path.stat().st_size > 0
    return False
