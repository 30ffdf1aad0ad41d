"""The gate of what the files of a trial hold, compared with its inputs and with what the rule demands of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.protocols import Finding, Job, Severity, Task, Trial
from snakemake_executor_plugin_llmagent.text import clean
from snakemake_executor_plugin_llmagent.trials import Evidence, Gate, OnSlices

MOST_PLACES = 6
"""In a path with more places where a wildcard may stand, nobody can tell which of them are meant."""
MOST_SIBLINGS = 200


def contents_gate(bench: Bench) -> Gate:
    """Checks of contents, and the contracts that the rule names."""
    return Gate(name="contents", judge=partial(_judge, bench), everywhere=True, on_slices=OnSlices.ALSO)


def question(trial: Trial) -> dict[str, Any]:
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
        "slice": trial.slice,
        "blinded": trial.spec.blind is not None,
        "siblings": list(_siblings(trial)),
        "contracts": [
            {"name": call.name, "arguments": dict(call.arguments), "label": call.label or call.name}
            # Of the first entries alone numbers may be other ones than those that a rule demands.
            for call in (() if trial.slice else trial.spec.contracts)
        ],
    }


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    import json

    return dict(json.loads(json.dumps(dict(values), default=str)))


def _siblings(trial: Trial) -> Iterator[dict[str, object]]:
    """The outputs of other jobs of the rule that are there, and as long as ours: only these can be the same."""
    layout, job = trial.layout, trial.job
    assert layout is not None
    ours = {item.path for item in job.outputs}
    for other in job.siblings[:MOST_SIBLINGS]:
        for item in job.outputs:
            own = layout.inside(item)
            for path in beside(item.path, job.wildcards, other):
                place = job.workdir / path
                if (
                    path not in ours
                    and own.is_file()
                    and place.is_file()
                    and place.stat().st_size == own.stat().st_size
                ):
                    yield {
                        "wildcards": dict(other), "path": path, "place": str(place), "own": item.path,
                        "inputs": [[str(here), str(there)] for here, there in _other_inputs(job, other)],
                    }  # fmt: skip


def _other_inputs(job: Job, other: Mapping[str, str]) -> Iterator[tuple[Path, Path]]:
    """Inputs of the job, and what stands in their place in another one, where that is certain."""
    for item in job.inputs:
        places = [
            job.workdir / path for path in beside(item.path, job.wildcards, other) if (job.workdir / path).is_file()
        ]
        if len(places) == 1:
            yield job.real(item), places[0]


def beside(path: str, own: Mapping[str, str], other: Mapping[str, str]) -> Iterator[str]:
    """Paths that a path may become with other wildcards: any places where a value stands may be the wildcard's.

    Args:
        path: of a file of a job.
        own: wildcards of the job.
        other: those of another one.
    """
    changed = {value: other[name] for name, value in own.items() if value and name in other and other[name] != value}
    if not changed:
        return
    found = list(re.finditer("|".join(sorted(map(re.escape, changed), key=len, reverse=True)), path))
    if len(found) > MOST_PLACES:
        return
    # All of them first: that is what is meant nearly always.
    for chosen in chain.from_iterable(combinations(found, size) for size in range(len(found), 0, -1)):
        made, end = "", 0
        for match in chosen:
            made += path[end : match.start()] + changed[match[0]]
            end = match.end()
        yield made + path[end:]


def _judge(bench: Bench, task: Task, trial: Trial) -> Evidence:
    job, layout = task.job, trial.layout
    assert layout is not None
    asked = question(trial)
    others = [
        Path(path) for one in asked["siblings"] for path in (one["place"], *(there for _, there in one["inputs"]))
    ]
    worked = bench.worker(
        "examine", asked, read=[*map(job.real, job.inputs), *map(layout.inside, job.outputs), *others]
    )
    answer: Any = worked.answer
    if not isinstance(answer, dict):
        # What nobody could look at has not passed: a contract is a promise to whoever named it.
        severity = Severity.ERROR if trial.spec.contracts else Severity.WARNING
        text = f"What the outputs hold could not be looked at: {worked.problem}"
        return Evidence(findings=(Finding(check="contents.unexamined", message=text, severity=severity),))
    findings = tuple(
        Finding(
            check=str(one["check"]), message=clean(str(one["message"])),
            severity=Severity.WARNING if one["warning"] else Severity.ERROR,
        )
        for one in answer["findings"]
    )  # fmt: skip
    return Evidence(findings=findings, results=dict(answer["results"]))
