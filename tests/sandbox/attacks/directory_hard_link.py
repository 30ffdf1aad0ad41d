"""Put a second name of a secret into an output directory."""

import os

from kit import WORLD, attempt

os.makedirs("results/tree")
attempt(
    lambda: os.link(WORLD["ssh"], "results/tree/data.csv"),
    lambda: os.link("/proc/self/cwd/data/in.csv", "results/tree/in.csv", follow_symlinks=True),
)
