"""Snakemake's local executor, but for agent jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from snakemake.exceptions import SpawnedJobError
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.executors.local import run_wrapper
from snakemake.shell import shell
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

CANCEL_SECONDS = 5.0
"""How long to wait on a cancel for agent jobs to end; they take a tenth of that [s]."""
TERM_SECONDS = 0.5
"""How long other jobs' commands have after SIGTERM before they are killed [s]."""


class Executor(LocalExecutor):  # type: ignore[misc]
    """Runs every job as the local executor does, and has the scripts of agent rules written where they are missing."""

    def __post_init__(self) -> None:
        """Prepare; what authoring needs is loaded only if the workflow has agent rules."""
        super().__post_init__()
        self.cancelled = threading.Event()
        self.desk: Desk | None = None
        self._children: set[subprocess.Popen[bytes]] = set()
        self._handler_before: Any = None
        if any(is_agent_rule(rule) for rule in self.workflow.rules):
            from snakemake_executor_plugin_llmagent.host.desk import Desk
            from snakemake_executor_plugin_llmagent.host.waiting import WaitingRoom

            self.desk = Desk(self.workflow, self.logger, self.cancelled)
            self.waiting = WaitingRoom(self.workflow, self.desk.is_due)
            try:
                self.desk.check_before_run()
            except BaseException:
                self.desk.close()
                raise

    def run_jobs(self, jobs: list[Any]) -> None:
        """Run jobs; from the first on, SIGTERM ends agent jobs too."""
        if self.desk is not None and self._handler_before is None:
            self._end_agents_on_sigterm()
        if self.desk is not None:
            jobs = [job for job in jobs if not (self._is_agent(job) and self.waiting.take_in(job))]
        super().run_jobs(jobs)

    def _is_agent(self, job: Any) -> bool:
        return self.desk is not None and not job.is_group() and is_agent_rule(job.rule)

    def _callback(self, job_info: Any, future: Future[None]) -> None:
        """Report how a job ended, and only then let out the jobs that waited for its script."""
        super()._callback(job_info, future)
        if self._is_agent(job_info.job):
            self.waiting.let_out(job_info.job)

    def run_single_job(self, job: Any) -> Future[None]:
        """Start a job in a thread of the pool."""
        future: Future[None]
        if self.desk is None or not self._is_agent(job):
            future = super().run_single_job(job)
            return future
        if job.is_shadow and not self.use_threads:
            # The child that runs the script prepares the job, and makes the shadow directory.
            self.workflow.async_run(job.check_protected_output())
            run_frozen = partial(self.cached_or_run, job, self._spawn, job, self.desk.mark)
        else:
            run_frozen = partial(self.cached_or_run, job, run_wrapper, *self.job_args_and_prepare(job))
        future = self.pool.submit(self.desk.run, job, run_frozen)
        return future

    def spawn_job(self, job: Any) -> None:
        """Run a job in a Snakemake of its own, as the local executor does, but so that `cancel` finds it."""
        self._spawn(job)

    def _spawn(self, job: Any, mark: Callable[[], str] | None = None) -> None:
        from snakemake_executor_plugin_llmagent.config import for_children
        from snakemake_executor_plugin_llmagent.host import blinded
        from snakemake_executor_plugin_llmagent.host.inside import run_options
        from snakemake_executor_plugin_llmagent.sandbox.warden import TOKEN

        command = self.format_job_exec(job)
        self.logger.debug(f"spawned job: {command}")
        chosen = getattr(self.workflow.executor_settings, "providers", None)
        environment = {**os.environ, **for_children(run_options(self.workflow), chosen), **blinded.for_children()}
        environment |= {TOKEN: mark()} if mark else {}
        child = subprocess.Popen(command, shell=True, env=environment)
        self._children.add(child)
        try:
            if child.wait() != 0:
                raise SpawnedJobError
        finally:
            self._children.discard(child)

    def store(self, job: Any, publish: Any) -> None:
        """Run what puts a job's outputs in place, by way of the between-workflow cache if the rule uses it."""
        self.cached_or_run(job, publish)

    def cancel(self) -> None:
        """End everything now: model calls, trials, scripts, and the commands of other jobs.

        A terminal sends Ctrl-C to commands too, `kill -INT` does not. Of agent jobs nothing is left behind.
        """
        from snakemake_executor_plugin_llmagent.sandbox.trees import end_trees

        self.cancelled.set()
        end_trees([*self._children, *shell._processes.values()], patience_seconds=TERM_SECONDS)
        self.pool.shutdown(wait=False, cancel_futures=True)
        if self.desk is not None:
            self.desk.end_scripts(CANCEL_SECONDS)
            self._clean_up()
        self._close()

    def _clean_up(self) -> None:
        """Remove what unfinished agent jobs may have left of their outputs, as after a failure."""
        for job in list(self.workflow.scheduler.running):
            if self._is_agent(job) and job not in self.waiting:
                try:
                    self.workflow.async_run(job.postprocess(error=True))
                except Exception as error:
                    self.logger.warning(f"Outputs of rule {job.rule.name} could not be removed: {error}")

    def shutdown(self) -> None:
        """Wait for what runs, then give the environment back."""
        super().shutdown()
        self._close()

    def _close(self) -> None:
        if self.desk is not None:
            self.desk.close()
        if self._handler_before is not None:
            signal.signal(signal.SIGTERM, self._handler_before)
            self._handler_before = None

    def _end_agents_on_sigterm(self) -> None:
        """On SIGTERM end agent jobs at once, beside what Snakemake does, which is to wait for running jobs.

        Snakemake installs its handler after this object is made, so ours is put in front of it when jobs are run.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        self._handler_before = before = signal.getsignal(signal.SIGTERM)

        def handle(number: int, frame: Any) -> None:
            self.cancelled.set()
            # In a thread: Snakemake's handler takes a lock that the interrupted code may hold.
            threading.Thread(target=end, args=(number, frame), name="SIGTERM", daemon=True).start()

        def end(number: int, frame: Any) -> None:
            if callable(before):
                before(number, frame)
            if self.desk is not None:
                self.desk.end_scripts(CANCEL_SECONDS)

        signal.signal(signal.SIGTERM, handle)


def is_agent_rule(rule: Any) -> bool:
    """Whether a rule has the keyword `agent:`."""
    return hasattr(getattr(rule, "ruleinfo", None), "agent")
