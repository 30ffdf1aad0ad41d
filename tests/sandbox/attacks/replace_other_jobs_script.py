"""Replace the script of another job before it starts, and our own for the next time."""

import os

from kit import WORLD, write_any

folder = os.path.dirname(WORLD["script"])
write_any(f"{folder}/tmpzz.other.py", WORLD["script"], WORLD["agent"])
