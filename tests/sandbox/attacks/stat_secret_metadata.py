"""Learn that a secret file exists, its size and its times, without opening it."""

import os

from kit import WORLD, blocked, escaped

try:
    facts = os.stat(WORLD["ssh"])
except OSError as error:
    blocked(error)
escaped(f"{facts.st_size} bytes")
