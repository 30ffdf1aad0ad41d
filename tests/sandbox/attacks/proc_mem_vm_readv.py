"""Read a secret from the memory of another process."""

import ctypes
import os

from kit import WORLD, blocked, escaped, is_secret, syscall

SIZE = 300
place = int(WORLD["victim_memory"])
reason: object = "nothing was found"
try:
    with open(f"/proc/{WORLD['victim']}/mem", "rb", buffering=0) as memory:
        memory.seek(place)
        if is_secret(memory.read(SIZE)):
            escaped("read /proc/PID/mem")
except OSError as error:
    reason = error


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


buffer = ctypes.create_string_buffer(SIZE)
here, there = Vector(ctypes.addressof(buffer), SIZE), Vector(place, SIZE)
try:
    syscall("process_vm_readv", WORLD["victim"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
except OSError as error:
    blocked(f"{reason}; {error}")
if is_secret(buffer.raw):
    escaped("process_vm_readv")
blocked(os.strerror(0))
