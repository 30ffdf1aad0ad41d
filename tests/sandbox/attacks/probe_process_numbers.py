"""Learn that a process of another program is there, and to which session it belongs."""

import os

from kit import WORLD, blocked, escaped

try:
    escaped(f"session {os.getsid(WORLD['victim'])}")
except OSError as error:
    blocked(error)
