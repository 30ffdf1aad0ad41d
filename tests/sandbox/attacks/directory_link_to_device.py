"""Put a link to an endless device into an output directory, so that a copy never ends."""

import os

from kit import attempt

os.makedirs("results/tree")
attempt(lambda: os.symlink("/dev/zero", "results/tree/data.bin"))
