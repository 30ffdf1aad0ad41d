"""The command line of bubblewrap: a root directory that holds nothing but what is named. Standard library alone."""

from __future__ import annotations

import os

from snakemake_executor_plugin_llmagent.sandbox import visible

ISOLATION = (
    "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv", "--hostname", "sandbox",
    "--disable-userns",
)  # fmt: skip
OPTIONAL = {"--disable-userns": 0, "--clearenv": 0, "--size": 1}
"""Options that older versions lack, and how many words belong to them. Other walls stand behind each: seccomp refuses
new namespaces, the supervisor hands over a clean environment, and it looks at what is used."""
TMP_BYTES = 1 << 26
"""`/tmp` is there to hide the machine's; where there is Landlock, nobody writes to it."""
SHM_BYTES = 1 << 30
"""How much a script may put there at most; it is memory, and counts as such."""
MANY = 100
"""Binding takes time that grows with the square of the number; above this, directories are bound instead."""
_FEW = 64
_PROC_WRITABLE = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs")
"""For the superuser, bubblewrap leaves files below these writable."""


def arguments(
    *,
    program: str,
    lacks: list[str],
    software: list[str],
    readable: list[str],
    writable: list[str],
    directory: str,
    host_proc: bool,
    shm_bytes: int,
) -> list[str]:
    """The command up to and with `--`.

    Args:
        program: path of `bwrap`.
        lacks: options that this version does not have.
        software: directories to show, read-only.
        readable: files and directories to show, read-only.
        writable: the script's own folders.
        directory: where to start.
        shm_bytes: size of its own `/dev/shm`.
        host_proc: show the `/proc` there is, where no new one can be mounted; Landlock has to hide other processes.
    """
    made = [program, *ISOLATION]
    for place in visible.SYSTEM:
        if os.path.islink(place):
            made += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            made += ["--ro-bind", place, place]
    made += _each("--ro-bind-try", visible.SETTINGS)
    made += ["--ro-bind", "/proc", "/proc"] if host_proc else ["--proc", "/proc"]
    made += _each("--ro-bind-try", _PROC_WRITABLE)
    made += ["--dev", "/dev", "--size", str(shm_bytes), "--tmpfs", "/dev/shm"]
    made += _each("--ro-bind-try", visible.HARDWARE)
    made += ["--size", str(TMP_BYTES), "--tmpfs", "/tmp"]
    # Later ones lie on top: an input may be below /tmp or inside a folder of software.
    made += _each("--ro-bind", software)
    made += _each("--ro-bind", readable)
    made += _each("--bind", writable)
    return [*_without(made, lacks), "--remount-ro", "/", "--chdir", directory, "--"]


def _each(option: str, places: tuple[str, ...] | list[str]) -> list[str]:
    return [word for place in places for word in (option, place, place)]


def _without(words: list[str], lacks: list[str]) -> list[str]:
    kept: list[str] = []
    skip = 0
    for word in words:
        if skip:
            skip -= 1
        elif word in lacks:
            skip = OPTIONAL[word]
        else:
            kept.append(word)
    return kept


def few(places: list[str]) -> list[str]:
    """Directories that hold many places, as few as can be had without binding `/` or what lies right below it."""
    folders = visible.outermost([os.path.dirname(place) for place in places])
    while len(folders) > _FEW:
        deepest = max(place.count("/") for place in folders)
        if deepest <= 2:
            return places
        folders = visible.outermost(
            [os.path.dirname(place) if place.count("/") == deepest else place for place in folders]
        )
    if any(place.count("/") < 2 for place in folders):
        return places
    return folders
