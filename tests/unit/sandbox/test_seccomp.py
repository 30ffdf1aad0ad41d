"""The filter, interpreted as the kernel does, against a plain statement of what must be refused."""

from __future__ import annotations

import errno
import functools
import os
import re
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakemake_executor_plugin_llmagent.sandbox import seccomp
from snakemake_executor_plugin_llmagent.sandbox.syscalls import AUDIT, NUMBERS
from tests.unit.sandbox.support import WITHOUT_PACKAGE

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
PID = 4711
MACHINES = ("x86_64", "aarch64")
Case = tuple[str, bool, int]
"""Machine, whether namespaces hold, version of Landlock."""
CASES: list[Case] = [
    (machine, inside, abi)
    for machine in MACHINES
    for inside, abi in ((True, 6), (False, 1), (False, 2), (False, 3), (False, 6))
]


@functools.cache
def program(case: Case) -> tuple[seccomp.Instruction, ...]:
    machine, inside, abi = case
    return tuple(seccomp.build(machine, sockets=inside, metadata=inside, pinned=not inside, abi=abi, pid=PID))


def interpret(instructions: Sequence[seccomp.Instruction], data: bytes) -> int:
    """What classic BPF makes of a `struct seccomp_data`."""
    value = place = 0
    while True:
        code, if_true, if_false, constant = instructions[place]
        place += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, constant)
        elif code == 0x54:
            value &= constant
        elif code in (0x15, 0x35, 0x45):
            held = {0x15: value == constant, 0x35: value >= constant, 0x45: bool(value & constant)}[code]
            place += if_true if held else if_false
        else:
            raise AssertionError(f"unknown instruction {code:#x}")


