"""The check that a script ended well."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable

from snakemake_executor_plugin_llmagent.protocols import Ending, Finding, Trial

LIMITS = {
    Ending.TIMEOUT: "run.timeout", Ending.MEMORY: "run.memory", Ending.PROCESSES: "run.processes",
    Ending.DISK: "run.disk", Ending.FILES: "run.files", Ending.LOG_FLOOD: "run.flood",
}  # fmt: skip
"""Ending at a limit → stable name of the finding."""
_EXCEPTION = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(: (?P<text>.*))?$")


def ended_well(trial: Trial) -> Iterable[Finding]:
    """The script ended by itself, with status 0."""
    execution = trial.execution
    if execution is None or execution.succeeded:
        return []
    if execution.ending in LIMITS:
        text = f"The script was ended. {execution.limit}".rstrip()  # not when: a question reads the same each time
        return [Finding(check=LIMITS[execution.ending], message=text)]
    if execution.ending is Ending.SIGNAL:
        return [Finding(check="run.signal", message=f"The script was ended by {_signal_name(-execution.returncode)}.")]
    last = _last_exception(execution.log)
    cause = f": {last}" if last else ""
    return [Finding(check="run.failed", message=f"The script ended with exit status {execution.returncode}{cause}")]


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    if name == "SIGKILL":
        return "SIGKILL, probably because it used more memory than the machine or the batch system allows"
    return name


def _last_exception(log: str) -> str | None:
    """The last line of a traceback in the log, if there is one."""
    _, found, after = log.rpartition("Traceback (most recent call last)")
    if not found:
        return None
    for line in after.splitlines()[1:]:
        if line and not line.startswith((" ", "\t")) and _EXCEPTION.match(line):
            return line[:500]
    return None
