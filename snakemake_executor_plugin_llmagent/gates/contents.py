"""The gate of what the files of a trial hold, compared with its inputs and with what the rule demands of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity, Task, Trial
from snakemake_executor_plugin_llmagent.text import clean
from snakemake_executor_plugin_llmagent.trials import Evidence, Gate


def contents_gate(bench: Bench) -> Gate:
    """Checks of contents, and the contracts that the rule names."""
    return Gate(name="contents", judge=partial(_judge, bench), everywhere=True)


def question(trial: Trial) -> dict[str, object]:
    """What the confined process is asked about a trial."""
    layout = trial.layout
    assert layout is not None
    job = trial.job
    return {
        "text": trial.spec.text,
        "source": trial.source,
        "inputs": [{"name": i.name, "path": i.path, "place": str(job.real(i))} for i in job.inputs],
        "outputs": [{"name": i.name, "path": i.path, "place": str(layout.inside(i))} for i in job.outputs],
        "params": _plain(job.params),
        "wildcards": dict(job.wildcards),
        "slice": 0,
        "contracts": [
            {"name": call.name, "arguments": dict(call.arguments), "label": call.label or call.name}
            for call in trial.spec.contracts
        ],
    }


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    import json

    return dict(json.loads(json.dumps(dict(values), default=str)))


def _judge(bench: Bench, task: Task, trial: Trial) -> Evidence:
    job, layout = task.job, trial.layout
    assert layout is not None
    files = [*map(job.real, job.inputs), *map(layout.inside, job.outputs)]
    worked = bench.worker("examine", question(trial), read=files)
    answer: Any = worked.answer
    if not isinstance(answer, dict):
        text = f"What the outputs hold could not be looked at: {worked.problem}"
        return Evidence(findings=(Finding(check="contents.unexamined", message=text, severity=Severity.WARNING),))
    findings = tuple(
        Finding(
            check=str(one["check"]), message=clean(str(one["message"])),
            severity=Severity.WARNING if one["warning"] else Severity.ERROR,
        )
        for one in answer["findings"]
    )  # fmt: skip
    return Evidence(findings=findings, results=dict(answer["results"]))
