"""Make the output a link into the output directory, whose member is a link to a secret."""

import os

from kit import WORLD, attempt

os.makedirs("results/tree")
attempt(
    lambda: os.symlink(WORLD["ssh"], "results/tree/inner"),
    lambda: os.symlink("tree/inner", "results/out.txt"),
)
