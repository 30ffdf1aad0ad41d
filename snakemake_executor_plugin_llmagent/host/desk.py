"""Where agent jobs arrive: has scripts written, one at a time per rule, repaired, and run."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.assembly import Assembly
from snakemake_executor_plugin_llmagent.authoring import Workshop, author, record, try_out
from snakemake_executor_plugin_llmagent.config import (
    DEFAULTS,
    Options,
    check_readable,
    remove_keys,
)
from snakemake_executor_plugin_llmagent.errors import (
    AgentError,
    BudgetExceeded,
    Cancelled,
    NotApproved,
    SandboxUnavailable,
)
from snakemake_executor_plugin_llmagent.host import freezing, versions
from snakemake_executor_plugin_llmagent.host.asking import ask, can_ask
from snakemake_executor_plugin_llmagent.host.blinded import Blinds
from snakemake_executor_plugin_llmagent.host.bridge import JobTask
from snakemake_executor_plugin_llmagent.host.chosen import settings_of
from snakemake_executor_plugin_llmagent.host.declared import AgentRule, script_reference
from snakemake_executor_plugin_llmagent.host.delivery import keep_edited, publish_trial, write_log, written
from snakemake_executor_plugin_llmagent.host.frozen import RUNNABLE, not_frozen, not_runnable, say_if_edited
from snakemake_executor_plugin_llmagent.host.inside import marked, walls_for
from snakemake_executor_plugin_llmagent.host.jobs import job_to_try
from snakemake_executor_plugin_llmagent.host.progress import Progress, Watch
from snakemake_executor_plugin_llmagent.host.turns import forget_dead_author, one_author
from snakemake_executor_plugin_llmagent.host.withheld import note_secrets
from snakemake_executor_plugin_llmagent.host.wrong import AgentRuleError, SandboxError
from snakemake_executor_plugin_llmagent.lock import Status
from snakemake_executor_plugin_llmagent.protocols import Task
from snakemake_executor_plugin_llmagent.roles import Attempt, Draft
from snakemake_executor_plugin_llmagent.sandbox.collect import clear
from snakemake_executor_plugin_llmagent.session import OUTPUTS
from snakemake_executor_plugin_llmagent.spec import State
from snakemake_executor_plugin_llmagent.text import one_line, said_once

RunFrozen = Callable[[], None]
CANCEL_GRACE_SECONDS = 1.0
"""On Ctrl-C a script may die before we are told; a failure so soon before a cancel is no reason to repair it."""


class Desk:
    """Takes agent jobs from the executor's threads."""

    def __init__(self, workflow: Any, logger: Any, cancelled: threading.Event) -> None:
        """Read the settings and take the providers' keys out of the environment that jobs inherit."""
        self._workflow = workflow
        self._logger = logger
        self._cancelled = cancelled
        chosen = workflow.executor_settings
        self._locked = bool(getattr(chosen, "locked", False))
        self._asks = bool(getattr(chosen, "ask", False)) and can_ask(self._logger)
        self._assembly = Assembly(settings_of(workflow, logger, cancelled))
        self._progress = Progress(logger, workflow.output_settings.quiet if workflow.output_settings else None)
        self._blinds = Blinds(self._assembly, self._options, self._progress.note)
        note_secrets(workflow)
        self._kept_keys = remove_keys(os.environ, keep=workflow.envvars)
        self._turns: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()
        self._given_up: dict[Path, str] = {}
        self._at_work: set[Any] = set()
        self._passed: defaultdict[Path, list[JobTask]] = defaultdict(list)

    def close(self) -> None:
        """Give terminal and environment back, and close what was opened."""
        self._progress.close()
        os.environ.update(self._kept_keys)
        self._kept_keys = {}
        self._assembly.close()

    def end_scripts(self, seconds: float) -> None:
        """Kill the scripts of this run, again and again until no agent job is at work or the time [s] is up."""
        deadline = time.monotonic() + seconds
        while True:
            self._assembly.warden.end_scripts()
            if not self._at_work or time.monotonic() > deadline:
                return
            time.sleep(0.02)

    def mark(self) -> str:
        """A new mark for the processes of a script, with the warden on watch."""
        self._assembly.warden.watch()
        return self._assembly.warden.new_token()

    def check_before_run(self) -> None:
        """Find what makes the run fail anyway, before any job runs.

        Raises:
            AgentRuleError: a lock is broken, or a rule is not frozen under `--llmagent-locked`, or a script is missing
                and no model is chosen.
        """
        self._assembly.stages.sweep()
        problems: list[str] = []
        seen: set[str] = set()
        for job in self._workflow.dag.needrun_jobs():
            for member in job if job.is_group() else [job]:
                agent = getattr(getattr(member.rule, "ruleinfo", None), "agent", None)
                if agent is None or agent.name in seen:
                    continue
                seen.add(agent.name)
                problems += self._problems(agent)
        if problems:
            raise AgentRuleError(said_once(problems))

    def _problems(self, agent: AgentRule) -> Iterator[str]:
        try:
            forget_dead_author(agent.script)
            status = lock.status(agent.script, agent.spec.digest)
            if self._locked and status.state is not State.FROZEN:
                yield not_frozen(agent, status)
            elif status.state in (State.STALE, State.MISSING):
                self._assembly.check(agent.spec, self._options(agent))
                self._prove_walls(agent)
            elif status.state is State.AWAITING:
                yield not_runnable(agent, status)
            else:
                self._prove_walls(agent)
        except AgentError as error:
            yield str(error)

    def _prove_walls(self, agent: AgentRule) -> None:
        """Find out that scripts of a rule can be confined.

        Raises:
            ConfigError: something that scripts may read is not there.
            SandboxUnavailable: nothing confines them here.
        """
        check_readable(self._options(agent))
        walls_for(agent, self._assembly.settings.options, self._assembly.settings.home / "cache")

    def _options(self, agent: AgentRule) -> Options:
        return agent.options.over(self._assembly.settings.options).over(DEFAULTS)

    def is_due(self, agent: AgentRule) -> bool:
        """Whether a job that starts now would have the rule's script written."""
        try:
            state = self._status(agent).state
        except AgentError:
            return False  # the job itself will say what is wrong
        return state in (State.STALE, State.MISSING) and agent.script not in self._given_up

    # --- jobs ---------------------------------------------------------------------------------------------------

    def run(self, job: Any, run_frozen: RunFrozen) -> None:
        """Bring an agent job to its outputs."""
        agent: AgentRule = job.rule.ruleinfo.agent
        self._at_work.add(job)
        try:
            if not self._authored(job, agent):
                with self._blinds.running(agent, JobTask(job, agent.script)):
                    self._run_frozen(job, agent, run_frozen)
        except AgentError as error:
            if not isinstance(error, Cancelled):
                with suppress(OSError):  # the disk may be full; the text reaches the person on the terminal too
                    write_log(job, str(error))
            raise agent.error(str(error)) from None
        finally:
            self._at_work.discard(job)

    def _authored(self, job: Any, agent: AgentRule) -> bool:
        """Have the script written if it is missing or stale; whether that has also made this job's outputs."""
        with self._turn(agent):
            status = self._status(agent)
            if self._locked and status.state is not State.FROZEN:
                # Jobs that a checkpoint leads to were not known before the run.
                raise NotApproved(not_frozen(agent, status))
            if status.state in RUNNABLE:
                self._adopt(job, agent)
                say_if_edited(agent, status)
                return False
            self._raise_if_given_up(agent)
            if status.state is State.AWAITING:
                raise NotApproved(not_runnable(agent, status))
            with one_author(agent.script, self._waits_for_other(agent)):
                status = self._status(agent)  # another Snakemake may have been faster
                if status.state in RUNNABLE:
                    self._adopt(job, agent)
                    return False
                return self._write(job, agent, status)

    @contextmanager
    def _turn(self, agent: AgentRule) -> Iterator[None]:
        """Wait until nobody else in this run has the rule's script written."""
        with self._guard:
            turn = self._turns[agent.script]
        while not turn.acquire(timeout=0.1):
            self._stop_if_cancelled()
        try:
            self._stop_if_cancelled()
            yield
        finally:
            turn.release()

    def _raise_if_given_up(self, agent: AgentRule) -> None:
        if agent.script in self._given_up:
            raise NotApproved(self._given_up[agent.script])

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled("Cancelled.")

    def _waits_for_other(self, agent: AgentRule) -> Callable[[], None]:
        """What to do, again and again, while another Snakemake has the script written."""
        said: list[bool] = []

        def wait() -> None:
            self._stop_if_cancelled()
            if not said:
                said.append(True)
                self._progress.note(agent.name, f"another Snakemake has {agent.script.name} written; waiting for it")

        return wait

    def _status(self, agent: AgentRule) -> Status:
        return lock.status(agent.script, agent.spec.digest)

    def _adopt(self, job: Any, agent: AgentRule) -> None:
        """From now on the rule is a script rule in every respect."""
        job.rule.script = script_reference(agent.script, job.rule.basedir.get_path_or_uri(secret_free=True))

    # --- authoring ----------------------------------------------------------------------------------------------

    def _write(self, job: Any, agent: AgentRule, status: Status) -> bool:
        tried = job_to_try(job, agent, self._assembly.begun)
        with self._shop(agent, tried, status) as shop:
            with self._giving_up(agent):
                task = self._blinds.seen(agent, JobTask(tried, agent.script), shop.stages)
                attempt = author(shop, agent.spec, task, start=freezing.start_from(status, agent.spec))
                self._freeze(tried, agent, task, shop, attempt, status)
            return self._deliver(job, agent, attempt if tried is job else None)

    @contextmanager
    def _shop(self, agent: AgentRule, job: Any, status: Status) -> Iterator[Workshop]:
        """A workshop with a session; its stages are gone afterwards, whatever happened."""
        with self._progress.authoring(agent.name, agent.spec.text, partial(self._spent, agent.name)) as watch:
            with self._giving_up(agent):
                shop = self._open_shop(agent, job, watch)
                if self._asks and freezing.needs_person(self._options(agent), status):
                    shop = replace(shop, ask=partial(self._ask, agent, status))
            try:
                yield shop
            finally:
                shop.discard(shop.stages)

    def _spent(self, rule: str) -> str:
        meter = self._assembly.meters.get(rule)
        return "" if meter is None else meter.snapshot().text

    def _ask(self, agent: AgentRule, status: Status, attempt: Attempt) -> Attempt:
        """An accepted attempt with the word of the person at the terminal."""
        return ask(agent, status, self._assembly.settings.home, self._stop_if_cancelled, self._progress.hidden, attempt)

    def _open_shop(self, agent: AgentRule, job: Any, watch: Watch) -> Workshop:
        shop = self._assembly.workshop(agent.spec, self._options(agent), watch.tell, watch)
        note_secrets(self._workflow, self._assembly.keys.values.values())
        shop.session.event(
            "begin", rule=agent.name, spec=agent.spec.text, spec_digest=agent.spec.digest,
            wildcards=dict(job.wildcards_dict), file=agent.spec.source_file, line=agent.spec.line,
        )  # fmt: skip
        return shop

    @contextmanager
    def _giving_up(self, agent: AgentRule) -> Iterator[None]:
        """Remember why a rule has no script, so that neither its other jobs nor `retries:` try again."""
        try:
            yield
        except Cancelled:
            raise
        except AgentError as error:
            text = str(error)
            if isinstance(error, BudgetExceeded):  # said in full once, for the job that had the script written
                text = f"{text.partition(chr(10))[0]} It was said in full above."
            self._given_up[agent.script] = text
            raise
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            text = (
                f"The authoring of rule {agent.name} ended: {error.strerror or error}{place}. "
                f"Its records lie in {self._assembly.settings.home}."
            )
            self._given_up[agent.script] = text
            raise SandboxUnavailable(text) from error

    def _freeze(self, job: Any, agent: AgentRule, task: Task, shop: Workshop, attempt: Attempt, status: Status) -> None:
        assert attempt.draft.source is not None
        self._stop_if_cancelled()
        keep_edited(agent.script, status, self._logger)
        if status.source is not None:
            shop.session.keep("before/script.py", status.source)
        shop.session.event("frozen", script=str(agent.script), attempts=attempt.number)
        approval = freezing.approval_of(attempt, self._options(agent), status)
        made = freezing.taking_over(self._assembly.lock(agent.spec, task, shop, attempt, approval), status)
        try:
            versions.keep(self._assembly.settings.home, attempt.draft.source)
            lock.freeze(agent.script, attempt.draft.source, made)
        except OSError as error:
            shop.session.event("unstored")
            raise NotApproved(
                f"The script of rule {agent.name} passed, but cannot be stored at {agent.script}: {error.strerror}. "
                f"It lies in {shop.session.directory}."
            ) from error
        # The outputs were made after this text was written and by it: they must not look older than their script.
        os.utime(agent.script, (attempt.draft.written, attempt.draft.written))
        if approval is None:
            look = freezing.keep_outputs(job, attempt, shop.session.directory / OUTPUTS)
            self._given_up[agent.script] = f"{not_runnable(agent, self._status(agent))}\n{look}"

    def _deliver(self, job: Any, agent: AgentRule, attempt: Attempt | None) -> bool:
        """Move the trial's outputs into place; False if the job has to run once more in the ordinary way.

        There is no attempt if it was made on another job.
        """
        self._raise_if_given_up(agent)
        self._adopt(job, agent)
        if attempt is None or job.benchmark is not None or agent.spec.blind is not None:
            return False  # a benchmark measures the script as it will always run; what came from twins is no output
        put = partial(publish_trial, job, attempt)
        self._workflow.scheduler._executor.store(job, put)
        self._passed[agent.script].append(JobTask(job, agent.script))
        return True

    # --- frozen scripts -----------------------------------------------------------------------------------------

    def _run_frozen(self, job: Any, agent: AgentRule, run_frozen: RunFrozen) -> None:
        before = self._status(agent)
        run_marked = partial(self._run_marked, job, run_frozen)
        try:
            run_marked()
            while self._status(agent).source != before.source:
                # Repaired meanwhile: nobody could know that the new script has to serve this job too.
                before = self._status(agent)
                run_marked()
            missing = [str(path) for path in job.output if not written(job, path)]
            if missing:
                raise WorkflowError(f"The script did not write {', '.join(missing)}.", rule=job.rule)
        except SandboxError:
            raise  # another script would not run either
        except Exception as error:
            repairable = before.state is State.FROZEN and not self._locked
            repairable = repairable and self._assembly.can_author(self._options(agent))
            if self._cancelled.wait(CANCEL_GRACE_SECONDS if repairable else 0):
                raise Cancelled("Cancelled.") from None
            if not repairable:
                raise
            if not self._repair(job, agent, error):
                run_marked()
        self._passed[agent.script].append(JobTask(job, agent.script))

    def _run_marked(self, job: Any, run_frozen: RunFrozen) -> None:
        self._stop_if_cancelled()
        # Snakemake has cleared them before the first run, but not before a second.
        clear(Path(str(path)) for path in job.output if not (path.is_directory or path.flags.get("update")))
        with marked(self.mark()):
            run_frozen()

    def _repair(self, job: Any, agent: AgentRule, error: Exception) -> bool:
        """Have a frozen script mended that failed on a job; it must still pass where the old one did.

        Returns:
            Whether that has also made the outputs of the job.
        """
        with self._turn(agent), one_author(agent.script, self._waits_for_other(agent)):
            status = self._status(agent)
            if status.source is None or status.state is not State.FROZEN:
                raise error
            self._raise_if_given_up(agent)
            self._progress.note(agent.name, "the frozen script failed on this job; it is tried once more to see why")
            with self._shop(agent, job, status) as shop:
                with self._giving_up(agent):
                    shop.session.event("repair", error=one_line(self._blinds.what_failed(agent, error), 500))
                    task = self._blinds.seen(agent, JobTask(job, agent.script), shop.stages)
                    attempt = try_out(shop, agent.spec, task, Draft(source=status.source), number=0)
                    record(shop, attempt)
                    if not attempt.accepted:
                        others = self._blinds.all_seen(agent, self._passed[agent.script], shop.stages)
                        attempt = author(shop, agent.spec, task, start=attempt, others=others)
                        self._freeze(job, agent, task, shop, attempt, status)
                    self._blinds.stop_if_opened(agent, mended=attempt.number > 0)
                return self._deliver(job, agent, attempt)
