"""What a script left in its stage, looked at without following anything: can it be taken?"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from snakemake_executor_plugin_llmagent.spec import Kind
from snakemake_executor_plugin_llmagent.text import one_line

MISSING = "it is not there"
"""Why an output that was not written cannot be taken."""
MAX_DEPTH = 100
"""How deep the tree of a directory output may be [levels]."""
MAX_ENTRIES = 1_000_000
"""How many entries the tree of a directory output may have."""
MAX_PATH = 3000
"""How long a path below the stage may be [bytes]; no program could open a much longer one at its place."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Unfit(Exception):
    """An output cannot be taken; the text says why, and is fit to be shown."""


def unfit(
    stage: Path, inner: str, kind: Kind | None = None, *, max_depth: int = MAX_DEPTH, max_entries: int = MAX_ENTRIES
) -> str | None:
    """Why an output could not be taken out of a stage, or None; touches nothing.

    It has to be a regular file with one name, of the same owner as the stage, or a tree of such files in real
    directories; and no link may lead to it.

    Args:
        stage: the stage.
        inner: path of the output below it.
        kind: FILE or DIRECTORY; None if either will do.
        max_depth: how deep a tree may be [levels].
        max_entries: how many entries a tree may have.

    Raises:
        OSError: the disk fails.
    """
    try:
        with holder(stage, inner) as (folder, name):
            owners = {os.geteuid(), stage.lstat().st_uid}  # some file systems know other owners than the kernel
            judge = _Judge(owners, max_depth, max_entries)
            judge.look(name, folder, name, kind=kind)
    except Unfit as reason:
        return str(reason)
    return None


@contextmanager
def opened(name: str | Path, within: int | None = None) -> Iterator[int]:
    """A directory, opened without following a link."""
    folder = os.open(name, _FOLDER, dir_fd=within)
    try:
        yield folder
    finally:
        os.close(folder)


def members(folder: int, limit: int | None = None) -> list[str]:
    """The names in an open directory, at most `limit` of them."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, limit)]


@contextmanager
def holder(stage: Path, inner: str) -> Iterator[tuple[int, str]]:
    """The directory that holds an output, reached without following a link, and the output's name in it.

    Raises:
        Unfit: there is no such directory below the stage.
        OSError: the disk fails.
    """
    *above, name = inner.split("/")
    if not all(part not in ("", ".", "..") for part in (*above, name)):
        raise Unfit(f"{one_line(inner)!r} is no path below the stage")
    folder = _deeper(os.fspath(stage), None, "the working directory")
    try:
        for number, part in enumerate(above, start=1):
            deeper = _deeper(part, folder, "/".join(above[:number]))
            os.close(folder)
            folder = deeper
        yield folder, name
    finally:
        os.close(folder)


def _deeper(part: str, folder: int | None, shown: str) -> int:
    mode = _look_at(part, folder).st_mode
    if not stat.S_ISDIR(mode):
        what = "a symbolic link" if stat.S_ISLNK(mode) else "no directory"
        raise Unfit(f"{one_line(shown)} is {what}; leave the directories of the outputs as they are")
    if mode & 0o500 != 0o500:
        raise Unfit(_closed(shown, mode))
    return os.open(part, _FOLDER, dir_fd=folder)


def _look_at(name: str, folder: int | None) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise Unfit(MISSING) from None


def _closed(shown: str, mode: int) -> str:
    return f"{one_line(shown)} has permissions {stat.S_IMODE(mode):03o}, which keep even its owner from reading it"


class _Judge:
    """Looks at one output, member by member."""

    def __init__(self, owners: set[int], max_depth: int, max_entries: int) -> None:
        self._owners = owners
        self._max_depth = max_depth
        self._max_entries = max_entries
        self._entries = 0

    def look(self, name: str, folder: int, shown: str, depth: int = 0, kind: Kind | None = None) -> None:
        """Raise `Unfit` if a member is not as it should be."""
        self._entries += 1
        if self._entries > self._max_entries + 1:
            raise Unfit(f"it holds more than {self._max_entries} files and directories")
        found = _look_at(name, folder)
        reason = self._reason(found, shown, kind)
        if reason is not None:
            raise Unfit(reason)
        if stat.S_ISDIR(found.st_mode):
            with opened(name, folder) as inner:
                names = members(inner, self._max_entries + 1)
                if names and depth == self._max_depth:
                    raise Unfit(f"it is deeper than {self._max_depth} directories")
                for member in names:
                    self.look(member, inner, f"{shown}/{member}", depth + 1)

    def _reason(self, found: os.stat_result, shown: str, kind: Kind | None) -> str | None:
        mode, place = found.st_mode, one_line(shown)
        folder = stat.S_ISDIR(mode)
        if len(os.fsencode(shown)) > MAX_PATH:
            return f"it holds a path of more than {MAX_PATH} bytes"
        if stat.S_ISLNK(mode):
            return f"{place} is a symbolic link; write a regular file"
        if not (folder or stat.S_ISREG(mode)):
            return f"{place} is a special file; write a regular file"
        if not folder and found.st_nlink != 1:
            return f"{place} has {found.st_nlink} names (hard links); write a file of its own"
        if "/" in shown and any(unicodedata.category(each) in ("Cc", "Cf") for each in shown.rpartition("/")[2]):
            return f"{place} has a name with control characters"
        if found.st_uid not in self._owners:
            return f"{place} belongs to another user ({found.st_uid})"
        if mode & (0o500 if folder else 0o400) != (0o500 if folder else 0o400):
            return _closed(shown, mode)
        if kind is not None and folder is not (kind is Kind.DIRECTORY):
            return f"{place} is a directory; write a file" if folder else f"{place} is a file; make it a directory"
        return None
