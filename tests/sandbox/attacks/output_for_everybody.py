"""Let everybody on the machine write to the output, by its mode, by an access list."""

import os
import struct

from kit import attempt, output

ANYBODY = 0xFFFFFFFF
with open(output(), "w") as handle:
    handle.write("x")
entries = ((1, 6, ANYBODY), (2, 6, 12345), (4, 4, ANYBODY), (16, 6, ANYBODY), (32, 6, ANYBODY))
access_list = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
attempt(
    lambda: os.chmod("results/out.txt", 0o777),
    lambda: os.setxattr("results/out.txt", "system.posix_acl_access", access_list),
)
