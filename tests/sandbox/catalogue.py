"""The attacks, the walls they are tried against, and what is known not to be covered.

Documentation is generated from these tables; the tests hold them to the truth.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ATTACKS_FOLDER, HONEST_FOLDER = Path(__file__).parent / "attacks", Path(__file__).parent / "honest"
Ending = Literal[
    "exit", "signal", "timeout", "memory", "processes", "files", "disk", "log flood", "stopped", "refused to start"
]


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One kind of wall.

    Attributes:
        name: what tests call it.
        wall: what the supervisor calls it.
        max_abi: treat Landlock as if the kernel had no higher ABI.
    """

    name: str
    wall: str
    max_abi: int | None = None


OPEN = Backend(name="open", wall="none")
"""No walls at all, not even a supervisor: the control run."""
BACKENDS = (
    Backend(name="bwrap", wall="bwrap"),
    Backend(name="bwrap-hostproc", wall="bwrap-hostproc"),
    Backend(name="landlock", wall="landlock"),
    Backend(name="landlock-abi2", wall="landlock", max_abi=2),
)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """How an attack is run, and which ends of it are as they should be.

    Attributes:
        name: its script, below `attacks/`.
        endings: the endings that a supervisor may report when it held.
        limits: limits that differ from the usual ones.
        threads: CPUs that the script may use.
        show: what the script prints is shown while it runs.
        terminal: run it with a controlling terminal.
        typed: a person's words wait on the standard input.
        knock: somebody outside tries to reach a server of the script.
        kill: whom somebody outside kills (or asks to stop) once the script has made `results/ready`.
        live_input: a directory that holds a socket and a pipe of another program is an input.
        through_link: the project is reached through a symbolic link.
        silent: the script cannot say how it went.
        honest: it is no attack, and has to work.
        open_seconds: how long it may run in the control run [s].
    """

    name: str
    endings: frozenset[Ending] = frozenset({"exit"})
    limits: Mapping[str, float | None] = field(default_factory=dict)
    threads: int | None = None
    show: bool = False
    terminal: bool = False
    typed: bool = False
    knock: bool = False
    kill: Literal["", "supervisor", "guard", "parent", "both", "stop"] = ""
    live_input: bool = False
    through_link: bool = False
    silent: bool = False
    open_seconds: float = 6.0

    honest: bool = False

    @property
    def script(self) -> Path:
        return (HONEST_FOLDER if self.honest else ATTACKS_FOLDER) / f"{self.name}.py"

    @property
    def description(self) -> str:
        """What it tries, in one line."""
        return ast.get_docstring(ast.parse(self.script.read_text())) or ""


def _ends(*endings: Ending) -> frozenset[Ending]:
    return frozenset(endings)


_FORKING = ("fork_bomb", "thread_bomb", "respawning_chain")
_HOGGING = (
    "memory_bomb_single",
    "memory_bomb_tree",
    "memory_bomb_memfd",
    "memory_bomb_shared",
    "fill_dev_shm",
    "fill_memory_below_tmp",
)
_FILLING = (
    "single_huge_file", "many_files_fill", "inode_bomb", "directory_bomb", "deep_nesting_cleanup_dos",
    "hide_size_below_path_max", "fill_private_folders", "fill_unlinked_files", "fallocate_beyond_size",
    "sparse_terabyte", "fill_behind_closed_doors",
)  # fmt: skip
_LASTING = ("infinite_loop_ignoring_term", "timer_tricks", "stop_self", "wait_for_a_stopped_child")
_FLOODING = ("stdout_flood", "print_without_newline")

