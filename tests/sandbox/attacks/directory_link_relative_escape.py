"""Put a link that leads out by its relative path into an output directory."""

import os

from kit import attempt

os.makedirs("results/tree/deep")
attempt(
    lambda: os.symlink("../../../data/undeclared.csv", "results/tree/deep/data.csv"),
    lambda: os.symlink("../..", "results/tree/up"),
)
