"""Snakemake's local executor, but for agent jobs."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from snakemake.executors.local import Executor as LocalExecutor
from snakemake.executors.local import run_wrapper
from snakemake_interface_executor_plugins.settings import CommonSettings

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.desk import Desk

common_settings = CommonSettings(
    non_local_exec=False,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    # As a command line they would stand in `ps` and in verbose logs; children inherit the environment anyway.
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
)


class Executor(LocalExecutor):  # type: ignore[misc]
    """Runs every job as the local executor does, and has the scripts of agent rules written where they are missing."""

    def __post_init__(self) -> None:
        """Prepare; what authoring needs is loaded only if the workflow has agent rules."""
        super().__post_init__()
        self.cancelled = threading.Event()
        self.desk: Desk | None = None
        if any(is_agent_rule(rule) for rule in self.workflow.rules):
            from snakemake_executor_plugin_llmagent.host.desk import Desk

            self.desk = Desk(self.workflow, self.logger, self.cancelled)
            self.desk.check_before_run()
            self._cancel_on_sigterm()

    def run_single_job(self, job: Any) -> Future[None]:
        """Start a job in a thread of the pool."""
        if self.desk is None or not is_agent_rule(job.rule):
            future: Future[None] = super().run_single_job(job)
            return future
        if job.is_shadow and not self.use_threads:
            # The child that runs the script prepares the job, and makes the shadow directory.
            self.workflow.async_run(job.check_protected_output())
            run_frozen = partial(self.cached_or_run, job, self.spawn_job, job)
        else:
            run_frozen = partial(self.cached_or_run, job, run_wrapper, *self.job_args_and_prepare(job))
        return self.pool.submit(self.desk.run, job, run_frozen)

    def store(self, job: Any, publish: Any) -> None:
        """Run what puts a job's outputs in place, by way of the between-workflow cache if the rule uses it."""
        self.cached_or_run(job, publish)

    def cancel(self) -> None:
        """End everything now: model calls, trials, and the commands of other jobs."""
        self.cancelled.set()
        _kill_commands()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self._close()

    def shutdown(self) -> None:
        """Wait for what runs, then give the environment back."""
        super().shutdown()
        self._close()

    def _close(self) -> None:
        if self.desk is not None:
            self.desk.close()

    def _cancel_on_sigterm(self) -> None:
        """On SIGTERM end agent jobs at once; for other jobs Snakemake's own handler is still called.

        Snakemake installs its handler right after this object is made, so ours is put in front of it when the first
        jobs are run.
        """
        self._sigterm_pending = True

    def run_jobs(self, jobs: list[Any]) -> None:
        """Run jobs; from the first on SIGTERM ends agent jobs too."""
        if self.desk is not None and getattr(self, "_sigterm_pending", False):
            self._sigterm_pending = False
            _before_sigterm(self.cancelled.set)
        super().run_jobs(jobs)


def is_agent_rule(rule: Any) -> bool:
    """Whether a rule has the keyword `agent:`."""
    return hasattr(getattr(rule, "ruleinfo", None), "agent")


def _before_sigterm(act: Any) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    previous = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: Any) -> None:
        act()
        if callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGTERM, handle)


def _kill_commands() -> None:
    """Kill the shell commands that Snakemake has running; a terminal does so on Ctrl-C, `kill -INT` does not."""
    from snakemake.shell import shell

    for jobid in list(shell._processes):
        shell.kill(jobid)
