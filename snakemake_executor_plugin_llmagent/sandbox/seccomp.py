"""A seccomp filter: system calls that no analysis needs, and that neither Landlock nor a namespace covers.

It refuses by name, so that libraries go on working: programs under test include numpy, uproot, pyarrow, HDF5, ROOT and
TensorFlow. See seccomp(2); the filter is classic BPF, checked by the kernel when it is loaded. Standard library alone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from snakemake_executor_plugin_llmagent.sandbox.kernel import prctl
from snakemake_executor_plugin_llmagent.sandbox.syscalls import AUDIT, NUMBERS

Instruction = tuple[int, int, int, int]
"""Code, how many to skip if true, if false, and a value."""

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020000
"""`CLONE_NEW*` (user, process, network, mount, host name, IPC, cgroup); for `clone` the low byte is a signal."""
_AF_UNIX = 1
_SOCK_STREAM, _SOCK_TYPE = 1, 0xF
_PRIO_PROCESS, _IOPRIO_WHO_PROCESS = 0, 1
_FORBIDDEN_IOCTLS = (
    0x5412, 0x541C, 0x5423, 0x541D, 0x40086602, 0x40046602, 0x401C5820, 0x40087602, 0x40806685,
)  # fmt: skip
"""TIOCSTI and TIOCLINUX type into a terminal; TIOCSETD and TIOCCONS take one over. The others change the flags of a
file (immutable and the like: FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, FS_IOC_SETVERSION, FS_IOC_ENABLE_VERITY), for which
a descriptor for reading is enough."""
_FORBIDDEN_FCNTLS = (8, 10, 15)
"""F_SETOWN, F_SETSIG and F_SETOWN_EX make the kernel send any signal to any process of the user."""
_O_TRUNC, _O_ACCMODE, _O_RDONLY = 0o1000, 3, 0

FORBIDDEN = (
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd",
    "keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "memfd_secret",
    "mount", "umount2", "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount", "open_tree",
    "open_tree_attr", "mount_setattr", "unshare", "setns", "sethostname", "setdomainname",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
    "quotactl", "acct", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "syslog", "iopl", "ioperm",
    "vhangup", "lookup_dcookie", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "mknod", "mknodat",
    "shmget", "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl",
    "mq_open", "migrate_pages", "move_pages", "lsm_set_self_attr",
)  # fmt: skip
"""Refused with EPERM."""
ABSENT = ("io_uring_setup", "io_uring_enter", "io_uring_register", "clone3", "memfd_create")
"""Refused as if the kernel were older: libraries then take another way. `clone3` hides its flags from a filter, and
what `memfd_create` makes is memory that counts nowhere."""
WATCHES = ("inotify_init", "inotify_init1")
"""Refused as if there were too many: watches tell of files elsewhere, and there are few of them for all of a user."""
OWN_ONLY = ("prlimit64", "sched_setscheduler", "sched_setparam", "sched_setattr")
"""Allowed for the caller itself (process 0), refused for any other."""
IGNORED = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "utimensat", "futimesat", "file_setattr",
)  # fmt: skip
"""Landlock does not cover these. They do nothing and say that all is well, which keeps `shutil.copy2` going."""
NO_ATTRIBUTES = (
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr", "removexattrat",
)  # fmt: skip
"""As if the file system had no extended attributes."""


def _error(number: int) -> int:
    return _ERRNO | number


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _give(value: int) -> Instruction:
    return (_RETURN, 0, 0, value)


class _Filter:
    """Instructions in the making."""

    def __init__(self, machine: str) -> None:
        self.numbers = NUMBERS[machine]
        self.instructions: list[Instruction] = []

    def on(self, name: str, body: list[Instruction]) -> None:
        """What to do for a call, if the machine has it; the body ends in a return on every way."""
        number = self.numbers.get(name)
        if number is not None:
            self.instructions += [(_EQUAL, 0, len(body), number), *body]

    def refuse(self, names: tuple[str, ...], number: int) -> None:
        """Refuse calls with an error."""
        for name in names:
            self.on(name, [_give(_error(number))])

    def refuse_values(self, name: str, index: int, values: tuple[int, ...]) -> None:
        """Refuse a call whose argument has one of these values."""
        body = [_argument(index)]
        body += [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
        self.on(name, [*body, _give(_ALLOW), _give(_error(errno.EPERM))])

    def allow_two(self, name: str, first: int, second: int) -> None:
        """Allow a call only with these values of its first two arguments."""
        denied = _give(_error(errno.EPERM))
        body = [_argument(0), (_EQUAL, 0, 3, first), _argument(1), (_EQUAL, 0, 1, second), _give(_ALLOW), denied]
        self.on(name, body)

    def allow_value(self, name: str, index: int, value: int, otherwise: int) -> None:
        """Allow a call only if its argument has this value."""
        self.on(name, [_argument(index), (_EQUAL, 0, 1, value), _give(_ALLOW), _give(_error(otherwise))])


def build(machine: str, *, sockets: bool, metadata: bool, pinned: bool, abi: int, pid: int) -> list[Instruction]:
    """The filter.

    Args:
        machine: `x86_64` or `aarch64`.
        sockets: whether sockets within the machine (AF_UNIX) may be made; sound only in a network namespace of its own.
        metadata: whether permissions, owners and times of files may be changed; sound only where nothing but the
            script's own files can be reached.
        pinned: whether the cores that it may use are given; libraries that choose cores go on, without effect.
        abi: version of Landlock to make up for: what an older one lacks is refused here. Where a namespace does the
            same, the highest.
        pid: the process that will be the script.

    Raises:
        KeyError: the numbers of this machine are not known.
    """
    made = _Filter(machine)
    made.instructions += [(_LOAD, 0, 0, _ARCHITECTURE_AT), (_EQUAL, 1, 0, AUDIT[machine]), _give(_KILL_PROCESS)]
    made.instructions += [(_LOAD, 0, 0, _NUMBER_AT)]
    if machine == "x86_64":
        made.instructions += [(_AT_LEAST, 0, 1, _X32), _give(_KILL_PROCESS)]
    made.refuse(FORBIDDEN, errno.EPERM)
    made.refuse(ABSENT, errno.ENOSYS)
    made.refuse(WATCHES, errno.EMFILE)
    denied = _give(_error(errno.EPERM))
    made.on("clone", [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), denied, _give(_ALLOW)])
    made.refuse_values("ioctl", 1, _FORBIDDEN_IOCTLS)
    made.refuse_values("fcntl", 1, _FORBIDDEN_FCNTLS)
    if sockets:
        made.allow_value("socket", 0, _AF_UNIX, errno.EAFNOSUPPORT)
    else:
        made.refuse(("socket",), errno.EAFNOSUPPORT)
        # One end of a pair for datagrams can send to any socket that has a path (the system's log, for one).
        unfit = _give(_error(errno.EAFNOSUPPORT))
        body = [_argument(1), (_AND, 0, 0, _SOCK_TYPE), (_EQUAL, 0, 1, _SOCK_STREAM), _give(_ALLOW), unfit]
        made.on("socketpair", body)
    for name in OWN_ONLY:
        made.allow_value(name, 0, 0, errno.EPERM)
    if pinned:
        made.refuse(("sched_setaffinity",), 0)
    else:
        made.allow_value("sched_setaffinity", 0, 0, errno.EPERM)
    made.allow_two("setpriority", _PRIO_PROCESS, 0)
    made.allow_two("ioprio_set", _IOPRIO_WHO_PROCESS, 0)
    _signals(made, abi, pid)
    if not metadata:
        made.refuse(IGNORED, 0)
        made.refuse(NO_ATTRIBUTES, errno.ENOTSUP)
    if abi < 3:
        _truncation(made)
    made.instructions.append(_give(_ALLOW))
    return made.instructions


def _signals(made: _Filter, abi: int, pid: int) -> None:
    denied = _give(_error(errno.EPERM))
    if abi >= 6:
        # Landlock keeps signals within the domain, but "everybody" (-1) and groups are nobody's need.
        made.on("kill", [_argument(0), (_AT_LEAST, 0, 1, 0x80000000), denied, _give(_ALLOW)])
        return
    own = [_argument(0), (_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, pid), denied, _give(_ALLOW)]
    made.on("kill", own)
    made.on("tgkill", own)
    made.refuse(("tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"), errno.EPERM)


def _truncation(made: _Filter) -> None:
    """Before version 3 Landlock lets a file that may only be read be emptied."""
    denied = _give(_error(errno.EPERM))
    made.refuse(("truncate",), errno.EPERM)
    made.refuse(("openat2",), errno.ENOSYS)
    for name, index in (("open", 1), ("openat", 2)):
        # Modes for writing are Landlock's to judge; for reading, and for neither, it asks for no right to truncate.
        body = [_argument(index), (_ANY_BIT, 0, 4, _O_TRUNC), (_AND, 0, 0, _O_ACCMODE)]
        body += [(_EQUAL, 1, 0, _O_RDONLY), (_EQUAL, 0, 1, _O_ACCMODE)]
        made.on(name, [*body, denied, _give(_ALLOW)])


def load(instructions: list[Instruction]) -> None:
    """Put a filter in force for this process and all it starts; `no_new_privileges` has to be set.

    Raises:
        OSError: the kernel refuses.
    """
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    held = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    program = Program(len(instructions), ctypes.cast(held, ctypes.c_void_p))
    prctl(22, 2, ctypes.addressof(program))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def known_machine() -> bool:
    """Whether a filter can be built for this machine."""
    return os.uname().machine in NUMBERS
