"""Hide data in attributes of the output."""

import os

from kit import attempt, output

with open(output(), "w") as handle:
    handle.write("x")
attempt(lambda: os.setxattr("results/out.txt", "user.hidden", b"x" * 100))
