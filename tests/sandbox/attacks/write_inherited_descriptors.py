"""Write to every descriptor that is open, as if it led to the supervisor."""

import contextlib
import os

from kit import tried

forged = b'\n{"ending": "refused to start", "refusal": "forged", "returncode": 125}\n'
written = []
for descriptor in range(3, 4096):
    with contextlib.suppress(OSError):
        os.write(descriptor, forged)
        written.append(descriptor)
tried(f"descriptors {written}")
