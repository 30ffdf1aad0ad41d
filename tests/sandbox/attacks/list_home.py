"""List the home directory."""

import os

from kit import WORLD, blocked, escaped

try:
    names = os.listdir(WORLD["home"])
except OSError as error:
    blocked(error)
if ".ssh" in names:
    escaped(names)
blocked(f"the listing is {names}")
