"""Moving outputs out of a stage, by name, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable

_ENDING, _KEPT = ".llmagent", ".llmagent-old"


def _members(path: Path) -> Iterable[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        for folder, names, files in os.walk(path):
            yield from (Path(folder) / name for name in (*names, *files))


def publish(moves: Iterable[tuple[Path, Path]]) -> None:
    """Move outputs to their places: first beside them under hidden names, then, once all are there, by renaming.

    What was there before is kept aside under a hidden name until all are in place.

    Raises:
        SandboxUnavailable: an output cannot be moved, for example because the disk is full; what was there before
            is still there, and no half of a file is left.
    """
    ready: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        for source, target in moves:
            ready.append((_bring_near(source, target), target))
        for near, target in ready:
            _discard(_aside(target))
            if os.path.lexists(target):
                target.replace(_aside(target))
            placed.append(target)
            near.replace(target)
    except OSError as error:
        for target in reversed(placed):
            _put_back(target)
        for near, _ in ready:
            _discard(near)
        raise SandboxUnavailable(f"An output cannot be put in place: {error}.") from error
    for target in placed:
        _discard(_aside(target))


def _put_back(target: Path) -> None:
    with contextlib.suppress(OSError):  # then it stays beside its place, under its hidden name
        _discard(target)
        if os.path.lexists(_aside(target)):
            _aside(target).replace(target)


def _bring_near(source: Path, target: Path) -> Path:
    """Move a file to a hidden name in the directory of its target; copies where a rename cannot reach."""
    target.parent.mkdir(parents=True, exist_ok=True)
    near = _near(target)
    _discard(near)
    allowed = ~_umask()
    for place in _members(source):
        place.chmod((0o777 if place.is_dir() else 0o666) & allowed)
    try:
        source.rename(near)
    except OSError:
        try:
            if source.is_dir():
                shutil.copytree(source, near)
            else:
                shutil.copyfile(source, near)
        except OSError:
            _discard(near)
            raise
    return near


def clear(targets: Iterable[Path]) -> None:
    """Remove outputs, and what a publishing that was killed left beside them."""
    for target in targets:
        for place in (_near(target), _aside(target), target):
            _discard(place)


def _near(target: Path) -> Path:
    """The hidden name; always the same one, so that a leftover can be found."""
    return target.with_name(f".{target.name[:200]}{_ENDING}")


def _aside(target: Path) -> Path:
    """Where what was there before is meanwhile."""
    return target.with_name(f".{target.name[:200]}{_KEPT}")


def is_being_published(name: str) -> bool:
    """Whether a file's name is such a hidden name."""
    return name.startswith(".") and name.endswith((_ENDING, _KEPT))


def _umask() -> int:
    """The process's umask, read without changing it (changing it races with other threads)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
