"""Make the output a program with the powers of its owner."""

import os

from kit import attempt, output

with open(output(), "w") as handle:
    handle.write("#!/bin/sh\n")
attempt(lambda: os.chmod("results/out.txt", 0o6755))
