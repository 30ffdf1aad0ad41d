"""Giving what a script wrote ordinary permissions, and copying it where a rename cannot reach."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from snakemake_executor_plugin_llmagent.sandbox.fitness import Unfit, members, opened

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


def settle(name: str, folder: int, umask: int) -> None:
    """Give a file or a tree the permissions that a new one has; nothing runs with the rights of its owner.

    Raises:
        Unfit: it is not what it was when it was judged.
        OSError: the disk fails.
    """
    descriptor = os.open(name, _READ, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        _judge_again(name, found)
        if stat.S_ISDIR(found.st_mode):
            for member in members(descriptor):
                settle(member, descriptor, umask)
        _set_mode(descriptor, umask)
        _forget(descriptor)
    finally:
        os.close(descriptor)


def _forget(descriptor: int) -> None:
    """Take off hidden attributes and times: neither is what the rule asked for, and Snakemake goes by times."""
    os.utime(descriptor)
    try:
        names = os.listxattr(descriptor)
    except OSError:
        return  # a file system without attributes
    for name in names:
        if name.startswith("user."):
            os.removexattr(descriptor, name)


def copy(name: str, folder: int, target: str | Path, within: int | None, umask: int) -> None:
    """Copy a file or a tree, from descriptor to descriptor: contents and holes, no attributes.

    Args:
        name: what to copy.
        folder: the directory that holds it.
        target: the new name, which must not exist.
        within: the directory that the new name is relative to.
        umask: what the new permissions lack.

    Raises:
        Unfit: it is not what it was when it was judged.
        OSError: the disk fails.
    """
    source = os.open(name, _READ, dir_fd=folder)
    try:
        found = os.fstat(source)
        _judge_again(name, found)
        if stat.S_ISDIR(found.st_mode):
            os.mkdir(target, 0o700, dir_fd=within)
            with opened(target, within) as new:
                for member in members(source):
                    copy(member, source, member, new, umask)
                _set_mode(new, umask)
            return
        new = os.open(target, _WRITE, 0o600, dir_fd=within)
        try:
            _copy_data(source, new, found.st_size)
            _set_mode(new, umask)
        finally:
            os.close(new)
    finally:
        os.close(source)


def _judge_again(name: str, found: os.stat_result) -> None:
    ordinary = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
    if not ordinary:
        raise Unfit(f"{name!r} changed while it was taken")


def _set_mode(descriptor: int, umask: int) -> None:
    mode = os.fstat(descriptor).st_mode
    wanted = (0o777 if stat.S_ISDIR(mode) else 0o666) & ~umask
    if stat.S_IMODE(mode) != wanted:
        os.fchmod(descriptor, wanted)


def _copy_data(source: int, target: int, size: int) -> None:
    """Copy what a file holds; where it has holes, the copy has them too."""
    position = 0
    while position < size:
        start, end = _data_after(source, position, size)
        while start < end:
            data = os.pread(source, min(_CHUNK, end - start), start)
            if not data:
                return  # shorter than it was
            start += os.pwrite(target, data, start)
        position = end
    os.ftruncate(target, size)


def _data_after(source: int, position: int, size: int) -> tuple[int, int]:
    """The first stretch of a file that is no hole; at the end of the file there is an empty one."""
    try:
        start = os.lseek(source, position, os.SEEK_DATA)
        return start, os.lseek(source, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # this file system does not tell
            return position, size
        raise
