"""Go on when somebody kills the supervisor and its guard at once."""

import os
import time

from kit import no_longer_than, output

for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        break
no_longer_than(6)
open(output("results/ready"), "w").close()
time.sleep(10)