SPECIAL: Mapping[str, Attack] = {
    attack.name: attack
    for attack in (
        # Those of which a limit is the wall.
        # Whichever of their limits they meet first.
        *(
            Attack(name=name, endings=_ends("processes", "memory", "exit"), limits={"seconds": 3.0})
            for name in _FORKING
        ),
        *(Attack(name=name, endings=_ends("memory", "disk", "files", "exit", "signal")) for name in _HOGGING),
        *(Attack(name=name, endings=_ends("disk", "files", "exit", "signal")) for name in _FILLING),
        *(
            Attack(name=name, endings=_ends("timeout"), limits={"seconds": 1.0}, open_seconds=1.5, silent=True)
            for name in (*_LASTING, "sleep_with_stdout_closed")
        ),
        *(
            Attack(name=name, endings=_ends("log flood", "exit", "signal"), show=True, silent=True)
            for name in _FLOODING
        ),
        Attack(name="chmod_000_in_stage", endings=_ends("files", "exit")),
        # Those that somebody outside takes part in.
        Attack(name="tiocsti", terminal=True),
        Attack(name="tioclinux", terminal=True),
        Attack(name="dev_tty_write", terminal=True),
        Attack(name="foreign_terminals", terminal=True),
        Attack(name="steal_stdin", typed=True),
        Attack(name="bind_listen_port", knock=True, limits={"seconds": 3.0}),
        Attack(name="supervisor_killed", kill="supervisor", silent=True),
        Attack(name="guard_killed", kill="guard", silent=True),
        Attack(name="caller_killed", kill="parent", silent=True),
        Attack(name="guard_and_supervisor_killed", kill="both", silent=True),
        Attack(name="outlive_stop", kill="stop", silent=True),
        Attack(name="unix_socket_in_input", live_input=True),
        Attack(name="pipe_in_input", live_input=True),
        # Those whose words are shown.
        Attack(name="ansi_in_log", show=True),
        Attack(name="stray_names_with_escapes", show=True),
        Attack(name="symlinked_project", through_link=True),
        Attack(name="widen_affinity", threads=1),
        # Those that end in a special way.
        Attack(name="forged_refusal", silent=True),
        Attack(name="forged_timeout", silent=True),
        Attack(name="forged_memory_limit", endings=_ends("exit", "signal"), silent=True),
        Attack(name="forged_stop_by_signal", endings=_ends("exit", "signal"), silent=True),
        Attack(name="close_stdout", silent=True),
        Attack(name="kill_process_group", endings=_ends("exit", "signal"), silent=True),
        Attack(name="foreign_syscalls", endings=_ends("exit", "signal")),
    )
}
"""Those that are run in a way of their own."""

ATTACKS = tuple(
    SPECIAL.get(path.stem, Attack(name=path.stem))
    for path in sorted(ATTACKS_FOLDER.glob("*.py"))
)  # fmt: skip
"""All of them: every script in the folder is one."""
HONEST = tuple(Attack(name=path.stem, honest=True) for path in sorted(HONEST_FOLDER.glob("*.py")))
"""Work that has to go on behind all walls."""

_BOTH = frozenset({"root", "user"})
_ROOT = frozenset({"root"})
_USER = frozenset({"user"})
_NO_SUPERVISOR = "it is aimed at the supervisor, and in the open there is none"

CANNOT_BITE: Mapping[str, tuple[frozenset[str], str]] = {
    "read_shadow": (_USER, "only root may read the file"),
    "mknod_block": (_USER, "only root may make devices"),
    "open_by_handle_at": (_USER, "it needs a capability that only root has"),
    "packet_socket": (_USER, "it needs a capability that only root has"),
    "proc_sys_write": (_USER, "only root may write there"),
    "setns_victim": (_USER, "it needs a capability that only root has"),
    "immutable_files_in_stage": (_USER, "it needs a capability that only root has"),
    "setuid_binary": (_ROOT, "root has nothing to gain"),
    "slow_everybody_down": (_ROOT, "it would change every process of the machine"),
    "chmod_000_in_stage": (_ROOT, "permissions do not hold root back"),
    "close_stdout": (_BOTH, _NO_SUPERVISOR),
    "forged_refusal": (_BOTH, _NO_SUPERVISOR),
    "forged_timeout": (_BOTH, _NO_SUPERVISOR),
    "forged_memory_limit": (_BOTH, _NO_SUPERVISOR),
    "forged_stop_by_signal": (_BOTH, _NO_SUPERVISOR),
}
"""Attack → (users of whom it asks too much even in the open, why)."""

