"""Make two outputs one file, so that changing the one later changes the other."""

import os

from kit import attempt, output

os.makedirs("results/tree")
with open(output(), "w") as handle:
    handle.write("x")
attempt(lambda: os.link("results/out.txt", "results/tree/same"))
