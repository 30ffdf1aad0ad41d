"""Use much of what is allowed: memory, files, processes, and words."""

import os
import sys

from kit import output, worked

held = bytearray(b"\1") * (80 << 20)
output()
for number in range(100):
    with open(f"results/{number}", "wb") as handle:
        handle.write(b"\1" * 50_000)
children = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
print("words " * 10_000, file=sys.stderr)
with open("results/out.txt", "w") as handle:
    handle.write(f"{len(held)}")
worked()
