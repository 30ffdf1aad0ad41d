"""Moving outputs out of a stage, by name, whole or not at all.

A script that wants harm has filled the stage, but none of its processes lives any more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from snakemake_executor_plugin_llmagent.errors import SandboxUnavailable, ScriptEnded
from snakemake_executor_plugin_llmagent.sandbox import removal
from snakemake_executor_plugin_llmagent.sandbox.copies import copy, settle
from snakemake_executor_plugin_llmagent.sandbox.fitness import MISSING as MISSING
from snakemake_executor_plugin_llmagent.sandbox.fitness import Unfit, holder
from snakemake_executor_plugin_llmagent.sandbox.fitness import unfit as unfit
from snakemake_executor_plugin_llmagent.spec import Kind
from snakemake_executor_plugin_llmagent.text import one_line

_ENDING, _KEPT = ".llmagent", ".llmagent-old"
_KEPT_BYTES = 200
"""How much of a name a hidden name repeats [bytes]; a name may have 255."""


class Refused(ScriptEnded):
    """A script left something at the place of an output that cannot be taken; all outputs stay where they were.

    Attributes:
        refusals: where such an output belongs, and why it cannot be taken.
    """

    def __init__(self, refusals: Sequence[tuple[Path, str]]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("; ".join(f"{one_line(str(target))}: {reason}" for target, reason in self.refusals))


class Move(NamedTuple):
    """An output on its way.

    Attributes:
        source: its place in the stage.
        target: where it belongs.
        kind: FILE or DIRECTORY; None if either will do.
    """

    source: Path
    target: Path
    kind: Kind | None = None


def publish(moves: Iterable[tuple[Path, Path] | tuple[Path, Path, Kind | None]], *, stage: Path | None = None) -> None:
    """Move outputs to their places: first beside them under hidden names, then, once all are there, by renaming.

    What was there before is kept aside under a hidden name until all are in place.

    Args:
        moves: place in the stage, target and, if it matters, kind of each output.
        stage: what the script could write; below it no link is followed. Without it, the directory that holds an
            output is trusted.

    Raises:
        Refused: an output is not a file or a tree of files of its own; nothing was moved.
        SandboxUnavailable: an output cannot be moved, for example because the disk is full; what was there before
            is still there, and no half of a file is left.
    """
    todo = [Move(*move) for move in moves]
    ready: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        _raise_if_unfit(todo, stage)
        for move in todo:
            ready.append((_bring_near(move, stage), move.target))
        for near, target in ready:
            _discard(_aside(target))
            if os.path.lexists(target):
                target.replace(_aside(target))
            placed.append(target)
            near.replace(target)
    except (OSError, Unfit) as error:
        for target in reversed(placed):
            _put_back(target)
        for near, _ in ready:
            _discard(near)
        raise SandboxUnavailable(f"An output cannot be put in place: {error}.") from error
    for target in placed:
        _discard(_aside(target))


def _raise_if_unfit(moves: Iterable[Move], stage: Path | None) -> None:
    reasons = ((move.target, unfit(*_place(move, stage), move.kind)) for move in moves)
    refusals = [(target, reason) for target, reason in reasons if reason is not None]
    if refusals:
        raise Refused(refusals)


def _place(move: Move, stage: Path | None) -> tuple[Path, str]:
    """What is trusted, and the path from there to the output."""
    if stage is None:
        return move.source.parent, move.source.name
    return stage, os.path.relpath(move.source, stage)


def _put_back(target: Path) -> None:
    with contextlib.suppress(OSError):  # then it stays beside its place, under its hidden name
        _discard(target)
        if os.path.lexists(_aside(target)):
            _aside(target).replace(target)


def _bring_near(move: Move, stage: Path | None) -> Path:
    """Move a file to a hidden name in the directory of its target; copies where a rename cannot reach."""
    move.target.parent.mkdir(parents=True, exist_ok=True)
    near, umask = _near(move.target), _umask()
    _discard(near)
    with holder(*_place(move, stage)) as (folder, name):
        settle(name, folder, umask)
        try:
            os.rename(name, near, src_dir_fd=folder)
        except OSError:
            try:
                copy(name, folder, near, None, umask)
            except (OSError, Unfit):
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
    return target.with_name(f".{_short(target.name)}{_ENDING}")


def _aside(target: Path) -> Path:
    """Where what was there before is meanwhile."""
    return target.with_name(f".{_short(target.name)}{_KEPT}")


def _short(name: str) -> str:
    """The name; if it is long, its beginning and what tells it from others that begin so."""
    data = os.fsencode(name)
    if len(data) <= _KEPT_BYTES:
        return name
    return f"{os.fsdecode(data[:_KEPT_BYTES])}-{hashlib.sha256(data).hexdigest()[:16]}"


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
        removal.remove(path)
    else:
        path.unlink(missing_ok=True)
