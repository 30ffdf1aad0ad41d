"""Fill folders that nobody may look into."""

import os
import time

from kit import blocked, escaped, output

try:
    for number in range(12):
        with open(output(f"results/closed/{number}"), "wb") as handle:
            handle.write(b"\1" * (5 << 20))
    os.chmod("results/closed", 0)
except OSError as error:
    blocked(error)
time.sleep(1.2)
escaped("60 MB in a closed folder")
