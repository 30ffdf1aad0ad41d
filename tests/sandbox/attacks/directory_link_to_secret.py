"""Put a link to a secret into an output directory."""

import os

from kit import WORLD, attempt

os.makedirs("results/tree")
attempt(lambda: os.symlink(WORLD["ssh"], "results/tree/data.csv"))
