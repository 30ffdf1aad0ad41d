"""Read what the person types."""

import os
import select

from kit import blocked, escaped

try:
    data = os.read(0, 100) if select.select([0], [], [], 0.5)[0] else b""
except OSError as error:
    blocked(error)
if data:
    escaped(data)
blocked("nothing to read")
