"""Make more folders than allowed, without a single file."""

import os
import time

from kit import blocked, escaped, output

output()
try:
    for number in range(1500):
        os.mkdir(f"results/d{number}")
except OSError as error:
    blocked(error)
time.sleep(1.2)
escaped("1500 folders")
