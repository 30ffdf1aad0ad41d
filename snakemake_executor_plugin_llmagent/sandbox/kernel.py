"""System calls that Python's library does not have. Standard library alone: it runs before any script."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 1, 24, 28
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 36, 38, 47, 4
_SECBITS = 0x2F
"""No privilege for user 0, no change of it with the user, no keeping of capabilities; all locked."""
_CAPABILITY_VERSION_3 = 0x20080522
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_KEYCTL_JOIN_SESSION_KEYRING = 1


def syscall(number: int, *arguments: object) -> int:
    """Make a system call.

    Raises:
        OSError: it failed.
    """
    ctypes.set_errno(0)
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *passed))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, *arguments: int) -> None:
    """Change something about this process.

    Raises:
        OSError: the kernel refuses.
    """
    padded = [*arguments, 0, 0, 0, 0][:4]
    if _libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def signal_at_parents_death(number: int) -> None:
    """Ask for a signal when the thread that started this process ends."""
    prctl(_PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parents end."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    """Give up gaining rights through programs (set-uid and the like) for ever."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every privilege of the superuser, for this process and what it starts."""
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if os.geteuid() == 0:
        for capability in range(_last_capability() + 1):
            try:
                prctl(_PR_CAPBSET_DROP, capability)
            except OSError:
                pass  # not held here (a container took it away)
        try:
            prctl(_PR_SET_SECUREBITS, _SECBITS)
        except OSError:
            pass  # needs a capability that a container took away; then there is nothing to regain either
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    if _libc.capset(ctypes.byref(header), ctypes.byref(none)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def _last_capability() -> int:
    try:
        with open("/proc/sys/kernel/cap_last_cap") as handle:
            return int(handle.read())
    except OSError:
        return 40


def leave_session_keyring() -> None:
    """Replace the session keyring, which may hold Kerberos or AFS tokens, by an empty one."""
    number = _KEYCTL.get(os.uname().machine)
    if number is not None:
        try:
            syscall(number, _KEYCTL_JOIN_SESSION_KEYRING, 0)
        except OSError:
            pass  # no keyrings here, or forbidden; seccomp forbids the script to look at any


def close_descriptors(keep: tuple[int, ...] = ()) -> None:
    """Close everything that was inherited but standard input, output and error."""
    try:
        found = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        found = list(range(3, os.sysconf("SC_OPEN_MAX")))
    for descriptor in found:
        if descriptor > 2 and descriptor not in keep:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the one that listed the directory
