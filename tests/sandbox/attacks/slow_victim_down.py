"""Give another process a lower priority, for the CPU and for the disk."""

import os

from kit import WORLD, attempt, syscall

PROCESS, IDLE_CLASS = 1, 3 << 13
attempt(
    lambda: os.setpriority(os.PRIO_PROCESS, WORLD["victim"], 15),
    lambda: syscall("ioprio_set", PROCESS, WORLD["victim"], IDLE_CLASS),
)
