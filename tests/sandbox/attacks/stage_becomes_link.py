"""Replace the working directory by a link to the home directory."""

import os

from kit import WORLD, attempt

here = os.getcwd()
attempt(
    lambda: os.rename(here, f"{here}.moved"),
    lambda: os.symlink(WORLD["home"], here),
    lambda: os.rename("results", "elsewhere"),
)
