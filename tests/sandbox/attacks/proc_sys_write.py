"""Change settings of the kernel, such as the program that is run for core dumps."""

import os

from kit import blocked, escaped

opened = []
for path in (
    "/proc/sys/kernel/core_pattern",
    "/proc/sysrq-trigger",
    "/sys/kernel/uevent_helper",
    "/proc/sys/vm/drop_caches",
):
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:
        continue
    if path.endswith("core_pattern"):
        with open(path, "rb") as handle:
            os.write(descriptor, handle.read())  # the same again
    os.close(descriptor)
    opened.append(path)
if opened:
    escaped(opened)
blocked("none can be written")
