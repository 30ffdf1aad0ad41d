"""Move out of the control group that limits us, or change its limits."""

import os

from kit import blocked, escaped

opened = []
for folder, _, names in os.walk("/sys/fs/cgroup"):
    if folder.count("/") > 6:
        break
    for name in {"cgroup.procs", "memory.max", "pids.max", "tasks"} & set(names):
        try:
            os.close(os.open(f"{folder}/{name}", os.O_WRONLY))
            opened.append(f"{folder}/{name}")
        except OSError:
            continue
    if opened:
        break
if opened:
    escaped(opened)
blocked("none can be written")
