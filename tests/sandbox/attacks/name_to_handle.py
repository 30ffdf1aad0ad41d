"""Get the file handle of a secret: proof that it exists, and a key for others."""

import ctypes
import struct

from kit import WORLD, blocked, escaped, syscall

AT_FDCWD = -100
handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + b"\0" * 128)
mount = ctypes.c_int()
try:
    syscall("name_to_handle_at", AT_FDCWD, WORLD["ssh"].encode(), handle, ctypes.byref(mount), 0)
except OSError as error:
    blocked(error)
escaped(f"a handle on mount {mount.value}")