DEPENDS_ON_MACHINE: Mapping[str, str] = {
    "cgroup_tampering": "the user may have no control group of their own",
    "crontab_at_systemd": "there may be no such service",
    "kernel_crypto_socket": "the kernel may be built without it",
    "kernel_log": "kernel.dmesg_restrict",
    "raw_disk": "a control group may forbid devices",
    "mknod_block": "a control group may forbid devices",
    "vsock": "the kernel may be built without it",
    "dev_ioctl": "there may be no such device",
    "io_uring": "kernel.io_uring_disabled",
    "bpf_perf_userfaultfd": "kernel.unprivileged_bpf_disabled, kernel.perf_event_paranoid",
    "fanotify": "unprivileged fanotify is from Linux 5.13",
    "tiocsti": "dev.tty.legacy_tiocsti",
    "tioclinux": "not every terminal knows it",
    "ptrace_victim": "kernel.yama.ptrace_scope",
    "proc_mem_vm_readv": "kernel.yama.ptrace_scope",
    "pidfd_getfd": "kernel.yama.ptrace_scope",
    "kcmp_victim": "kernel.yama.ptrace_scope",
    "process_madvise_victim": "kernel.yama.ptrace_scope",
    "proc_map_files": "kernel.yama.ptrace_scope",
    "new_userns": "user namespaces may be off",
    "mount_remount": "user namespaces may be off",
    "clone_namespaces": "user namespaces may be off",
    "clone3_namespaces": "user namespaces may be off",
    "unshare_network": "user namespaces may be off",
    "foreign_syscalls": "the kernel may be built without other tables",
    "setxattr_outside": "not every file system has attributes",
    "inode_flags_of_input": "not every file system has flags",
    "immutable_files_in_stage": "not every file system has flags",
    "fallocate_beyond_size": "not every file system can reserve space",
    "hardlink_secret_as_output": "fs.protected_hardlinks",
    "session_keyring": "the kernel may be built without it",
    "posix_message_queue": "the kernel may be built without it",
    "sysv_shm_with_outside": "the kernel may be built without it",
    "setuid_binary": "there may be no such program",
    "widen_affinity": "there may be one CPU only",
    "tcp_fast_open": "net.ipv4.tcp_fastopen",
    "socket_sendmsg_address": "there may be no IPv6",
}
"""Attack → why the control run may find that the machine itself stops it."""


def _walls(*names: str, user: str = "any") -> frozenset[tuple[str, str]]:
    return frozenset((user, name) for name in names)


_LANDLOCK = _walls("landlock", "landlock-abi2")
NOT_POSSIBLE: Mapping[str, tuple[frozenset[tuple[str, str]], str]] = {
    "pool_of_processes": (
        _LANDLOCK,
        "semaphores of several processes lie in /dev/shm, which has no private copy there",
    ),
}
"""Honest work → (user or "any" and backend with which it fails, why)."""
NOT_COVERED: Mapping[str, tuple[frozenset[tuple[str, str]], str]] = {
    "unix_socket_in_input": (
        _walls("bwrap", "bwrap-hostproc"),
        "a socket that lies in an input directory can be connected to",
    ),
    "stat_secret_metadata": (_LANDLOCK, "Landlock does not cover stat(): existence, size and times of files show"),
    "readlink_outside": (_LANDLOCK, "Landlock does not cover readlink(): where links lead shows"),
    "probe_process_numbers": (_LANDLOCK, "without a process namespace the kernel tells which processes there are"),
    "guard_and_supervisor_killed": (_LANDLOCK, "only a process namespace ends with its first process"),
}
"""Attack → (user or "any" and backend that do not stop it, why)."""
RACES = frozenset({"guard_and_supervisor_killed"})
"""Those of them that go through or not as the kernel happens to order things."""
