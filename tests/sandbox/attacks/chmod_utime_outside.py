"""Open a secret key to everyone, change an input's mode and time."""

import os

from kit import WORLD, attempt

attempt(
    lambda: os.chmod(WORLD["ssh"], 0o777),
    lambda: os.chmod(WORLD["input"], 0o666),
    lambda: os.utime(WORLD["input"], (1, 1)),
    lambda: os.utime(WORLD["ssh"], (1, 1)),
    lambda: os.fchmod(os.open(WORLD["input"], os.O_RDONLY), 0o600),
    lambda: os.chown(WORLD["input"], os.getuid(), os.getgid()),
)
