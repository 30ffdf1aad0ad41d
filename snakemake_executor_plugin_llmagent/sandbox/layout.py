"""Where a job's files lie while a script runs in an empty stage directory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from snakemake_executor_plugin_llmagent.protocols import Item, Job, Layout

OUTSIDE = "outside"
"""Folder of the stage for outputs whose declared path is not below the working directory."""


def plan(job: Job, stage: Path) -> Layout:
    """Decide how a job's files look from inside the stage; touches nothing.

    Relative paths stay what they are. An input elsewhere is seen under its absolute path; an output elsewhere gets a
    place inside the stage and is moved afterwards.
    """
    paths: dict[str, str] = {}
    for number, item in enumerate((*job.outputs, *job.logs)):
        inner = _inner(item.path)
        paths[item.path] = inner if inner is not None else f"{OUTSIDE}/{number}/{Path(item.path).name}"
    links: dict[str, Path] = {}
    for item in job.inputs:
        inner = _inner(item.path)
        real = Path(os.path.normpath(job.real(item)))
        paths.setdefault(item.path, inner if inner is not None else str(real))
        if inner is not None:
            links[inner] = real
    written = {inner for item in (*job.outputs, *job.logs) if (inner := _inner(item.path)) is not None}
    return Layout(stage=stage, links=_disjoint(links, written), paths=paths)


def _inner(path: str) -> str | None:
    """The path relative to the working directory, or None if it leads elsewhere."""
    normal = os.path.normpath(path)
    if Path(normal).is_absolute() or normal == ".." or normal.startswith("../"):
        return None
    return normal


def _disjoint(links: dict[str, Path], written: Iterable[str]) -> dict[str, Path]:
    """Links none of which lies inside another, and through none of which an output would be written.

    An input directory that also holds an output becomes a real directory whose members are links.
    """
    written = set(written)
    result: dict[str, Path] = {}
    pending = sorted(links.items(), key=lambda pair: pair[0].count("/"), reverse=True)
    while pending:
        inner, real = pending.pop()
        if any(inner == other or inner.startswith(f"{other}/") for other in result):
            continue
        if inner in written:
            continue
        holds_output = any(inner == "." or path.startswith(f"{inner}/") for path in written)
        if (holds_output or inner == ".") and real.is_dir():
            members = sorted(real.iterdir(), reverse=True)
            pending += [(os.path.normpath(f"{inner}/{member.name}"), member) for member in members]
        else:
            result[inner] = real
    return result


def build(layout: Layout, job: Job) -> None:
    """Make the stage: empty folders for the outputs, links to the inputs."""
    layout.stage.mkdir(parents=True)
    for item in (*job.outputs, *job.logs):
        layout.inside(item).parent.mkdir(parents=True, exist_ok=True)
    for inner, real in layout.links.items():
        link = layout.stage / inner
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(real)


def strays(layout: Layout, job: Job, limit: int = 20) -> tuple[str, ...]:
    """Files in the stage that nobody declared, at most `limit` of them."""
    declared = {layout.inside(item) for item in (*job.outputs, *job.logs)}
    declared |= {layout.stage / inner for inner in layout.links}
    found: list[str] = []
    for folder, names, files in os.walk(layout.stage):
        here = Path(folder)
        names[:] = [name for name in names if here / name not in declared]
        found += [str((here / name).relative_to(layout.stage)) for name in files if here / name not in declared]
        if len(found) > limit:
            break
    return tuple(sorted(found)[:limit])


def remove(stage: Path) -> None:
    """Remove a stage, however a script left it."""
    try:
        shutil.rmtree(stage)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        # A tree too deep or without permissions for rmtree.
        subprocess.run(["chmod", "-R", "u+rwX", str(stage)], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", str(stage)], check=False)


def items_by_inside(layout: Layout, items: Iterable[Item]) -> dict[Path, Item]:
    """Place in the stage → item."""
    return {layout.inside(item): item for item in items}
