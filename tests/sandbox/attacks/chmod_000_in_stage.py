"""Take away all permissions of folders in the working directory, so that nobody can clean up."""

import os

from kit import output, tried

with open(output("results/closed/deep/file"), "w") as handle:
    handle.write("x")
for path in ("results/closed/deep", "results/closed"):
    os.chmod(path, 0)
tried("closed")
