"""Kill another process by ways that are not kill(): its thread, a queued signal."""

import ctypes
import signal
import struct

from kit import WORLD, attempt, syscall

victim, number = WORLD["victim"], int(signal.SIGKILL)
info = ctypes.create_string_buffer(struct.pack("iiii", number, 0, -1, 0) + b"\0" * 112)
attempt(
    lambda: syscall("rt_sigqueueinfo", victim, number, info),
    lambda: syscall("rt_tgsigqueueinfo", victim, victim, number, info),
    lambda: syscall("tgkill", victim, victim, number),
    lambda: syscall("tkill", victim, number),
)
