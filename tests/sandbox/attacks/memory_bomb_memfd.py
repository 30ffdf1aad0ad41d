"""Use more memory than allowed in a file that lies in memory and is not mapped."""

import os
import time

from kit import blocked, escaped

held = []
try:
    for _ in range(40):
        held.append(os.memfd_create("hidden"))
        for _ in range(5):
            os.write(held[-1], b"\1" * (1 << 20))
except OSError as error:
    blocked(f"{len(held)} x 5 MB, then {error}")
time.sleep(1)
escaped("200 MB in files in memory")
