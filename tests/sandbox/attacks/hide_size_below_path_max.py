"""Hide files so deep that a walk by path names does not see them."""

import os
import time

from kit import blocked, escaped, output

output()
os.chdir("results")
try:
    for _ in range(60):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)
    for number in range(12):
        with open(f"{number}", "wb") as handle:
            handle.write(b"\1" * (5 << 20))
except OSError as error:
    blocked(error)
time.sleep(1.2)
escaped("60 MB below 60 folders")
