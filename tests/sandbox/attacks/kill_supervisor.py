"""Kill the process that watches over the script, and its parents."""

import os
import signal

from kit import WORLD, attempt


def kill_ancestors() -> str:
    killed = []
    process = os.getppid()
    while process > 1 and process != WORLD["harness"]:
        with open(f"/proc/{process}/stat") as handle:
            parent = int(handle.read().rpartition(")")[2].split()[1])
        os.kill(process, signal.SIGKILL)
        killed.append(process)
        process = parent
    return f"killed {killed}"


attempt(lambda: os.kill(os.getppid(), signal.SIGKILL), kill_ancestors)
