"""Get out of the supervisor's reach: no signal when it dies, a reaper of our own, not to be looked into."""

import os
import time

from kit import LIBC, no_longer_than, tried

PDEATHSIG, DUMPABLE, SUBREAPER = 1, 4, 36
if os.fork():
    time.sleep(0.1)
    tried("a reaper is running")
LIBC.prctl(PDEATHSIG, 0, 0, 0, 0)
LIBC.prctl(SUBREAPER, 1, 0, 0, 0)
LIBC.prctl(DUMPABLE, 0, 0, 0, 0)
os.setsid()
os.closerange(0, 4096)
for _ in range(3):
    if os.fork() == 0:
        if os.fork():
            os._exit(0)
        break
no_longer_than(7)
time.sleep(8)
