"""Write many files that are larger than allowed together."""

import time

from kit import blocked, escaped, output

output()
try:
    for number in range(20):
        with open(f"results/{number}", "wb") as handle:
            handle.write(b"\1" * (4 << 20))
except OSError as error:
    blocked(error)
time.sleep(1.2)
escaped("80 MB in 20 files")
