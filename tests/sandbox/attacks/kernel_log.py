"""Read the kernel's log."""

import ctypes

from kit import blocked, escaped, syscall

READ_ALL = 3
buffer = ctypes.create_string_buffer(4096)
try:
    length = syscall("syslog", READ_ALL, buffer, 4096)
except OSError as error:
    blocked(error)
escaped(f"{length} bytes")
