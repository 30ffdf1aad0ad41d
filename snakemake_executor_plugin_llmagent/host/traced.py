"""What the default target of a workflow was made from, and what there is of it, as far as Snakemake's records tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.host.declared import AgentRule
from snakemake_executor_plugin_llmagent.host.overview import find_jobs, from_twins
from snakemake_executor_plugin_llmagent.host.project import opened, told


@dataclass(frozen=True, order=True)
class Slot:
    """An input or output of a rule; those without a name of their own are one slot together."""

    rule: str
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class TracedFile:
    """A file or a directory.

    Attributes:
        path: as the rules give it.
        slots: which inputs it is, or which outputs.
        twins: whether it was made from twins of data that are blinded.
    """

    path: str
    slots: tuple[Slot, ...]
    twins: bool = False


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a workflow did, and does not have to do again.

    Attributes:
        asked: how many files the default target asks for.
        results: those of them that are there, recorded and up to date.
        inputs: what they were made from and no rule makes.
        start, end: when the first job for them began and the last of them was made [s since 1970]; None if that is
            not recorded.
        left: what is not told here, and why.
    """

    asked: int = 0
    results: tuple[TracedFile, ...] = ()
    inputs: tuple[TracedFile, ...] = ()
    start: float | None = None
    end: float | None = None
    left: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A workflow and what it did.

    Attributes:
        agents: its agent rules, in the order in which they are defined.
        snakefile: its main Snakefile.
        included: the other ones on this machine.
        workdir: its working directory.
        made: what it did.
    """

    agents: tuple[AgentRule, ...]
    snakefile: Path
    included: tuple[Path, ...]
    workdir: Path
    made: Made


def traced(
    *, snakefile: Path | None, directory: Path | None, config: Sequence[str] = (), configfiles: Sequence[Path] = ()
) -> Traced:
    """What a workflow's default target was made from, and what there is of it.

    Raises:
        ConfigError: there is no Snakefile, or it has an error. Jobs that cannot be found are no error.
    """
    opening = opened(snakefile=snakefile, directory=directory, config=config, configfiles=configfiles)
    with opening as (api, workflow):
        main = Path(workflow.main_snakefile)
        local = [Path(file.get_path_or_uri(secret_free=True)) for file in workflow.included if file.is_local]
        return Traced(
            agents=tuple(rule.ruleinfo.agent for rule in workflow.rules if hasattr(rule.ruleinfo, "agent")),
            snakefile=main, included=tuple(file for file in local if file != main), workdir=Path.cwd(),
            made=_made(api, workflow),
        )  # fmt: skip


def _made(api: Any, workflow: Any) -> Made:
    try:
        with told(workflow):
            find_jobs(api, workflow)
    except ConfigError as error:
        return Made(left=(f"The workflow's run is left out, because its jobs are not known: {error}",))
    return _found(workflow) if any(workflow.rules) else Made()


def _found(workflow: Any) -> Made:
    dag, record = workflow.dag, workflow.persistence.metadata
    asked = _asked(dag)
    good = {path: job for path, job in asked.items() if not _unusable(dag, record, path, job)}
    jobs = list(dag.bfs(dag.dependencies, *dict.fromkeys(good.values())))
    given = _given(dag, jobs)
    near = {path: slots for path, slots in given.items() if not path.is_storage and Path(path).exists()}
    results = [_result(workflow, path, job) for path, job in good.items()]
    inputs = [TracedFile(path=str(path), slots=tuple(sorted(slots))) for path, slots in near.items()]
    starts = [_start(record, job) for job in jobs]
    known = [start for start in starts if start is not None]
    ends = [record(path).endtime for path in good]
    return Made(
        asked=len(asked), results=_sorted(results), inputs=_sorted(inputs),
        start=min(known) if known and len(known) == len(starts) else None,
        end=max(ends) if ends and None not in ends else None,
        left=(*_reasons(dag, record, asked), *_far(given, near)),
    )  # fmt: skip


def _result(workflow: Any, path: Any, job: Any) -> TracedFile:
    slots = tuple(sorted(_slots(job.rule.name, job.output)[path]))
    return TracedFile(path=str(path), slots=slots, twins=from_twins(workflow, job, path))


def _sorted(files: Iterable[TracedFile]) -> tuple[TracedFile, ...]:
    return tuple(sorted(files, key=lambda file: file.path))


def _asked(dag: Any) -> dict[Any, Any]:
    """The files that the default target asks for → the jobs that make them."""
    found: dict[Any, Any] = {}
    for job in dag.targetjobs:
        if job.output:
            found.update(dict.fromkeys(job.output, job))
        for maker, paths in {} if job.output else dag.dependencies[job].items():
            found.update({path: maker for path in maker.output if path in paths})
    return found


def _unusable(dag: Any, record: Any, path: Any, job: Any) -> str:
    """Why a file cannot be told as something that the workflow made; empty if it can."""
    if path.is_storage:
        return "lies in remote storage"
    if not Path(path).exists():
        return "is not there"
    if record(path) is None:
        return "has no record of Snakemake"
    return "would be made anew now" if dag.needrun(job) else ""


def _reasons(dag: Any, record: Any, asked: Mapping[Any, Any]) -> Iterator[str]:
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for path, job in asked.items():
        by_reason[_unusable(dag, record, path, job)].append(str(path))
    for reason, paths in sorted(by_reason.items()):
        if reason:
            yield f"Left out, because it {reason}: {_names(paths)}."


def _far(given: Mapping[Any, Any], near: Mapping[Any, Any]) -> Iterator[str]:
    far = [str(path) for path in given if path not in near]
    if far:
        yield f"Left out, because it is an input that does not lie here: {_names(far)}."


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return f"{', '.join(sorted(paths)[:5])}{more}"


def _given(dag: Any, jobs: Iterable[Any]) -> dict[Any, set[Slot]]:
    """Inputs of jobs that no job makes → which inputs they are."""
    found: defaultdict[Any, set[Slot]] = defaultdict(set)
    for job in jobs:
        made = set().union(*dag.dependencies[job].values())
        for path, slots in _slots(job.rule.name, job.input).items():
            if path not in made:
                found[path] |= slots
    return dict(found)


def _slots(rule: str, files: Any) -> dict[Any, set[Slot]]:
    """A job's inputs or outputs → which of them they are."""
    found: defaultdict[Any, set[Slot]] = defaultdict(set)
    for name, item in files._allitems():
        for path in [item] if isinstance(item, str) else item:
            found[path].add(Slot(rule, name or ""))
    return dict(found)


def _start(record: Any, job: Any) -> float | None:
    """When a job began."""
    found = [made.starttime for made in map(record, job.output) if made is not None]
    return min((start for start in found if start is not None), default=None)
