"""One author per script, also across processes and machines that share the project."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError


@contextmanager
def one_author(script: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the right to write a script; also proves, before a model is asked, that it can be stored.

    Args:
        script: where it will lie.
        while_waiting: called several times a second while somebody else holds it; may raise.

    Raises:
        ConfigError: the folder of the scripts cannot be written.
    """
    marker = _marker(script)
    descriptor = _acquire(marker, while_waiting)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            marker.unlink()
        os.close(descriptor)


def forget_dead_author(script: Path) -> None:
    """Remove the mark of an author that was killed; that of a living one stays."""
    marker = _marker(script)
    try:
        descriptor = os.open(marker, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still(marker, descriptor):
            marker.unlink()
    except OSError:
        return  # its author lives, or the folder cannot be written
    finally:
        os.close(descriptor)


def _marker(script: Path) -> Path:
    return script.with_name(f".{script.stem}.authoring")


def _acquire(marker: Path, while_waiting: Callable[[], None]) -> int:
    while True:
        try:
            marker.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                f"Scripts cannot be stored in {marker.parent}: {error.strerror}. Make the folder writable, "
                "or run with scripts that are frozen already."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            while_waiting()
            time.sleep(0.2)
            continue
        except OSError:
            return descriptor  # a file system without locks: better one author too many than none
        if _is_still(marker, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(marker: Path, descriptor: int) -> bool:
    """Whether the name still leads to the file that was locked; its last holder may have removed it meanwhile."""
    try:
        found, held = marker.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)
