"""Print without end and without ends of lines."""

import os

print("ATTACK STARTED", flush=True)
for _ in range(256):
    os.write(1, b"y" * 65536)
