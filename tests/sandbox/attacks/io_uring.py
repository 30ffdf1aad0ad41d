"""Open an io_uring, which does input and output past the filter of system calls."""

import ctypes

from kit import blocked, escaped, syscall

try:
    syscall("io_uring_setup", 4, ctypes.create_string_buffer(120))
except OSError as error:
    blocked(error)
escaped("an io_uring was made")
