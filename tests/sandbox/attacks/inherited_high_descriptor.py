"""Read secrets through descriptors with high numbers, and open files relative to an inherited folder."""

import os

from kit import blocked, escaped, is_secret

for descriptor in range(256, 4096):
    try:
        data = os.pread(descriptor, 200, 0)
    except IsADirectoryError:
        try:
            data = os.read(os.open(".ssh/id_rsa", os.O_RDONLY, dir_fd=descriptor), 200)
        except OSError:
            continue
    except OSError:
        continue
    if is_secret(data):
        escaped(f"descriptor {descriptor}")
blocked("no secret in an open descriptor")
