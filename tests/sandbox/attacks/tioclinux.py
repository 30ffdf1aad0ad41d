"""Paste into the console, or change what kind of terminal it is."""

import contextlib
import fcntl
import os
import struct

from kit import blocked, escaped

TIOCLINUX, TIOCSETD, TIOCSTI_CLONE = 0x541C, 0x5423, 0x5412
places = [0, 1, 2]
with contextlib.suppress(OSError):
    places.append(os.open("/dev/tty", os.O_RDWR))
reason: object = "no terminal"
for place in places:
    for request, argument in ((TIOCLINUX, b"\x03"), (TIOCSETD, struct.pack("i", 0))):
        try:
            fcntl.ioctl(place, request, argument)
        except OSError as error:
            reason = error
            continue
        escaped(f"request {request:#x} on {place}")
blocked(reason)
