"""Read a secret with system calls of our own, past everything that Python could check."""

import os

from kit import WORLD, blocked, escaped, is_secret, syscall

AT_FDCWD = -100
try:
    descriptor = syscall("openat", AT_FDCWD, WORLD["ssh"].encode(), os.O_RDONLY, 0)
except OSError as error:
    blocked(error)
if is_secret(os.read(descriptor, 200)):
    escaped("openat")
blocked("not the real file")
