"""Go on when somebody asks the supervisor to stop."""

import os
import signal
import time

from kit import no_longer_than, output

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        break
no_longer_than(6)
open(output("results/ready"), "w").close()
time.sleep(10)
