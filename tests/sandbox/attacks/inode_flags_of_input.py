"""Change the inode flags of an input through a descriptor that may only read (chattr, file_setattr)."""

import ctypes
import fcntl
import os
import struct

from kit import WORLD, blocked, escaped, syscall

GETFLAGS, SETFLAGS, NODUMP, AT_FDCWD = 0x80086601, 0x40086602, 0x40, -100
reasons, changed = [], []
attributes = ctypes.create_string_buffer(struct.pack("QIIII", 0x80, 0, 0, 0, 0))
try:
    syscall("file_setattr", AT_FDCWD, WORLD["input"].encode(), attributes, 24, 0)
    with open(WORLD["input"]) as handle:
        (now,) = struct.unpack("l", fcntl.ioctl(handle.fileno(), GETFLAGS, b"\0" * 8))
    if now & NODUMP:
        changed.append("file_setattr")
except OSError as error:
    reasons.append(str(error))
for path in (WORLD["input"], WORLD["bashrc"], "data/in.csv"):
    try:
        descriptor = os.open(path, os.O_RDONLY)
        (flags,) = struct.unpack("l", fcntl.ioctl(descriptor, GETFLAGS, b"\0" * 8))
        fcntl.ioctl(descriptor, SETFLAGS, struct.pack("l", flags | NODUMP))
        (now,) = struct.unpack("l", fcntl.ioctl(descriptor, GETFLAGS, b"\0" * 8))
        if now & NODUMP:
            changed.append(path)
    except OSError as error:
        reasons.append(str(error))
if changed:
    escaped(changed)
blocked(reasons)
