"""Go on forever and ignore requests to end, with children that do the same."""

import os
import signal
import time

from kit import no_longer_than

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU):
    signal.signal(number, signal.SIG_IGN)
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        break
no_longer_than(8)
while True:
    time.sleep(0.05)
