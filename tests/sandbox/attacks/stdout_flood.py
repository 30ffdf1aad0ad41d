"""Print more than anybody can read."""

import os

line = b"x" * 1023 + b"\n"
print("ATTACK STARTED", flush=True)
for _ in range(256):
    os.write(1, line * 64)
