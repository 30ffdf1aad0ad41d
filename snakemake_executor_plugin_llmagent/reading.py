"""Describing files that nobody trusts, in a process that is confined as a script is.

Files can be made to break what reads them: damaged metadata hangs or ends a native library, and uproot runs code that
it makes from a file's own description of its classes. So files are read behind the same walls as scripts, with nothing
in sight but the files themselves.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.descriptions import Column, FileDescription, Table
from snakemake_executor_plugin_llmagent.sandbox import alone, handed, process
from snakemake_executor_plugin_llmagent.sandbox.confined import Ground, told_to_read
from snakemake_executor_plugin_llmagent.sandbox.order import Report

SECONDS = 120.0
"""How long reading may take, for all files that are asked for at once [s]."""


class ConfinedReader:
    """Describes files behind walls; implements `protocols.Describe`.

    A description holds as long as its file is not written again.
    """

    def __init__(
        self,
        ground: Ground,
        folder: Callable[[], Path],
        token: Callable[[], str],
        cancelled: threading.Event,
        quick: Callable[[Sequence[Path]], object] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            ground: what scripts of this run have in common.
            folder: makes up a place for a folder that a killed run leaves to the next one to remove.
            token: makes up a mark for a supervisor.
            cancelled: set when everything has to end.
            quick: tells of files as such a process would, a list, if one is at hand for them.
        """
        self._quick = quick
        self._ground = ground
        self._folder = folder
        self._token = token
        self._cancelled = cancelled
        self._known: dict[tuple[Path, tuple[int, ...]], FileDescription] = {}

    def __call__(self, path: Path) -> FileDescription:
        """What a file or directory holds.

        Raises:
            FileNotFoundError: there is nothing at this path.
        """
        self.read_ahead([path])
        return self._known[path, _identity(path)]

    def read_ahead(self, paths: Sequence[Path]) -> None:
        """Describe several at once, which saves time; those that are not there are passed over."""
        pending = [path for path in paths if path.exists() and (path, _identity(path)) not in self._known]
        for path, description in zip(pending, self._ask_quickly(pending), strict=False):
            self._known[path, _identity(path)] = description
        pending = [path for path in pending if (path, _identity(path)) not in self._known]
        while pending:
            found, report = self._ask(pending)
            for path, description in zip(pending, found, strict=False):
                self._known[path, _identity(path)] = description
            left = pending[len(found) :]
            if left:
                # The first that is left has ended the reader; the others get another chance.
                self._known[left[0], _identity(left[0])] = _broken(left[0], report)
            pending = left[1:]
        missing = next((path for path in paths if not path.exists()), None)
        if missing is not None and len(paths) == 1:
            raise FileNotFoundError(2, os.strerror(2), str(missing))

    def _ask_quickly(self, paths: Sequence[Path]) -> list[FileDescription]:
        """Descriptions of the first files, as far as there are any without starting a process."""
        told = self._quick(paths) if paths else None
        return _descriptions(paths, told) if isinstance(told, list) else []

    def _ask(self, paths: Sequence[Path]) -> tuple[list[FileDescription], Report]:
        base = self._folder()
        base.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="read-", dir=base, ignore_cleanup_errors=True) as place:
            folder = Path(place)
            order = told_to_read(self._ground, folder, paths, SECONDS)
            question, answer = folder / "question.json", order.stage / "answer.jsonl"
            question.write_text(json.dumps([str(path) for path in paths]), encoding="utf-8")
            order = replace(order, script=question)
            command = (sys.executable, "-P", alone.__file__, "describe", str(question), str(answer))
            report = process.run(
                order, command, environment=self._ground.outer, token=self._token(), cancelled=self._cancelled
            )
            return _read_answer(answer, paths), report


def _identity(path: Path) -> tuple[int, ...]:
    status = path.stat()
    inner = () if not path.is_dir() else tuple(sorted(_times(path)))
    return (status.st_ino, status.st_dev, status.st_size, status.st_mtime_ns, *inner)


def _times(folder: Path) -> list[int]:
    return [entry.stat(follow_symlinks=False).st_mtime_ns for entry in os.scandir(folder)]


def _broken(path: Path, report: Report) -> FileDescription:
    how = f"reading it was ended ({report.ending})"
    if report.ending == "exit":
        how = f"what reads it ended with status {report.returncode}"
    size = path.stat().st_size
    return FileDescription(path=path, format="binary", size_bytes=size, opened=False, problem=f"cannot be read: {how}")


# --- the answer: it comes from a process that a file may have taken over ---------------------------------------------


def _read_answer(answer: Path, paths: Sequence[Path]) -> list[FileDescription]:
    return _descriptions(paths, map(_told, (handed.read_text(answer) or "").splitlines()))


def _told(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None  # half a line


def _descriptions(paths: Sequence[Path], told: Iterable[object]) -> list[FileDescription]:
    """The descriptions that a process has told of the first of these files, up to what is none."""
    found: list[FileDescription] = []
    for path, one in zip(paths, told, strict=False):
        if not isinstance(one, dict):
            break
        try:
            json.dumps(one, ensure_ascii=False).encode()  # half of a surrogate pair could be stored nowhere
            found.append(_description(path, one))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
            break
    return found


def _description(path: Path, told: dict[str, Any]) -> FileDescription:
    tables = tuple(_table(entry) for entry in told.pop("tables"))
    told["path"] = path
    made = FileDescription(**told, tables=tables)
    text = (str, type(None))
    _must_be(made, format=str, size_bytes=int, excerpt=text, problem=text, opened=(bool, type(None)))
    return made


def _table(told: dict[str, Any]) -> Table:
    columns = tuple(_column(entry) for entry in told.pop("columns"))
    made = Table(**told, columns=columns)
    _must_be(made, name=str, kind=str, looked_at=int, note=(str, type(None)), entries=(int, type(None)))
    return made


def _column(told: dict[str, Any]) -> Column:
    per_entry = told.pop("per_entry")
    examples = tuple(str(example) for example in told.pop("examples"))
    made = Column(
        **told, examples=examples, per_entry=None if per_entry is None else (int(per_entry[0]), int(per_entry[1]))
    )
    number, text = (int, float, type(None)), (str, type(None))
    _must_be(made, name=str, type=str, title=text, unit=text, minimum=number, maximum=number, mean=number)
    _must_be(made, n_values=int, n_nonfinite=int, n_distinct_capped=int)
    return made


def _must_be(made: object, **types: Any) -> None:
    for name, kind in types.items():
        value = getattr(made, name)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:  # a truth value is no number
            raise TypeError(name)
