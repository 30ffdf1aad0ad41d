"""Open the terminals of other programs."""

import os

from kit import blocked, escaped

try:
    names = [name for name in os.listdir("/dev/pts") if name.isdigit()]
except OSError:
    names = [str(number) for number in range(20)]
opened = []
for name in names:
    try:
        os.close(os.open(f"/dev/pts/{name}", os.O_RDWR | os.O_NOCTTY))
        opened.append(name)
    except OSError:
        continue
if opened:
    escaped(f"terminals {opened}")
blocked(f"none of {names}")
