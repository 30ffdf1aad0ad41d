"""What a confined process of ours hands back; a file that it has read may have taken it over."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from snakemake_executor_plugin_llmagent.sandbox.fitness import opened

_PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ANSWER_BYTES = 256 << 20
"""How much of an answer is read [bytes]."""


def read_text(path: Path) -> str | None:
    """The text of an ordinary file; None if there is none, or something else. No link is followed."""
    try:
        descriptor = os.open(path, _PLAIN)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as handle:
        return handle.read(ANSWER_BYTES)


def take_files(source: Path, target: Path) -> None:
    """Move the ordinary files of a folder into another one, of which the process knows nothing. No link is followed.

    Raises:
        OSError: the disk fails.
    """
    try:
        with opened(source) as folder:
            for name in os.listdir(folder):
                _take(name, folder, target / name)
    except (FileNotFoundError, NotADirectoryError):
        return  # it has put something else there
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise


def _take(name: str, folder: int, place: Path) -> None:
    try:
        os.rename(name, place, src_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(name, folder, place)
        return
    # Looked at where the process cannot reach it any more: a link, or a file that has another name as well, stays its.
    found = place.lstat()
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(place)
    elif not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        place.unlink()


def _copy(name: str, folder: int, place: Path) -> None:
    try:
        descriptor = os.open(name, _PLAIN, dir_fd=folder)
    except OSError:
        return
    with os.fdopen(descriptor, "rb") as handle:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            with place.open("wb") as sink:
                shutil.copyfileobj(handle, sink)
