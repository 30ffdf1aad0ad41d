"""Take an open file from another process."""

import os

from kit import WORLD, blocked, escaped, is_secret, syscall

try:
    descriptor = syscall("pidfd_getfd", os.pidfd_open(WORLD["victim"]), 3, 0)
except OSError as error:
    blocked(error)
if is_secret(os.pread(descriptor, 200, 0)):
    escaped("took it")
blocked("another file")
