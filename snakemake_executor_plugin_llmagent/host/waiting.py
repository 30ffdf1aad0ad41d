"""Jobs that wait for the script that another job of their rule has written.

To the scheduler they are running jobs, but they hold no cores, have not been prepared and have lost no output; once the
script is written, or cannot be, the scheduler gets them back as ready jobs.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.host.declared import AgentRule


class WaitingRoom:
    """Who has a script written, and who waits for it."""

    def __init__(self, workflow: Any, is_due: Callable[[AgentRule], bool]) -> None:
        """Wait for scripts of a workflow; `is_due` says whether a script has to be written."""
        self._workflow = workflow
        self._is_due = is_due
        self._guard = threading.Lock()
        self._writers: dict[Path, Any] = {}
        self._waiting: defaultdict[Path, list[Any]] = defaultdict(list)

    def take_in(self, job: Any) -> bool:
        """Let an agent job wait if another one has its script written; its cores are free for others meanwhile.

        If the script is due and nobody has it written yet, this job is the one.
        """
        agent: AgentRule = job.rule.ruleinfo.agent
        with self._guard:
            if agent.script not in self._writers:
                if self._is_due(agent):
                    self._writers[agent.script] = job
                return False
            self._waiting[agent.script].append(job)
        scheduler = self._workflow.scheduler
        with scheduler._lock:
            scheduler._free_resources(job)
        scheduler._open_jobs.release()
        return True

    def let_out(self, job: Any) -> None:
        """Give the jobs that waited for this one back to the scheduler, as it does with jobs that it tries again."""
        script = job.rule.ruleinfo.agent.script
        with self._guard:
            if self._writers.get(script) is not job:
                return
            del self._writers[script]
            waiting = self._waiting.pop(script, [])
        scheduler = self._workflow.scheduler
        with scheduler._lock:
            for other in waiting:
                scheduler.running.discard(other)
                self._workflow.dag._ready_jobs.add(other)
        if waiting:
            scheduler._open_jobs.release()

    def __contains__(self, job: Any) -> bool:
        """Whether a job waits."""
        with self._guard:
            return any(job in jobs for jobs in self._waiting.values())
