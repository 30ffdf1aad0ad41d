"""Push another process's memory out, and ask where it lies."""

import ctypes
import os

from kit import WORLD, blocked, escaped, syscall


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


MADV_COLD = 20
vector = Vector(int(WORLD["victim_memory"]) & ~0xFFF, 4096)
reasons = []
try:
    syscall("process_madvise", os.pidfd_open(WORLD["victim"]), ctypes.byref(vector), 1, MADV_COLD, 0)
    escaped("process_madvise")
except OSError as error:
    reasons.append(str(error))
page, status = ctypes.c_void_p(vector.base), ctypes.c_int(-1)
try:
    syscall("move_pages", WORLD["victim"], 1, ctypes.byref(page), None, ctypes.byref(status), 0)
    escaped(f"move_pages tells node {status.value}")
except OSError as error:
    reasons.append(str(error))
blocked(reasons)
