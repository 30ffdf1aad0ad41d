"""Rename the folders above the working directory."""

import os

from kit import attempt

here = os.getcwd()
above = os.path.dirname(here)
attempt(lambda: os.rename(above, f"{above}.moved"), lambda: os.rename("..", "../../moved"))
