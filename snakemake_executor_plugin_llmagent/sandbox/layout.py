"""Where a job's files lie while a script runs in an empty stage directory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from snakemake_executor_plugin_llmagent.protocols import Item, Job, Layout
from snakemake_executor_plugin_llmagent.sandbox import removal
from snakemake_executor_plugin_llmagent.sandbox.fitness import MAX_DEPTH, opened
from snakemake_executor_plugin_llmagent.spec import Kind

OUTSIDE = "outside"
"""Folder of the stage for outputs whose declared path is not below the working directory."""
MAX_SEEN = 20_000
"""How many entries of an input directory are looked at for links."""
_NO_DATA = ("/proc", "/sys", "/dev")
"""Where a link to data does not lead."""


def plan(job: Job, stage: Path) -> Layout:
    """Decide how a job's files look from inside the stage; touches nothing.

    Relative paths stay what they are. An input elsewhere, or inside a directory that is an output, is seen under its
    absolute path; an output elsewhere gets a place inside the stage and is moved afterwards.
    """
    outputs = (*job.outputs, *job.logs)
    written = {inner for item in outputs if (inner := _inner(item.path)) is not None}
    folders = {inner for item in job.outputs if item.kind is Kind.DIRECTORY and (inner := _inner(item.path))}
    outside = _outside(written | {inner for item in job.inputs if (inner := _inner(item.path)) is not None})
    paths: dict[str, str] = {}
    for number, item in enumerate(outputs):
        inner = _inner(item.path)
        paths[item.path] = inner if inner is not None else f"{outside}/{number}/{_real(job, item).name}"
    links: dict[str, Path] = {}
    for number, item in enumerate(job.inputs):
        inner = _inner(item.path)
        real = _real(job, item)
        if inner is None and item.path in job.stand_ins:
            inner = f"{outside}/inputs/{number}/{Path(item.path).name}"
        if inner is not None and not folders.isdisjoint(_above(inner)):
            inner = None
        paths.setdefault(item.path, inner if inner is not None else str(real))
        if inner is not None:
            links[inner] = real
    return Layout(stage=stage, links=_disjoint(links, written), paths=paths)


def _inner(path: str) -> str | None:
    """The path relative to the working directory, or None if it leads elsewhere."""
    normal = os.path.normpath(path)
    if Path(normal).is_absolute() or normal == ".." or normal.startswith("../"):
        return None
    return normal


def _real(job: Job, item: Item) -> Path:
    """Where an item lies, without `..`, which would lead elsewhere where it is seen by another path."""
    path = job.real(item)
    normal = Path(os.path.normpath(path))
    if ".." in path.parts and (found := os.path.realpath(path)) != os.path.realpath(normal):
        return Path(found)  # the `..` of a directory that is a link
    return normal


def _above(inner: str) -> Iterator[str]:
    """The paths of the directories that hold a relative path, without the working directory itself."""
    return (str(parent) for parent in PurePosixPath(inner).parents if str(parent) != ".")


def _outside(inners: Iterable[str]) -> str:
    """A name for the folder of outputs elsewhere that no path of the job begins with."""
    taken = {inner.partition("/")[0] for inner in inners}
    name = OUTSIDE
    while name in taken:
        name += "_"
    return name


def _disjoint(links: dict[str, Path], written: Iterable[str]) -> dict[str, Path]:
    """Links none of which lies inside another, and through none of which an output would be written.

    An input directory that also holds an output becomes a real directory whose members are links.
    """
    written = set(written)
    holders = {parent for path in written for parent in _above(path)} | {"."}
    result: dict[str, Path] = {}
    pending = sorted(links.items(), key=lambda pair: pair[0].count("/"), reverse=True)
    while pending:
        inner, real = pending.pop()
        if inner in result or inner in written or any(parent in result for parent in _above(inner)):
            continue
        if inner in holders and real.is_dir():
            # Our own folder holds the stage, and no data.
            members = [member for member in sorted(real.iterdir(), reverse=True) if _is_data(inner, member)]
            pending += [(os.path.normpath(f"{inner}/{member.name}"), member) for member in members]
        else:
            result[inner] = real
    return result


def _is_data(inner: str, member: Path) -> bool:
    return inner != "." or member.name != ".snakemake"


def build(layout: Layout, job: Job) -> None:
    """Make the stage: empty folders for the outputs, links to the inputs."""
    layout.stage.mkdir(parents=True)
    for item in (*job.outputs, *job.logs):
        layout.inside(item).parent.mkdir(parents=True, exist_ok=True)
    for inner, real in layout.links.items():
        link = layout.stage / inner
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(real)


def targets(real: Path, limit: int = 1000) -> tuple[Path, ...]:
    """The places outside of an input that symbolic links lead to: the input itself if it is one, and those inside it.

    Each place is given as the link names it and as it is really called, if these differ. Directories among them are
    looked into as well. Loops and links that lead nowhere are left out.

    Args:
        real: an input: a file, a directory, or a link to one.
        limit: how many places at most.
    """
    start = os.path.normpath(real.absolute())
    places = _Places(start)
    pending = places.follow(start) if Path(start).is_symlink() else [start]
    left = MAX_SEEN
    while pending and left > 0 and len(places.found) < limit:
        try:
            with os.scandir(pending.pop()) as entries:
                members = list(islice(entries, left))
        except OSError:
            continue  # a file, or not ours to read
        left -= len(members)
        for member in members:
            if member.is_symlink():
                pending += places.follow(member.path)
            elif member.is_dir(follow_symlinks=False):
                pending.append(member.path)
    return tuple(map(Path, islice(places.found, limit)))


class _Places:
    """Where the links of an input lead."""

    def __init__(self, start: str) -> None:
        self._start = start
        self._real = os.path.realpath(start)
        self.found: dict[str, None] = {}

    def follow(self, link: str) -> list[str]:
        """Note where a link leads, if nothing noted holds that place; what is to be looked into."""
        try:
            end = os.path.realpath(link, strict=True)
            named = os.path.normpath(Path(link).parent / Path(link).readlink())
        except OSError:
            return []  # a loop, or nowhere
        if _holds(_NO_DATA, end):
            return []
        new = [] if self._has(named) else [named]
        # The input is seen under its own path; a link that stays below it needs no other.
        if end != named and not self._has(end) and not (not new and _holds((self._real,), end)):
            new.append(end)
        self.found.update(dict.fromkeys(new))
        return [end] if end in new else []

    def _has(self, place: str) -> bool:
        above = (place, *map(str, PurePosixPath(place).parents))
        return self._start in above or any(path in self.found for path in above)


def _holds(folders: Iterable[str], place: str) -> bool:
    return any(place == folder or place.startswith(f"{folder.rstrip('/')}/") for folder in folders)


def strays(layout: Layout, job: Job, limit: int = 20) -> tuple[str, ...]:
    """Files and links in the stage that nobody declared, at most `limit` of them; what cannot be entered ends in `/`.

    The names are the script's, and have to be cleaned before they are shown.
    """
    declared = {layout.paths[item.path] for item in (*job.outputs, *job.logs)} | set(layout.links)
    try:
        with opened(layout.stage) as folder:
            return tuple(sorted(islice(_undeclared(folder, "", declared), limit)))
    except OSError:
        return ()


def _undeclared(folder: int, above: str, declared: set[str], depth: int = 0) -> Iterator[str]:
    with os.scandir(folder) as entries:
        members = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_folder in members:
        path = f"{above}{name}"
        if path in declared:
            continue
        if not is_folder:
            yield path
        elif depth == MAX_DEPTH:
            yield f"{path}/"
        else:
            yield from _entered(name, folder, f"{path}/", declared, depth + 1)


def _entered(name: str, folder: int, path: str, declared: set[str], depth: int) -> Iterator[str]:
    try:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        yield path
        return
    try:
        yield from _undeclared(inner, path, declared, depth)
    finally:
        os.close(inner)


def remove(stage: Path) -> None:
    """Remove a stage, however a script left it."""
    removal.remove(stage)


def items_by_inside(layout: Layout, items: Iterable[Item]) -> dict[Path, Item]:
    """Place in the stage → item."""
    return {layout.inside(item): item for item in items}
