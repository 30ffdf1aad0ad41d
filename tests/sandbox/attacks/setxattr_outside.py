"""Attach attributes to files outside and to inputs."""

import ctypes
import os

from kit import WORLD, attempt, syscall

AT_FDCWD = -100


class Arguments(ctypes.Structure):
    _fields_ = (("value", ctypes.c_uint64), ("size", ctypes.c_uint32), ("flags", ctypes.c_uint32))


value = ctypes.create_string_buffer(b"x")
arguments = Arguments(ctypes.addressof(value), 1, 0)
attempt(
    lambda: os.setxattr(WORLD["bashrc"], "user.tampered", b"x"),
    lambda: os.setxattr(WORLD["input"], "user.tampered", b"x"),
    lambda: os.setxattr(os.open(WORLD["input"], os.O_RDONLY), "user.tampered", b"x"),
    lambda: syscall("setxattrat", AT_FDCWD, WORLD["ssh"].encode(), 0, b"user.tampered", ctypes.byref(arguments), 16),
)
