"""Use more memory than allowed, in one process."""

import time

from kit import blocked, escaped

held = []
try:
    for _ in range(2):
        held.append(bytearray(b"\1") * (100 << 20))
except MemoryError as error:
    blocked(f"{len(held)} x 100 MB, then {error!r}")
time.sleep(0.6)
escaped("200 MB")
