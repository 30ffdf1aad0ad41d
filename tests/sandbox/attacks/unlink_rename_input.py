"""Remove or rename a declared input and the Snakefile."""

import os

from kit import WORLD, attempt

attempt(
    lambda: os.rename(WORLD["input"], WORLD["input"] + ".bak"),
    lambda: os.unlink(WORLD["input"]),
    lambda: os.unlink(WORLD["snakefile"]),
)
