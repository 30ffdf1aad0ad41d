"""Put walls of our own, which allow everything, on top of the others, then read the secret."""

import contextlib
import ctypes
import os
import struct

from kit import LIBC, WORLD, read_any, syscall

LIBC.prctl(38, 1, 0, 0, 0)
for _ in range(20):
    with contextlib.suppress(OSError):
        rules = syscall("landlock_create_ruleset", ctypes.create_string_buffer(struct.pack("Q", 0x4)), 8, 0)
        root = os.open("/", os.O_PATH)
        syscall("landlock_add_rule", rules, 1, ctypes.create_string_buffer(struct.pack("=Qi", 0x4, root)), 0)
        syscall("landlock_restrict_self", rules, 0)
read_any(WORLD["ssh"], f"/proc/self/root{WORLD['ssh']}")
