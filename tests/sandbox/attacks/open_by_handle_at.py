"""Read a secret by its file handle instead of its name."""

import ctypes
import os
import struct

from kit import WORLD, blocked, escaped, is_secret, syscall

AT_FDCWD = -100
handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + b"\0" * 128)
mount = ctypes.c_int()
try:
    syscall("name_to_handle_at", AT_FDCWD, WORLD["ssh"].encode(), handle, ctypes.byref(mount), 0)
    somewhere = os.open(WORLD["home"], os.O_RDONLY)
    descriptor = syscall("open_by_handle_at", somewhere, handle, os.O_RDONLY)
except OSError as error:
    blocked(error)
if is_secret(os.read(descriptor, 200)):
    escaped("open_by_handle_at")
blocked("not the real file")
