"""Use more CPUs than the rule's threads."""

import os

from kit import blocked, escaped

try:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
except OSError as error:
    blocked(error)
usable = os.sched_getaffinity(0)
if len(usable) > 1:
    escaped(f"CPUs {sorted(usable)}")
blocked("one CPU")
