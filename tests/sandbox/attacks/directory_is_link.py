"""Make an output directory a link to a folder of secrets."""

import os

from kit import WORLD, attempt

os.makedirs("results", exist_ok=True)
attempt(lambda: os.symlink(f"{WORLD['home']}/.ssh", "results/tree"))
