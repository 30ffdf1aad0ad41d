"""Learn where a symbolic link outside leads."""

import os

from kit import WORLD, blocked, escaped

try:
    os.readlink(f"{WORLD['home']}/.current")
except OSError as error:
    blocked(error)
escaped("read it")
