"""Noticing files that a script changed outside its stage."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from snakemake_executor_plugin_llmagent.sandbox.collect import is_being_published

SKIPPED = frozenset({".snakemake", ".git", "__pycache__", ".venv", ".pixi", "node_modules"})
MAX_FILES = 50_000
"""Larger projects are not compared: it would take longer than the script."""

Snapshot = dict[Path, tuple[int, int, int]]
"""File → time of last change [ns], size [bytes], inode."""


def take(root: Path, also: Iterable[Path] = ()) -> Snapshot | None:
    """What lies below a directory, and some files elsewhere; None if it is too much to look at."""
    snapshot: Snapshot = {}
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue  # gone meanwhile, or not ours to read
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SKIPPED:
                    pending.append(Path(entry.path))
            elif not is_being_published(entry.name):
                with contextlib.suppress(OSError):  # another job's temporary file, gone meanwhile
                    _note(snapshot, Path(entry.path), entry.stat(follow_symlinks=False))
        if len(snapshot) > MAX_FILES:
            return None
    for path in also:
        try:
            _note(snapshot, path, path.stat())
        except OSError:
            continue
    return snapshot


def _note(snapshot: Snapshot, path: Path, found: os.stat_result) -> None:
    snapshot[path] = (found.st_mtime_ns, found.st_size, found.st_ino)


def changes(before: Snapshot | None, after: Snapshot | None, others: frozenset[Path] | None) -> tuple[str, ...] | None:
    """Files that differ and do not belong to other jobs (nor lie in a directory of theirs); None if not known."""
    if before is None or after is None or others is None:
        return None
    differing = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return tuple(str(path) for path in differing if not _belongs(path, others))


def _belongs(path: Path, others: frozenset[Path]) -> bool:
    # `.NAME.RANDOM` is `.NAME` that is just being written.
    names = (path, path.with_suffix("")) if path.name.startswith(".") else (path,)
    return not others.isdisjoint((*names, *path.parents))
