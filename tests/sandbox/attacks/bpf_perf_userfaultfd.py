"""Open interfaces of the kernel that past exploits began with."""

import ctypes
import struct

from kit import blocked, escaped, syscall

attributes = ctypes.create_string_buffer(struct.pack("IIQQQQQ", 1, 128, 0, 0, 0, 0, 0b1100001) + b"\0" * 80)
tries = {
    "bpf": (0, ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 8, 1) + b"\0" * 100), 72),
    "perf_event_open": (attributes, 0, -1, -1, 0),
    "userfaultfd": (0,),
}
opened, reasons = [], []
for name, arguments in tries.items():
    try:
        syscall(name, *arguments)
        opened.append(name)
    except OSError as error:
        reasons.append(str(error))
try:
    syscall("userfaultfd", 1)
    opened.append("userfaultfd of user memory")
except OSError as error:
    reasons.append(str(error))
if opened:
    escaped(opened)
blocked(reasons)