def asked(case: Case, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the filter says to a system call."""
    given = [argument & (2**64 - 1) for argument in (*arguments, *([0] * 6))][:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, AUDIT[case[0]] if audit is None else audit, 0, *given)
    return interpret(program(case), data)


# --- the plain statement ----------------------------------------------------------------------------------------------

NEVER = (
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd",
    "keyctl", "add_key", "request_key", "bpf", "perf_event_open", "userfaultfd", "memfd_secret", "mount", "umount2",
    "pivot_root", "chroot", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount", "open_tree", "open_tree_attr",
    "mount_setattr", "unshare", "setns", "sethostname", "setdomainname", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "quotactl", "acct",
    "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "syslog", "iopl", "ioperm", "vhangup",
    "lookup_dcookie", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "mknod", "mknodat", "shmget",
    "shmat", "shmctl", "semget", "semop", "semtimedop", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open",
    "migrate_pages", "move_pages", "lsm_set_self_attr",
)  # fmt: skip
NOT_THERE = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "clone3", "memfd_create",
)  # fmt: skip
METADATA = (
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "utimensat", "futimesat", "file_setattr",
)  # fmt: skip
ATTRIBUTES = (
    "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr",
    "removexattrat",
)  # fmt: skip
NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS = 0x5412, 0x541C, 0x5423, 0x541D
F_SETOWN, F_SETSIG, F_SETOWN_EX = 8, 10, 15
O_TRUNC = 0o1000


def refusal(case: Case, name: str, arguments: Sequence[int]) -> int | None:
    """The error number that a call must get; None if it must be let through."""
    _, inside, abi = case
    first, second, third = (argument & 0xFFFFFFFF for argument in arguments[:3])
    if name in NEVER:
        return errno.EPERM
    if name in NOT_THERE:
        return errno.ENOSYS
    denied: dict[str, bool] = {
        "clone": bool(first & NAMESPACES),
        "ioctl": second in (TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS),
        "fcntl": second in (F_SETOWN, F_SETSIG, F_SETOWN_EX),
        "setpriority": (first, second) != (0, 0),
        "ioprio_set": (first, second) != (1, 0),
        **dict.fromkeys(("prlimit64", "sched_setscheduler", "sched_setparam", "sched_setattr"), first != 0),
    }
    if name in denied:
        return errno.EPERM if denied[name] else None
    if name == "socket":
        return None if inside and first == 1 else errno.EAFNOSUPPORT
    if name == "socketpair":
        return None if inside or second & 0xF == 1 else errno.EAFNOSUPPORT
    if name == "sched_setaffinity":
        return (errno.EPERM if first else None) if inside else 0
    if name in ("inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_mark"):
        return errno.EMFILE
    if name == "kill" and abi >= 6:
        return errno.EPERM if first >= 0x80000000 else None
    if name in ("kill", "tgkill") and abi < 6:
        return None if first in (0, PID) else errno.EPERM
    if name in ("tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal") and abi < 6:
        return errno.EPERM
    if name in METADATA and not inside:
        return 0
    if name in ATTRIBUTES and not inside:
        return errno.ENOTSUP
    if abi < 3:
        if name == "truncate":
            return errno.EPERM
        if name == "openat2":
            return errno.ENOSYS
        if name in ("open", "openat"):
            flags = second if name == "open" else third
            return errno.EPERM if flags & O_TRUNC and flags & 3 in (0, 3) else None
    return None


numbers = st.integers(0, 2**64 - 1) | st.sampled_from(
    [0, 1, 2, 3, 8, 10, 15, 16, 17, PID, PID + 1, 0x5412, 0x541C, 0x541D, 0x5423, O_TRUNC, O_TRUNC | 1, O_TRUNC | 2,
     0x20000, 0x10000000, 0x40000000, 0x80000000, 0xFFFFFFFF, 2**32, 2**32 + 1, 2**32 + PID, 2**64 - 1, 2**64 - PID,
     17 | 0x10000000, 0x3D0F00, 0o2000000 | O_TRUNC]
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=60)
@given(data=st.data())
def test_what_must_be_refused_is_and_nothing_else(case: Case, data: st.DataObject) -> None:
    known = NUMBERS[case[0]]
    name = data.draw(st.sampled_from(sorted(known)))
    arguments = [data.draw(numbers) for _ in range(6)]
    wanted = refusal(case, name, arguments)
    assert asked(case, known[name], *arguments) == (ALLOW if wanted is None else ERRNO | wanted), (name, arguments)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_call_that_is_never_needed_is_refused(case: Case) -> None:
    known = NUMBERS[case[0]]
    absent = {name for name in (*NEVER, *NOT_THERE) if name not in known}
    # The one machine never had these.
    assert absent <= ({"iopl", "ioperm", "mknod"} if case[0] == "aarch64" else set())
    assert all(asked(case, known[name]) == ERRNO | errno.EPERM for name in NEVER if name in known)
    assert all(asked(case, known[name]) == ERRNO | errno.ENOSYS for name in NOT_THERE)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_all_small_numbers_that_nobody_names_pass(case: Case) -> None:
    named = set(NUMBERS[case[0]].values())
    assert all(asked(case, number) == ALLOW for number in (*range(480), 0x3FFFFFFF) if number not in named)


@pytest.mark.parametrize("case", CASES[::5], ids=str)
@given(number=st.integers(0, 2**32 - 1), audit=st.integers(0, 2**32 - 1) | st.sampled_from([0x40000003, 0x40000028]))
def test_the_calls_of_another_machine_end_a_script(case: Case, number: int, audit: int) -> None:
    """Such as those of 32-bit programs, whose numbers mean something else."""
    if audit != AUDIT[case[0]]:
        assert asked(case, number, audit=audit) == KILL


@given(number=st.integers(0x40000000, 2**32 - 1))
def test_x32_ends_a_script(number: int) -> None:
    assert asked(("x86_64", False, 6), number) == KILL


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("abi", [1, 2])
@pytest.mark.parametrize("name", ["open", "openat"])
def test_an_odd_way_to_empty_a_file_is_refused(machine: str, abi: int, name: str) -> None:
    """Access mode 3 is neither reading nor writing, so that Landlock asks for no right."""
    if name in NUMBERS[machine]:
        arguments = [0, O_TRUNC | 3] if name == "open" else [0, 0, O_TRUNC | 3]
        assert asked((machine, False, abi), NUMBERS[machine][name], *arguments) == ERRNO | errno.EPERM


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_way_through_the_program_ends_in_a_return(case: Case) -> None:
    """Jumps go forward and stay inside; the kernel takes at most 4096 instructions."""
    instructions = program(case)
    assert len(instructions) < 4096
    assert instructions[-1] == (0x06, 0, 0, ALLOW)
    for place, (code, if_true, if_false, _) in enumerate(instructions):
        if code in (0x15, 0x35, 0x45):
            assert 0 <= if_true <= 255 and 0 <= if_false <= 255
            assert place + 1 + max(if_true, if_false) < len(instructions)
    reachable, pending = set[int](), [0]
    while pending:
        place = pending.pop()
        if place in reachable:
            continue
        reachable.add(place)
        code, if_true, if_false, _ = instructions[place]
        if code in (0x15, 0x35, 0x45):
            pending += [place + 1 + if_true, place + 1 + if_false]
        elif code != 0x06:
            pending.append(place + 1)
    assert reachable == set(range(len(instructions))), "instructions that nothing leads to"


def test_a_machine_whose_numbers_are_not_known() -> None:
    with pytest.raises(KeyError):
        seccomp.build("riscv64", sockets=False, metadata=False, pinned=False, abi=6, pid=1)
    assert seccomp.known_machine() == (os.uname().machine in MACHINES)


@pytest.mark.parametrize("machine", MACHINES)
def test_no_number_is_given_twice(machine: str) -> None:
    assert len(set(NUMBERS[machine].values())) == len(NUMBERS[machine])


HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header = next((Path(place) for place in HEADERS[machine] if Path(place).exists()), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)\s*$", header.read_text(), re.MULTILINE)
    theirs = {name: int(number) for name, number in found}
    common = [name for name in NUMBERS[machine] if name in theirs]
    assert len(common) > 70
    assert {name: NUMBERS[machine][name] for name in common} == {name: theirs[name] for name in common}


def test_the_kernel_takes_it() -> None:
    """And the process goes on working, with what is refused refused."""
    if not seccomp.known_machine():
        pytest.skip("the system calls of this machine are not known")
    source = f"""
{WITHOUT_PACKAGE}
import os, socket, errno
from snakemake_executor_plugin_llmagent.sandbox import kernel, seccomp
kernel.no_new_privileges()
options = dict(sockets=False, metadata=False, pinned=False, abi=int(sys.argv[1]), pid=os.getpid())
seccomp.load(seccomp.build(os.uname().machine, **options))
try:
    socket.socket()
except OSError as error:
    assert error.errno == errno.EAFNOSUPPORT
else:
    raise AssertionError("a socket")
before = os.stat(sys.argv[2])
os.chmod(sys.argv[2], 0o777)
os.utime(sys.argv[2], (1, 1))
assert os.stat(sys.argv[2]) == before
os.kill(os.getpid(), 0)
print("fine")
"""
    for abi in ("2", "6"):
        done = subprocess.run(
            [sys.executable, "-c", source, abi, __file__], capture_output=True, text=True, check=False
        )
        assert done.stdout == "fine\n", done.stderr
