"""Bind another process to one CPU."""

import os

from kit import WORLD, blocked, escaped

reasons = []
try:
    available = os.sched_getaffinity(WORLD["victim"])
    os.sched_setaffinity(WORLD["victim"], available)  # the same again: that it may be set is the proof
    escaped(f"CPUs {sorted(available)}")
except OSError as error:
    reasons.append(str(error))
try:
    os.sched_setaffinity(WORLD["victim"], {0})
except OSError as error:
    blocked(f"{reasons}; {error}")
escaped("CPU 0")
