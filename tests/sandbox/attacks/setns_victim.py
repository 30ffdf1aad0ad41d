"""Enter the namespaces of another process."""

import os

from kit import WORLD, blocked, escaped, syscall

reasons = []
for open_victim in (
    lambda: os.open(f"/proc/{WORLD['victim']}/ns/net", os.O_RDONLY),
    lambda: os.pidfd_open(WORLD["victim"]),
):
    try:
        syscall("setns", open_victim(), 0x40000000)
        escaped("entered its network")
    except OSError as error:
        reasons.append(str(error))
blocked(reasons)
