"""Find a token in the command line of another process."""

import os

from kit import WORLD, blocked, escaped

secret = f"CANARY-{WORLD['tag']}-".encode()
try:
    names = [name for name in os.listdir("/proc") if name.isdigit()]
except OSError:
    names = [str(WORLD["victim"])]
for name in names:
    try:
        with open(f"/proc/{name}/cmdline", "rb") as handle:
            if secret in handle.read():
                escaped(f"process {name}")
    except OSError:
        continue
blocked(f"no token in {len(names)} processes")
