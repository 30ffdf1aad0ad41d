"""Put a program with the powers of its owner into an output directory."""

import os

from kit import attempt

os.makedirs("results/tree/bin")
with open("results/tree/bin/tool", "w") as handle:
    handle.write("#!/bin/sh\n")
attempt(lambda: os.chmod("results/tree/bin/tool", 0o6755), lambda: os.chmod("results/tree/bin", 0o6777))
