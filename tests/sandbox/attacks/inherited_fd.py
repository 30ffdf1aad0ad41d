"""Read secrets through descriptors that the caller left open."""

import os

from kit import blocked, escaped, is_secret

for descriptor in range(3, 256):
    try:
        data = os.pread(descriptor, 200, 0)
    except OSError:
        continue
    if is_secret(data):
        escaped(f"descriptor {descriptor}")
blocked("no secret in an open descriptor")
