"""Removing a tree, however a script left it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import uuid
from itertools import count
from pathlib import Path

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(path: Path) -> None:
    """Remove a file, a link or a tree: of any depth, with any permissions, and never what a link leads to.

    What cannot be removed stays.
    """
    try:
        root = _opened(path, None)
    except FileNotFoundError:
        return
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()  # no directory
        return
    try:
        _flatten(root)
    finally:
        os.close(root)
    with contextlib.suppress(OSError):
        path.rmdir()
    if os.path.lexists(path):  # a file system where directories cannot be moved, or one that is full
        command = ["rm", "-rf", "--one-file-system", "--", os.fspath(path.absolute())]
        with contextlib.suppress(OSError):
            subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _flatten(root: int) -> None:
    """Empty a directory.

    A directory is moved to the top of the tree before it is entered, so that neither the depth of the tree nor the
    length of a path matters, and two descriptors are enough.
    """
    top = _Top(root)
    pending = _empty(root, None)
    while pending:
        name = pending.pop()
        with contextlib.suppress(OSError):
            folder = _opened(name, root)
            try:
                pending += _empty(folder, top)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=root)


class _Top:
    """The directory to which all others are moved."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._prefix = uuid.uuid4().hex
        self._numbers = count()

    def take(self, name: str, folder: int) -> str:
        """Move a directory here; its new name."""
        new = f"{self._prefix}-{next(self._numbers)}"
        try:
            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=self._folder)
        except PermissionError:  # who moves a directory to another one writes into it
            _open_up(name, folder)
            os.rename(name, new, src_dir_fd=folder, dst_dir_fd=self._folder)
        return new


def _empty(folder: int, top: _Top | None) -> list[str]:
    """Remove what a directory holds, but for subdirectories, which are moved to the top.

    Args:
        folder: the directory.
        top: where to; None for the top itself.

    Returns:
        The names that these subdirectories have at the top.
    """
    left: dict[str, None] = {}
    progress = True
    while progress:  # not every file system shows all entries while some are removed
        progress = False
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.name, dir_fd=folder)
                    elif top is None:
                        left[entry.name] = None
                        continue
                    else:
                        left[top.take(entry.name, folder)] = None
                    progress = True
    return list(left)


def _opened(name: str | Path, within: int | None) -> int:
    """A directory that can be emptied."""
    try:
        folder = os.open(name, os.O_RDONLY | _FOLDER, dir_fd=within)
    except PermissionError:
        _open_up(name, within)
        folder = os.open(name, os.O_RDONLY | _FOLDER, dir_fd=within)
    if os.fstat(folder).st_mode & 0o700 != 0o700:
        with contextlib.suppress(OSError):
            os.fchmod(folder, 0o700)
    return folder


def _open_up(name: str | Path, within: int | None) -> None:
    """Give ourselves all rights to a directory, without following a link."""
    folder = os.open(name, os.O_PATH | _FOLDER, dir_fd=within)
    try:
        Path(f"/proc/self/fd/{folder}").chmod(0o700)
    finally:
        os.close(folder)
