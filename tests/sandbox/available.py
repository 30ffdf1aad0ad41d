"""Whether this machine can do a kind of wall at all, asked of the kernel and not of the package."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess

from tests.sandbox.catalogue import OPEN, Backend

_LANDLOCK_CREATE_RULESET = 444
_NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--ro-bind", "/", "/")


def landlock_abi() -> int:
    """What the kernel offers; 0 without Landlock."""
    version = ctypes.CDLL(None, use_errno=True).syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    return max(0, int(version))


def reason_against(backend: Backend) -> str | None:
    """Why it cannot be done here, or None."""
    if backend.name == OPEN.name:
        return None
    if backend.wall == "landlock":
        needed = backend.max_abi or 1
        return None if landlock_abi() >= needed else f"Landlock has ABI {landlock_abi()} here"
    program = shutil.which("bwrap", path=os.environ.get("PATH", os.defpath))
    if program is None:
        return "bubblewrap is not installed"
    kernel_files = ("--proc", "/proc") if backend.wall == "bwrap" else ("--ro-bind", "/proc", "/proc")
    tried = subprocess.run(
        [program, *_NAMESPACES, *kernel_files, "--", "/bin/true"],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return None if tried.returncode == 0 else f"bubblewrap does not work here: {tried.stderr.strip()[:200]}"
