"""Running variations of a script in the sandbox, and reading what they came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.gates.numbers import numbers_of
from snakemake_executor_plugin_llmagent.protocols import Ending, Execution, Task
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.variations.plan import Plan, Variation


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a variation came to.

    Attributes:
        variation: which.
        numbers: all numbers of its outputs by name.
        problem: why there are none.
        unread: outputs that could not be read, and why.
        seconds: how long it took [s].
    """

    variation: Variation
    numbers: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    unread: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def run_all(bench: Bench, task: Task, plan: Plan, tell: Callable[[str], None]) -> tuple[Run, tuple[Run, ...]]:
    """The run of the script as it is, and those of its variations; none of these if the former fails."""
    total = len(plan.variations) + 1
    tell(f"run 1 of {total}: as it is")
    nominal = run_one(bench, task, plan.nominal)
    if nominal.problem:
        return nominal, ()
    others = []
    for number, variation in enumerate(plan.variations, start=2):
        tell(f"run {number} of {total}: {one_line(variation.label, 100)}")
        others.append(run_one(bench, task, variation))
    return nominal, tuple(others)


def run_one(bench: Bench, task: Task, variation: Variation) -> Run:
    """Run a variation in an empty stage."""
    if variation.problem:
        return Run(variation=variation, problem=variation.problem)
    stage = bench.folder()
    try:
        layout, execution = bench.sandbox.run(task, variation.source, stage)
        seconds = round(execution.seconds, 2)
        if not execution.succeeded:
            return Run(variation=variation, problem=why(execution), seconds=seconds)
        missing = [item.path for item in task.job.outputs if not layout.inside(item).exists()]
        if missing:
            return Run(variation=variation, problem=f"did not write {', '.join(missing)}", seconds=seconds)
        numbers, unread = numbers_of(bench.worker, task.job.outputs, layout)
        return Run(variation=variation, numbers=numbers, unread=unread, seconds=seconds)
    finally:
        bench.discard(stage)


def why(execution: Execution) -> str:
    """Why a script failed, in one line."""
    if execution.limit:
        return f"was ended: {execution.limit}"
    said = [line for line in execution.log.splitlines() if line.strip()]
    how = f"exit status {execution.returncode}" if execution.ending is Ending.EXIT else str(execution.ending)
    return f"failed: {one_line(said[-1], 300)}" if said else f"failed ({how})"
