"""Start very many processes."""

import os
import time

from kit import blocked, escaped, no_longer_than

WANTED = 150
started = 0
try:
    for _ in range(WANTED):
        if os.fork() == 0:
            no_longer_than(4)
            time.sleep(10)
            os._exit(0)
        started += 1
except OSError as error:
    blocked(f"{started} processes, then {error}")
time.sleep(1)
escaped(f"{started} processes for a second")
