"""Give all processes of the person a lower priority, for the CPU and for the disk."""

import os

from kit import WORLD, blocked, escaped, syscall

PROCESS, USER, OURSELVES, NORMAL = 1, 3, 0, 0
if os.getuid() == 0:
    blocked("it would change every process of the machine")
reasons = []
try:
    os.getpriority(os.PRIO_PROCESS, WORLD["victim"])
except OSError as error:
    blocked(error)  # whatever is set does not concern it
# The usual ones, so that nobody is harmed in the open: that they may be set is the proof.
for change in (
    lambda: os.setpriority(os.PRIO_USER, OURSELVES, os.getpriority(os.PRIO_PROCESS, OURSELVES)),
    lambda: syscall("ioprio_set", USER, os.getuid(), NORMAL),
):
    try:
        change()
        escaped("it was set for all processes of the user")
    except OSError as error:
        reasons.append(str(error))
blocked(reasons)
