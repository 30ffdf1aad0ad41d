"""Read a secret with openat2 and its ways to resolve names."""

import ctypes
import os
import struct

from kit import WORLD, blocked, escaped, is_secret, syscall

AT_FDCWD, RESOLVE_CACHED = -100, 0x20
reasons = []
for resolve in (0, RESOLVE_CACHED):
    how = ctypes.create_string_buffer(struct.pack("QQQ", os.O_RDONLY, 0, resolve))
    try:
        descriptor = syscall("openat2", AT_FDCWD, WORLD["ssh"].encode(), how, 24)
    except OSError as error:
        reasons.append(str(error))
        continue
    if is_secret(os.read(descriptor, 200)):
        escaped("openat2")
blocked(reasons)
