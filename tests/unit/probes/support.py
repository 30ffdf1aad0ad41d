"""A bench in this process: scripts are executed here, and operations are called directly."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.gates.probes import probes_gate
from snakemake_executor_plugin_llmagent.operations import OPERATIONS, PACKAGE
from snakemake_executor_plugin_llmagent.protocols import Execution, Item, Job, Layout, Task, Trial
from snakemake_executor_plugin_llmagent.sandbox import layout
from snakemake_executor_plugin_llmagent.spec import Call
from snakemake_executor_plugin_llmagent.trials import Evidence, First, Gate, Worked
from tests.unit.support import FileTask, a_spec, an_execution

EVENTS = 4000
START = """
import json
import pyarrow.parquet as pq
def write(**result):
    with open(snakemake.output.fit, "w") as file:
        json.dump(result, file)
table = pq.read_table(snakemake.input.data)
"""
READ = f"""{START}
mass, weight = table["m_yy"].to_numpy(), table["weight"].to_numpy().astype(float)
if len(mass) == 0:
    raise ValueError("the input has no events")
"""
RIGHT = (
    READ + "write(n_events=len(mass), **{'yield': float(weight.sum()), 'yield_error': float((weight**2).sum()**0.5)})"
)


def events(path: Path, rows: int = EVENTS) -> Path:
    """A table of events around 125 GeV with weights."""
    generator = np.random.default_rng(1)
    columns = {
        "m_yy": generator.normal(125.0, 10.0, rows),
        "weight": generator.uniform(0.5, 1.5, rows).astype("f4"),
        "run": np.arange(rows) // 100,
    }
    pq.write_table(pa.table(columns), path)
    return path


@dataclass
class Place:
    """Where a candidate is judged.

    Attributes:
        root: the working directory.
        ran: the inputs of all runs, as the script saw them: its rows.
        asked: names of the operations that were carried out.
    """

    root: Path
    ran: list[Mapping[str, Path]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    inputs: tuple[Item, ...] = (Item(name="data", path="in.parquet"),)
    outputs: tuple[Item, ...] = (Item(name="fit", path="fit.json"),)
    first: First = lambda _: None
    params: Mapping[str, object] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def task(self) -> FileTask:
        return FileTask(
            Job(rule="fit", workdir=self.root, inputs=self.inputs, outputs=self.outputs, params=self.params), "python"
        )

    def work(
        self, operation: str, question: Mapping[str, object], *, read: Iterable[Path], write: Path | None = None
    ) -> Worked:
        """Carry out an operation; implements `Worker`."""
        with self._lock:
            self.asked.append(operation)
            assert all(path.exists() for path in read)
            here = Path.cwd()
            folder = self.root / "work"
            (folder / "written").mkdir(parents=True, exist_ok=True)
            os.chdir(folder)
            try:
                module = import_module(f"{PACKAGE}.{OPERATIONS[operation]}")
                answer = getattr(module, operation)(question)
            finally:
                os.chdir(here)
            for file in (folder / "written").iterdir():
                shutil.move(file, (write or folder) / file.name)
        return Worked(answer=answer)

    def run(self, task: Task, source: str, stage: Path) -> tuple[Layout, Execution]:
        """Execute a script in a process forked off this one; implements `Sandbox`."""
        job = task.job
        plan = layout.plan(job, stage)
        layout.build(plan, job)
        self.ran.append({item.path: job.real(item) for item in job.inputs})
        log = stage.with_name(f"{stage.name}.log")
        text = task.program(source, plan).text
        with self._lock:
            child = os.fork()
            if not child:
                _be(text, stage, log)
        _, status = os.waitpid(child, 0)
        return plan, an_execution(returncode=os.waitstatus_to_exitcode(status), log=log.read_text())

    def judge(self, source: str, probes: tuple[Call, ...] | None = None, **spec: Any) -> Evidence:
        """What the gate says of a script."""
        trial = self.trial(source, probes, **spec)
        return self.gate().judge(self.task(), trial)

    def trial(self, source: str, probes: tuple[Call, ...] | None = None, **spec: Any) -> Trial:
        task = self.task()
        plan, execution = self.run(task, source, self.root / f"trial-{len(self.ran)}")
        assert execution.succeeded, execution.log
        return Trial(
            spec=a_spec(probes=probes, **spec), job=task.job, source=source, layout=plan, execution=execution
        )  # fmt: skip

    def gate(self) -> Gate:
        counter = iter(range(1000))
        bench = Bench(
            worker=self.work, sandbox=self, folder=lambda: self.root / f"bench-{next(counter)}",
            discard=partial(shutil.rmtree, ignore_errors=True), tell=lambda _: None,
        )  # fmt: skip
        return probes_gate(bench, self.first)


def _be(text: str, stage: Path, log: Path) -> NoReturn:
    """Become a script; never returns."""
    status = 1
    try:
        printed = os.open(log, os.O_WRONLY | os.O_CREAT, 0o644)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        os.chdir(stage)
        try:
            exec(compile(text, "script.py", "exec"), {"__name__": "__main__"})
            status = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def call(probe: str, /, **arguments: Any) -> Call:
    """A probe as a rule names it."""
    return Call(name=probe, arguments=arguments, label=probe)
