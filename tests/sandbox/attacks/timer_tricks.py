"""Outlive the time limit: all signals blocked, timers that restart the work, a new session."""

import os
import signal
import time

signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGALRM, signal.SIGKILL, signal.SIGSTOP})
print("ATTACK STARTED", flush=True)
end = time.monotonic() + 6


def again(*_: object) -> None:
    if time.monotonic() > end:
        os._exit(0)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


signal.signal(signal.SIGALRM, again)
again()
if os.fork() == 0:
    os.setsid()
    again()
while True:
    signal.pause()
