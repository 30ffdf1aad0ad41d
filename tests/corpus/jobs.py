"""Tasks of the corpus as specs and jobs, and scripts made ready to run with Snakemake's own preamble."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.checks.catalogue import CONTRACTS
from snakemake_executor_plugin_llmagent.host.bridge import thread_variables, with_modules
from snakemake_executor_plugin_llmagent.host.names import CHECK, PROBE, Named, Ready
from snakemake_executor_plugin_llmagent.probes.catalogue import PROBES
from snakemake_executor_plugin_llmagent.protocols import Item, Job, Layout, Program
from snakemake_executor_plugin_llmagent.spec import Call, Kind, Slot, Spec
from tests.corpus.problems import Problem


def spec_of(problem: Problem) -> Spec:
    """What the rule asks for."""
    return Spec(
        rule=problem.name,
        text=problem.text,
        inputs=tuple(_slots(problem.inputs)),
        outputs=tuple(_slots(problem.outputs)),
        params=tuple(problem.params),
        wildcards=tuple(sorted(problem.wildcards)),
        contracts=tuple(_call(CHECK, CONTRACTS, text) for text in problem.contracts),
        probes=None if problem.probes is None else tuple(_call(PROBE, PROBES, text) for text in problem.probes),
    )


def _slots(files: Mapping[str, Any]) -> list[Slot]:
    slots = []
    for name, paths in files.items():
        kind = Kind.FILE if isinstance(paths, str) else Kind.FILES
        listed = (paths,) if isinstance(paths, str) else paths
        slots.append(Slot(name=name, kind=kind, suffixes=tuple(sorted({Path(path).suffix for path in listed}))))
    return slots


def _call(kind: str, catalogue: Mapping[str, Callable[..., None]], text: str) -> Call:
    """What a Snakefile makes of `chi2_band(0.5, 1.8)`, or of a bare name."""
    names = {name: Named(kind, function) for name, function in catalogue.items()}
    found = eval(text, {"__builtins__": {}}, names)
    ready = found() if isinstance(found, Named) else found
    assert isinstance(ready, Ready)
    return ready.call


def job_of(problem: Problem, workdir: Path) -> Job:
    """The job, whose inputs lie in a directory."""
    return Job(
        rule=problem.name,
        workdir=workdir,
        inputs=tuple(_items(problem, problem.inputs)),
        outputs=tuple(_items(problem, problem.outputs)),
        params=problem.params,
        wildcards=problem.wildcards,
    )


def _items(problem: Problem, files: Mapping[str, Any]) -> list[Item]:
    return [
        Item(name=name, path=path.format(**problem.wildcards))
        for name, paths in files.items()
        for path in ((paths,) if isinstance(paths, str) else paths)
    ]


class CorpusTask:
    """A job with Snakemake's own object in front of its script; implements `protocols.Task`."""

    environment = ""

    def __init__(self, problem: Problem, workdir: Path) -> None:
        """Look at a task whose inputs lie in a directory."""
        self.problem = problem
        self.job = job_of(problem, workdir)

    def program(self, source: str, layout: Layout) -> Program:
        """The script with Snakemake's preamble, its paths as they are inside the stage."""
        preamble = preamble_of(self.problem, self.job, layout.paths) + with_modules(layout)
        return Program(
            text=preamble + source, python=sys.executable, lines_before=preamble.count("\n"), env=thread_variables(1)
        )

    def bystanders(self) -> frozenset[Path] | None:
        """Nobody else writes."""
        return frozenset()


def containers(problem: Problem, job: Job, paths: Mapping[str, str]) -> dict[str, Any]:
    """What the `snakemake` object of a script is made of."""
    from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards

    def files(kind: Any, named: Mapping[str, Any]) -> Any:
        found = kind()
        for name, patterns in named.items():
            listed = (patterns,) if isinstance(patterns, str) else patterns
            start = len(found)
            found.extend(paths[pattern.format(**problem.wildcards)] for pattern in listed)
            found._set_name(name, start, end=None if isinstance(patterns, str) else len(found))
        return found

    return {
        "input_": files(InputFiles, problem.inputs), "output": files(OutputFiles, problem.outputs),
        "params": Params(fromdict=dict(job.params)), "wildcards": Wildcards(fromdict=dict(job.wildcards)),
        "threads": job.threads, "resources": ResourceList(fromdict={"_cores": 1, "_nodes": 1}), "log": Log(),
        "config": {}, "rulename": job.rule, "bench_iteration": None,
    }  # fmt: skip


def preamble_of(problem: Problem, job: Job, paths: Mapping[str, str]) -> str:
    """Snakemake's own lines in front of a script."""
    from snakemake.script import PythonScript
    from snakemake.sourcecache import LocalSourceFile

    preamble: str = PythonScript.generate_preamble(
        path=LocalSourceFile(str(job.workdir / "agents" / f"{job.rule}.py")), cache_path=None, source=None,
        basedir=str(job.workdir), conda_env=None, container_img=None, singularity_args=None, env_modules=None,
        bench_record=None, jobid=1, cleanup_scripts=True, shadow_dir=None, is_local=False,
        **containers(problem, job, paths),
    )  # fmt: skip
    return preamble
