"""Empty a declared input by truncate() and by opening it for reading with O_TRUNC."""

import os

from kit import WORLD, attempt

attempt(
    lambda: os.truncate(WORLD["bashrc"], 0),
    lambda: os.close(os.open(WORLD["input"], os.O_RDONLY | os.O_TRUNC)),
    lambda: os.close(os.open("data/in.csv", os.O_RDONLY | os.O_TRUNC)),
    lambda: os.truncate(WORLD["input"], 0),
    lambda: os.truncate("data/in.csv", 0),
)
