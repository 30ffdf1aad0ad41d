"""Moving outputs out of a stage, by name, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable

_ENDING = ".llmagent"


def _members(path: Path) -> Iterable[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        for folder, names, files in os.walk(path):
            yield from (Path(folder) / name for name in (*names, *files))


def publish(moves: Iterable[tuple[Path, Path]]) -> None:
    """Move outputs to their places: first beside them under hidden names, then, once all are there, by renaming.

    Raises:
        SandboxUnavailable: an output cannot be moved, for example because the disk is full; what was there before
            is still there, and no half of a file is left.
    """
    ready: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            ready.append((_bring_near(source, target), target))
        for near, target in ready:
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            elif near.is_dir():
                target.unlink(missing_ok=True)  # a directory replaces neither a file nor a link
            near.replace(target)
    except OSError as error:
        for near, _ in ready:
            _discard(near)
        raise SandboxUnavailable(f"An output cannot be put in place: {error}.") from error


def _bring_near(source: Path, target: Path) -> Path:
    """Move a file to a hidden name in the directory of its target; copies where a rename cannot reach."""
    target.parent.mkdir(parents=True, exist_ok=True)
    near = _near(target)
    _discard(near)
    for place in _members(source):
        place.chmod(0o755 if place.is_dir() else 0o644)
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
        _discard(_near(target))
        _discard(target)


def _near(target: Path) -> Path:
    """The hidden name; always the same one, so that a leftover can be found."""
    return target.with_name(f".{target.name[:200]}{_ENDING}")


def is_being_published(name: str) -> bool:
    """Whether a file's name is such a hidden name."""
    return name.startswith(".") and name.endswith(_ENDING)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
