"""Let other programs read the secret."""

import subprocess

from kit import WORLD, blocked, escaped, is_secret

for command in (["cat", WORLD["ssh"]], ["/bin/sh", "-c", f"exec head -c 100 {WORLD['ssh']}"]):
    told = subprocess.run(command, capture_output=True)
    if is_secret(told.stdout):
        escaped(command[0])
blocked(told.stderr)
