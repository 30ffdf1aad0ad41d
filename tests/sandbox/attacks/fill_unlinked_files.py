"""Fill the disk with files that have no name, which no walk finds."""

import os
import time

from kit import blocked, escaped, output

output()
held = []
try:
    for number in range(16):
        handle = open(f"results/{number}", "wb")
        os.unlink(f"results/{number}")
        handle.write(b"\1" * (4 << 20))
        handle.flush()
        held.append(handle)
except OSError as error:
    blocked(error)
time.sleep(1.5)
escaped("64 MB without a name")
