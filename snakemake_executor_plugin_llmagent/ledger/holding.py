"""Holding a ledger for oneself, among threads, processes and machines.

`flock` is let go by the kernel when its holder dies, so a kill leaves nothing behind; it works on local file systems,
and between the machines that mount NFS (where Linux asks the server), GPFS, CephFS, and Lustre with `-o flock`. Where a
file system has no locks, a file made by `link()` takes its place, which is atomic everywhere, NFS included. Such a file
outlives a killed holder: it says who holds it, and is taken away once that process is dead or, if it was on another
machine, when it is older than any holder needs. `lockf` would be let go whenever a process closes any descriptor of the
file, and does not tell threads apart.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.ledger.owner import is_dead, own_start, this_host

PATIENCE_SECONDS = 120.0
"""How long to wait for a ledger; whoever holds it needs milliseconds [s]."""
STALE_SECONDS = 60.0
"""How old the file of a holder on another machine has to be before it is taken for a dead one's [s]."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_THREADS: dict[Path, threading.Lock] = {}
_GUARD = threading.Lock()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Within it, nobody else works on a ledger.

    Raises:
        ConfigError: somebody has held it for minutes.
        OSError: nothing can be written there.
    """
    with _GUARD:
        turn = _THREADS.setdefault(path, threading.Lock())
    with turn:
        deadline = time.monotonic() + PATIENCE_SECONDS
        marker = path.with_name(f".{path.name}.lock")
        descriptor = os.open(marker, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if _flocked(descriptor, path, deadline):
                yield
                return
            with _linked(path, deadline):
                yield
        finally:
            os.close(descriptor)


def _flocked(descriptor: int, path: Path, deadline: float) -> bool:
    """Lock a file that is never removed; False if this file system has no locks."""
    pause = 0.0002
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _wait(path, deadline, pause)
            pause = min(pause * 1.5, 0.02)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
        else:
            return True


@contextmanager
def _linked(path: Path, deadline: float) -> Iterator[None]:
    """Hold the name of a file that only one process can make."""
    name = path.with_name(f".{path.name}.held")
    mine = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    mine.write_text(json.dumps([os.getpid(), this_host(), own_start()]))
    try:
        pause = 0.001
        while not _link(mine, name):
            if _is_stale(name):
                _take_away(name)
            else:
                _wait(path, deadline, pause)
                pause = min(pause * 1.5, 0.05)
        try:
            yield
        finally:
            name.unlink(missing_ok=True)
    finally:
        mine.unlink(missing_ok=True)


def _link(mine: Path, name: Path) -> bool:
    with contextlib.suppress(FileExistsError):
        os.link(mine, name)
    # Over NFS the answer to a link that was made may get lost; the number of names tells.
    return mine.stat().st_nlink == 2


def _is_stale(name: Path) -> bool:
    try:
        pid, host, start = json.loads(name.read_text())
        age = time.time() - name.stat().st_mtime
    except (OSError, ValueError):
        return False  # let go meanwhile
    return is_dead(pid, host, start) or (host != this_host() and age > STALE_SECONDS)


def _take_away(name: Path) -> None:
    """Remove a dead holder's file, once: of several who try, one gets to rename it, and looks again."""
    aside = name.with_name(f"{name.name}.{uuid.uuid4().hex}")
    try:
        name.rename(aside)
    except FileNotFoundError:
        return
    if not _is_stale(aside):
        with contextlib.suppress(FileExistsError):  # a living holder's, made meanwhile: give it back
            os.link(aside, name)
    aside.unlink(missing_ok=True)


def _wait(path: Path, deadline: float, pause: float) -> None:
    if time.monotonic() > deadline:
        raise ConfigError(
            f"The ledger {path} has been held by another process for {PATIENCE_SECONDS:g} s. Look for a Snakemake that "
            "is stopped, and end it."
        )
    time.sleep(pause)
