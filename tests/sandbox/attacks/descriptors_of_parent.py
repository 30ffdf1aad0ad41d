"""Open what the parent process has open, and forge a message of the launcher there."""

import os

from kit import WORLD, escaped, is_secret, tried

FORGED = b"Landlock is not available"
FLAGS = os.O_NONBLOCK | os.O_NOCTTY
found = []
for process in {1, os.getppid()} if WORLD["confined"] else {os.getppid()}:
    try:
        names = os.listdir(f"/proc/{process}/fd")
    except OSError:
        names = [str(number) for number in range(3, 20)]
    for name in names:
        try:
            if is_secret(os.read(os.open(f"/proc/{process}/fd/{name}", os.O_RDONLY | FLAGS), 200)):
                escaped(f"process {process}, descriptor {name}")
        except OSError:
            pass  # then for writing
        try:
            descriptor = os.open(f"/proc/{process}/fd/{name}", os.O_WRONLY | FLAGS)
            found.append((process, name))
            if WORLD["confined"]:
                os.write(descriptor, FORGED)
        except OSError:
            continue
tried(found)
