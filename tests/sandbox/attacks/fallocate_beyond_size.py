"""Reserve space on the disk beyond a file's size, which a limit on the size does not see."""

import ctypes
import time

from kit import LIBC, blocked, escaped, output

KEEP_SIZE = 1
LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
with open(output(), "wb") as handle:
    if LIBC.fallocate(handle.fileno(), KEEP_SIZE, 0, 80 << 20):
        blocked(ctypes.get_errno())
    time.sleep(1.2)
escaped("80 MB reserved")
