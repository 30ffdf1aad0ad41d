"""Have the kernel send a signal to another process when a pipe becomes readable."""

import fcntl
import os

from kit import WORLD, attempt

F_SETSIG, SIGKILL = 10, 9


def arm() -> None:
    read, write = os.pipe()
    fcntl.fcntl(read, fcntl.F_SETOWN, WORLD["victim"])
    fcntl.fcntl(read, F_SETSIG, SIGKILL)
    fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | os.O_ASYNC)
    os.write(write, b"x")


attempt(arm)
