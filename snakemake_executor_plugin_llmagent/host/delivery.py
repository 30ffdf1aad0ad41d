"""Putting what a trial made, and what there is to say about a job, where it belongs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.host.bridge import plain_job
from snakemake_executor_plugin_llmagent.lock import Status
from snakemake_executor_plugin_llmagent.roles import Attempt
from snakemake_executor_plugin_llmagent.sandbox.collect import publish
from snakemake_executor_plugin_llmagent.text import shorten


def written(job: Any, path: Any) -> bool:
    """Whether an output is there, or will be made by Snakemake."""
    return str(path) in {str(touched) for touched in job.touch_output} or os.path.lexists(path)


def publish_trial(job: Any, attempt: Attempt) -> None:
    """Move what a trial made to where the job's outputs belong."""
    task_job, layout = plain_job(job), attempt.layout
    assert layout is not None and attempt.execution is not None
    moves = [(layout.inside(item), task_job.real(item), item.kind) for item in task_job.outputs]
    logs = [(layout.inside(item), task_job.real(item), item.kind) for item in task_job.logs]
    moves += [log for log in logs if os.path.lexists(log[0])]
    publish(moves, stage=layout.stage)
    if logs and not any(real.exists() for _, real, _ in logs):
        write_log(job, attempt.execution.log)


def write_log(job: Any, text: str) -> None:
    """Put a text into the job's first log file, so that `--show-failed-logs` shows it."""
    if not job.log:
        return
    path = Path(str(job.log[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(shorten(text, 100_000) + "\n", encoding="utf-8", errors="backslashreplace")


def keep_edited(script: Path, status: Status, logger: Any) -> None:
    """Before a script that a person changed or approved is replaced, put a copy beside it."""
    if status.source is None:
        return
    found = status.lock
    by_person = found is not None and found.approval is not None and found.approval.by == "person"
    if found is not None and found.script_digest == lock.digest_script(status.source) and not by_person:
        return
    number = 1
    while (copy := script.with_name(f"{script.stem}.edited-{number}.py")).exists():
        number += 1
    shutil.copy2(script, copy)
    logger.warning(f"The script {script} was changed or approved by a person; the copy {copy} keeps it.")
