"""Starts a script inside its own process. Run as `python -I -S launcher.py PARENT_PID -- COMMAND...`.

It uses the standard library alone and runs before any site package is loaded. It asks the kernel to kill the script
when the process that started it dies, so that even a killed Snakemake leaves no script behind.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
FAILED = 125
"""Exit status that says that the launcher failed, not the script."""


def main(arguments: list[str]) -> int:
    """Prepare this process and become the command."""
    parent, separator, *command = arguments
    if separator != "--" or not command:
        print("usage: launcher.py PARENT_PID -- COMMAND...", file=sys.stderr)
        return FAILED
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return FAILED  # the parent died before we could ask
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"llmagent: cannot start {command[0]!r}: {error.strerror}", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
