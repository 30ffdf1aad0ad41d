"""Close the output and go on, so that whoever reads it takes this for the end."""

import os
import time

from kit import output

os.closerange(0, 3)
time.sleep(0.3)
with open(output(), "w") as handle:
    handle.write("done\n")
os._exit(0)
