"""Give the output a time in the future, so that it never counts as outdated."""

import os
import time

from kit import attempt, output

with open(output(), "w") as handle:
    handle.write("x")
later = time.time() + 1e9
attempt(lambda: os.utime("results/out.txt", (later, later)))
