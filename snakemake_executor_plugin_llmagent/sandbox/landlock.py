"""Landlock: the kernel's own way to let a process give up access to files, ports and other processes.

See landlock(7). It works unprivileged and is inherited by everything that the process starts. Standard library alone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from snakemake_executor_plugin_llmagent.sandbox.kernel import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

(
    EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK,
    MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV,
) = (1 << bit for bit in range(16))  # fmt: skip
FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""Rights that make sense for something that is no directory."""
READ = READ_FILE | READ_DIR
READ_AND_RUN = READ | EXECUTE
WRITE = READ | WRITE_FILE | TRUNCATE | MAKE_DIR | MAKE_REG | MAKE_SYM | REMOVE_DIR | REMOVE_FILE | REFER
"""What a script may do in its own folders: everything but sockets, pipes and devices."""
WRITE_AND_RUN = WRITE | EXECUTE
DEVICE = READ_FILE | WRITE_FILE

_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FILE_RIGHTS_LATER = (1 << 16) - 1
_TCP = 3  # bind and connect; with no rule for any port, none is open
_SCOPES = 3  # abstract sockets and signals stay within the domain
HIGHEST = 6
"""The highest version whose rights are used here."""


def reported_abi() -> int:
    """The version that the kernel says it has, 0 if none."""
    try:
        return syscall(_CREATE_RULESET, 0, 0, _VERSION_FLAG)
    except OSError:
        return 0


def usable_abi(limit: int | None = None) -> int:
    """The highest version that the kernel really accepts, 0 if none.

    Some kernels report more than they accept (RHEL 9 reports 6 and answers EINVAL), so each is tried.

    Args:
        limit: do as if the kernel had none above this.
    """
    abi = reported_abi()
    abi = abi if limit is None else min(abi, limit)
    while abi >= 1:
        try:
            os.close(_create(abi))
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.E2BIG):
                return 0
            abi -= 1
        else:
            return abi
    return 0


def _create(abi: int) -> int:
    """A rule set that handles everything the version knows."""
    attributes = struct.pack("QQQ", file_rights(abi), _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    return syscall(_CREATE_RULESET, ctypes.create_string_buffer(attributes[:size], size), size, 0)


def file_rights(abi: int) -> int:
    """All rights on files that a version knows."""
    return _FILE_RIGHTS.get(abi, _FILE_RIGHTS_LATER)


def restrict(rules: list[tuple[str, int]], abi: int) -> list[str]:
    """Give up all access but what the rules leave; `no_new_privileges` has to be set.

    Args:
        rules: path and rights; a path that is not there is passed over.
        abi: version to use, as `usable_abi` found it.

    Returns:
        The paths that were not there.

    Raises:
        OSError: the kernel refuses.
    """
    handled = file_rights(abi)
    rule_set = _create(abi)
    missing = []
    for path, rights in rules:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            missing.append(path)
            continue
        is_directory = os.fstat(descriptor).st_mode & 0o170000 == 0o040000
        allowed = rights & handled & (-1 if is_directory else FOR_FILES)
        if allowed:
            rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, descriptor), 12)
            syscall(_ADD_RULE, rule_set, _PATH_BENEATH, rule, 0)
        os.close(descriptor)
    syscall(_RESTRICT_SELF, rule_set, 0)
    os.close(rule_set)
    return missing
