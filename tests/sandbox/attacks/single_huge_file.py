"""Write one file that is larger than allowed."""

import time

from kit import blocked, escaped, output

try:
    with open(output(), "wb") as handle:
        for _ in range(60):
            handle.write(b"\1" * (1 << 20))
except OSError as error:
    blocked(error)
time.sleep(1.2)
escaped("60 MB in a file")
