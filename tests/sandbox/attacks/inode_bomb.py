"""Make more files than allowed."""

import os
import time

from kit import blocked, escaped, output

output()
try:
    for number in range(2000):
        os.close(os.open(f"results/i{number}", os.O_WRONLY | os.O_CREAT))
except OSError as error:
    blocked(error)
time.sleep(1.2)
escaped("2000 files")
