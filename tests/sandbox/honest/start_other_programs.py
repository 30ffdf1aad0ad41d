"""Run a pipeline of a shell, and another Python."""

import subprocess
import sys

from kit import output, worked

told = subprocess.run(
    "sort -r data/in.csv | head -n 1 | tr x y", shell=True, capture_output=True, text=True, check=True
)
assert told.stdout == "y\n", told
again = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True)
with open(output(), "w") as handle:
    handle.write(again.stdout)
worked()
