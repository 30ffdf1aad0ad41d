"""Close the output and go on forever."""

import os
import time

from kit import no_longer_than

no_longer_than(8)
os.closerange(0, 1000)
while True:
    time.sleep(0.1)
