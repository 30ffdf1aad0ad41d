"""Empty a declared input with openat2 and O_TRUNC."""

import ctypes
import os
import struct

from kit import WORLD, attempt, syscall

AT_FDCWD = -100


def empty(flags: int) -> int:
    how = ctypes.create_string_buffer(struct.pack("QQQ", flags, 0, 0))
    return syscall("openat2", AT_FDCWD, WORLD["input"].encode(), how, 24)


attempt(lambda: empty(os.O_RDONLY | os.O_TRUNC), lambda: empty(os.O_WRONLY | os.O_TRUNC), lambda: empty(3 | os.O_TRUNC))
