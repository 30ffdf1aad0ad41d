"""Start very many threads."""

import _thread
import time

from kit import blocked, escaped

started = 0
try:
    _thread.stack_size(64 << 10)
    for _ in range(200):
        _thread.start_new_thread(time.sleep, (4,))
        started += 1
except RuntimeError as error:
    blocked(f"{started} threads, then {error}")
time.sleep(1)
escaped(f"{started} threads for a second")
