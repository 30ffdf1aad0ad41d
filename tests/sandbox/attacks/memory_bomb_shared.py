"""Use more memory than allowed, shared among processes without a file."""

import mmap
import time

from kit import blocked, escaped

try:
    held = mmap.mmap(-1, 200 << 20)
    for _ in range(50):
        held.write(b"\1" * (4 << 20))
except (OSError, ValueError) as error:
    blocked(error)
time.sleep(0.8)
escaped("200 MB of shared memory")
