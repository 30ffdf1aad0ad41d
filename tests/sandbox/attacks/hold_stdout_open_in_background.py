"""Leave a process behind that keeps the output open, so that a reader waits for its end."""

import os
import time

from kit import no_longer_than, tried

if os.fork() == 0:
    os.setsid()
    no_longer_than(6)
    time.sleep(6)
    os._exit(0)
tried("the main process ends now")
