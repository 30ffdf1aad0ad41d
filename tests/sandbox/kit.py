"""What attack scripts share; lies beside them, in a folder of its own, wherever they run.

A script says how it went, once, and ends: `escaped`, `blocked`, or `tried` when only somebody outside can tell. This
loads little, because it is loaded some thousand times.
"""

from __future__ import annotations

import ctypes
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

with open(os.environ["ATTACK_WORLD"]) as _handle:
    WORLD: dict[str, Any] = json.load(_handle)
"""Where things are; `world.py` says what there is."""
CANARY = "CANARY-"
"""Every secret of the fixture begins with it."""
LIBC = ctypes.CDLL(None, use_errno=True)

_X86_64 = {
    "ptrace": 101, "pidfd_getfd": 438, "keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "unshare": 272, "setns": 308, "mount": 165, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "io_uring_setup": 425, "syslog": 103, "fanotify_init": 300, "fanotify_mark": 301, "shmget": 29, "mq_open": 240,
    "process_madvise": 440, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "memfd_create": 319,
    "execveat": 322, "clone3": 435, "openat": 257, "openat2": 437, "fchmodat2": 452, "setxattrat": 463,
    "file_setattr": 469, "tgkill": 234, "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
    "ioprio_set": 251, "ioprio_get": 252, "landlock_create_ruleset": 444, "landlock_add_rule": 445,
    "landlock_restrict_self": 446, "inotify_init1": 294, "inotify_add_watch": 254, "sched_setaffinity": 203,
    "move_pages": 279, "migrate_pages": 256, "process_mrelease": 448, "open_tree": 428, "timer_create": 222,
}  # fmt: skip
_GENERIC = {
    "ptrace": 117, "pidfd_getfd": 438, "keyctl": 219, "add_key": 217, "bpf": 280, "perf_event_open": 241,
    "userfaultfd": 282, "unshare": 97, "setns": 268, "mount": 40, "name_to_handle_at": 264, "open_by_handle_at": 265,
    "io_uring_setup": 425, "syslog": 116, "fanotify_init": 262, "fanotify_mark": 263, "shmget": 194, "mq_open": 180,
    "process_madvise": 440, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "memfd_create": 279,
    "execveat": 281, "clone3": 435, "openat": 56, "openat2": 437, "fchmodat2": 452, "setxattrat": 463,
    "file_setattr": 469, "tgkill": 131, "tkill": 130, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
    "ioprio_set": 30, "ioprio_get": 31, "landlock_create_ruleset": 444, "landlock_add_rule": 445,
    "landlock_restrict_self": 446, "inotify_init1": 26, "inotify_add_watch": 27, "sched_setaffinity": 122,
    "move_pages": 239, "migrate_pages": 238, "process_mrelease": 448, "open_tree": 428, "timer_create": 107,
}  # fmt: skip
_NUMBERS = _X86_64 if os.uname().machine == "x86_64" else _GENERIC

print("ATTACK STARTED", flush=True)


def _say(word: str, note: object) -> None:
    print(f"\nATTACK {word} {str(note)[:300]!r}", flush=True)


def escaped(proof: object) -> NoReturn:
    """It went through."""
    _say("ESCAPED", proof)
    os._exit(0)


def blocked(reason: object) -> NoReturn:
    """It was refused."""
    _say("BLOCKED", reason)
    os._exit(0)


def tried(note: object = "") -> NoReturn:
    """It was attempted; somebody outside has to look."""
    _say("TRIED", note)
    os._exit(0)


def worked(note: object = "") -> NoReturn:
    """An honest script has done its work."""
    _say("WORKED", note)
    os._exit(0)


def attempt(*actions: Callable[[], object]) -> NoReturn:
    """Do all these, whatever each of them says; somebody outside has to look."""
    notes = []
    for action in actions:
        try:
            notes.append(repr(action()))
        except Exception as error:  # it was refused; that is the point
            notes.append(f"{type(error).__name__}: {error}")
    tried("; ".join(notes)[:280])


def is_secret(data: bytes | str) -> bool:
    """Whether this comes from one of the fixture's secrets."""
    text = data.decode(errors="replace") if isinstance(data, bytes) else data
    return CANARY in text


def read_any(*paths: str) -> NoReturn:
    """It goes through if one of these files can be read."""
    reason: object = "nothing secret was found"
    for path in paths:
        try:
            with open(path, "rb") as handle:
                data = handle.read(200)
        except OSError as error:
            reason = error
            continue
        if is_secret(data):
            escaped(f"{path}: {data!r}")
    blocked(reason)


def write_any(*paths: str, mode: str = "a") -> NoReturn:
    """Write to all these files; somebody outside looks whether they changed."""
    attempt(*(lambda path=path: _tamper(path, mode) for path in paths))


def _tamper(path: str, mode: str) -> str:
    with open(path, mode) as handle:
        handle.write("TAMPERED")
    return f"{path} was written"


def output(name: str = "results/out.txt") -> str:
    """The path of an output, its folder made."""
    os.makedirs(os.path.dirname(name), exist_ok=True)
    return name


def syscall(name: str, *arguments: object) -> int:
    """A system call by its number.

    Raises:
        OSError: the kernel refused it.
    """
    ctypes.set_errno(0)
    raw = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(LIBC.syscall(ctypes.c_long(_NUMBERS[name]), *raw))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def send(family: int, kind: int, address: Any) -> NoReturn:
    """Send our tag somewhere; the listener outside tells whether it came."""
    import socket

    try:
        with socket.socket(family, kind) as channel:
            channel.settimeout(2)
            channel.connect(address)
            channel.send(WORLD["tag"].encode())
            if kind == socket.SOCK_STREAM:
                channel.recv(10)
    except OSError as error:
        blocked(error)
    tried("sent")


def vanish() -> None:
    """Go on as a daemon: forked twice, in a session of its own, without descriptors."""
    if os.fork():
        tried("a daemon was started")
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 4096)


def no_longer_than(seconds: float) -> None:
    """End this process by a signal, in case nobody else does."""
    import signal

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(seconds))
