"""Wait for a child that has stopped itself."""

import os
import signal

from kit import no_longer_than

child = os.fork()
if child == 0:
    no_longer_than(8)
    os.setsid()
    os.kill(0, signal.SIGSTOP)
    os._exit(0)
no_longer_than(8)
os.waitpid(child, 0)
