from __future__ import annotations

import signal
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.checks import run_check
from snakemake_executor_plugin_llmagent.protocols import Ending, Execution
from snakemake_executor_plugin_llmagent.sandbox.limits import explain
from tests.unit.support import a_trial, an_execution

TRACEBACK = """\
reading
Traceback (most recent call last):
  File "fit.py", line 3, in <module>
    tree["m_yy"]
uproot.exceptions.KeyInFileError: not found: 'm_yy'

    Available keys: 'pt'
"""
TWO = f"{TRACEBACK}\nDuring handling of the above exception, another exception occurred:\n\n" + TRACEBACK.replace(
    "uproot.exceptions.KeyInFileError: not found: 'm_yy'", "RuntimeError: second"
)


def test_a_script_that_ended_well() -> None:
    assert list(run_check()(a_trial(Path("/stage")))) == []
    assert list(run_check()(a_trial(Path("/stage"), execution=None))) == []


@pytest.mark.parametrize(
    ("execution", "check", "message"),
    [
        (an_execution(returncode=1), "run.failed", "The script ended with exit status 1"),
        (an_execution(returncode=1, log=TRACEBACK), "run.failed", "status 1: uproot.exceptions.KeyInFileError: not"),
        (an_execution(returncode=1, log=TWO), "run.failed", "status 1: RuntimeError: second"),
        (an_execution(returncode=2, log="usage: fit.py\n"), "run.failed", "status 2"),
        (an_execution(returncode=1, log="Traceback (most recent call last):\n"), "run.failed", "status 1"),
        (an_execution(ending=Ending.TIMEOUT, returncode=-9, seconds=60.2), "run.timeout", "The script was ended."),
        (an_execution(ending=Ending.TIMEOUT, returncode=0, limit=explain("seconds", 60)), "run.timeout", "runtime=1"),
        (an_execution(ending=Ending.LOG_FLOOD, returncode=-9, limit=explain("log", 5)), "run.flood", "Print a summary"),
        (an_execution(ending=Ending.MEMORY, returncode=-9, limit=explain("memory", 2e9)), "run.memory", "mem_mb=2000"),
        (an_execution(ending=Ending.PROCESSES, limit=explain("processes", 320)), "run.processes", "limit of 320"),
        (an_execution(ending=Ending.DISK, limit=explain("disk", 5e6)), "run.disk", "disk_mb=5"),
        (an_execution(ending=Ending.FILES, limit=explain("files", 100)), "run.files", "fewer files"),
        (an_execution(ending=Ending.SIGNAL, returncode=-signal.SIGSEGV), "run.signal", "by SIGSEGV"),
        (an_execution(ending=Ending.SIGNAL, returncode=-signal.SIGKILL), "run.signal", "more memory than the machine"),
        (an_execution(ending=Ending.SIGNAL, returncode=-100), "run.signal", "by signal 100"),
    ],
)
def test_scripts_that_did_not(execution: Execution, check: str, message: str) -> None:
    (finding,) = run_check()(a_trial(Path("/stage"), execution=execution))
    assert finding.check == check
    assert message in finding.message


def test_every_way_to_end_is_a_finding_but_one() -> None:
    for ending in Ending:
        execution = an_execution(ending=ending, returncode=-15 if ending is Ending.SIGNAL else 0)
        assert len(list(run_check()(a_trial(Path("/stage"), execution=execution)))) == (ending is not Ending.EXIT)
