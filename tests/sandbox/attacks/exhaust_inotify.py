"""Take many of the person's inotify instances, so that nobody sees any more which inputs are read."""

import time

from kit import blocked, escaped, syscall

held = []
try:
    for _ in range(50):
        held.append(syscall("inotify_init1", 0))
except OSError as error:
    blocked(f"{len(held)} instances, then {error}")
time.sleep(0.05)
# All programs of a person have 128 together; the others are left to other tests.
escaped(f"{len(held)} instances")
