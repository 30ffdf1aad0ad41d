"""Scripts of the corpus run as they are, without sandbox and checks, in processes forked off one that is warmed up."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Contents
from snakemake_executor_plugin_llmagent.data.load import load
from tests.corpus.jobs import containers, job_of
from tests.corpus.problems import Problem

PRELOADED = [
    "numpy", "pyarrow.parquet", "uproot", "awkward", "hist", "scipy.optimize", "iminuit", "matplotlib.pyplot",
    "snakemake.iocontainers", "tests.corpus.jobs",
]  # fmt: skip
SECONDS = 120


def run(problem: Problem, script: str, inputs: Path, place: Path) -> str:
    """Run a script in a directory of its own; returns what it printed.

    Raises:
        RuntimeError: it failed, or did not write an output; the text says how.
    """
    place.mkdir(parents=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(problem.name, script, str(inputs), str(place), sender, _others(problem))
    )
    process.start()
    sender.close()
    try:
        answer = receiver.recv() if receiver.poll(SECONDS) else ("", "no answer in time")
    except EOFError:
        answer = ("", "the process ended without an answer")
    process.kill()
    process.join()
    log, problems = answer
    if problems:
        raise RuntimeError(f"{problems}\n{log}")
    missing = [item.path for item in job_of(problem, place).outputs if not (place / item.path).is_file()]
    if missing:
        raise RuntimeError(f"not written: {missing}\n{log}")
    return str(log)


def _others(problem: Problem) -> dict[str, Any]:
    return {"outputs": problem.outputs, "params": problem.params}


def _child(name: str, script: str, inputs: str, place: str, sender: Any, others: Mapping[str, Any]) -> None:
    from dataclasses import replace

    from snakemake.iocontainers import Snakemake

    from tests.corpus.problems import load as load_problem

    problem = replace(load_problem(name), **others)
    os.chdir(place)
    job = job_of(problem, Path(place))
    paths = {item.path: str(Path(inputs) / item.path) for item in job.inputs}
    paths |= {item.path: item.path for item in job.outputs}
    for item in job.outputs:
        Path(item.path).parent.mkdir(parents=True, exist_ok=True)
    made = Snakemake(**containers(problem, job, paths), scriptdir=None)
    log, problems = io.StringIO(), ""
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        try:
            code = compile(script, f"{name}.py", "exec")
            exec(code, {"__name__": "__main__", "snakemake": made})
        except SystemExit as end:
            problems = f"exit status {end.code}" if end.code else ""
        except BaseException:
            problems = traceback.format_exc()
    sender.send((log.getvalue(), problems))


def different(problem: Problem, one: Path, other: Path, tolerance: float = 1e-7) -> list[str]:
    """Where the outputs in two directories differ: names of columns, keys, histograms and images."""
    found: list[str] = []
    for item in job_of(problem, one).outputs:
        if not (one / item.path).is_file() or not (other / item.path).is_file():
            found.append(item.path)
            continue
        found += [
            f"{item.path}: {text}" for text in _contents(load(one / item.path), load(other / item.path), tolerance)
        ]
    return found


def _contents(one: Contents, other: Contents, tolerance: float) -> list[str]:
    if one.document is not None or other.document is not None:
        return _documents(one.document, other.document, "", tolerance)
    found = []
    mine, yours = ({s.name: s for s in contents.sheets} for contents in (one, other))
    for name in {*mine, *yours}:
        if name not in mine or name not in yours or set(mine[name].columns) != set(yours[name].columns):
            found.append(f"table {name}")
            continue
        for column, array in mine[name].columns.items():
            if not _same(array.values, yours[name].columns[column].values, tolerance):
                found.append(column)
    drawn, drawn_too = ({h.name: h for h in contents.histograms} for contents in (one, other))
    for name in {*drawn, *drawn_too}:
        if name not in drawn or name not in drawn_too:
            found.append(f"histogram {name}")
            continue
        for part in ("values", "variances"):
            if not _same(getattr(drawn[name], part), getattr(drawn_too[name], part), tolerance):
                found.append(f"{name} {part}")
    if one.pixels is not None and not _same(one.pixels, other.pixels, 0.0):
        found.append("pixels")
    return found


def _same(one: Any, other: Any, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "fiub" and other.dtype.kind in "fiub":
        if one.dtype.kind in "iu" and other.dtype.kind in "iu":
            return bool((one == other).all())
        return bool(np.allclose(one.astype(float), other.astype(float), rtol=tolerance, atol=0, equal_nan=True))
    return bool((one == other).all())


def _documents(one: Any, other: Any, place: str, tolerance: float) -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{place}.{key}" for key in {*one} ^ {*other}]
        for key in one.keys() & other.keys():
            found += _documents(one[key], other[key], f"{place}.{key}", tolerance)
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = []
        for i, (mine, yours) in enumerate(zip(one, other, strict=True)):
            found += _documents(mine, yours, f"{place}[{i}]", tolerance)
        return found
    if isinstance(one, int | float) and isinstance(other, int | float):
        return [] if _same(float(one), float(other), tolerance) else [place]
    return [] if one == other else [place]


def clean(place: Path) -> None:
    """Remove what a script wrote."""
    shutil.rmtree(place, ignore_errors=True)
