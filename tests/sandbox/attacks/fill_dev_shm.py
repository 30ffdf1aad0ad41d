"""Use more memory than allowed as files in /dev/shm."""

import os
import time

from kit import WORLD, blocked, escaped

names = [f"/dev/shm/{WORLD['shm_name']}-{number}" for number in range(40)]
reason: object = None
try:
    for name in names:
        with open(name, "wb") as handle:
            handle.write(b"\1" * (5 << 20))
    time.sleep(0.8)
except OSError as error:
    reason = error
finally:
    for name in names:
        if os.path.exists(name):
            os.unlink(name)
if reason:
    blocked(reason)
escaped("200 MB in /dev/shm")
