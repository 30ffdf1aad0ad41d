"""Use more memory than allowed, divided among processes."""

import os
import time

from kit import blocked, escaped, no_longer_than

for _ in range(5):
    if os.fork() == 0:
        no_longer_than(5)
        held = bytearray(b"\1") * (40 << 20)
        time.sleep(5)
        os._exit(0)
time.sleep(1.5)
if os.waitpid(-1, os.WNOHANG)[0]:
    blocked("a child could not hold it")
escaped("5 x 40 MB")
