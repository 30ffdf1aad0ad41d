"""Learn what another process has mapped, and open that."""

import os

from kit import WORLD, blocked, escaped, is_secret

folder = f"/proc/{WORLD['victim']}/map_files"
reasons = []
try:
    with open(f"/proc/{WORLD['victim']}/maps") as handle:
        escaped(f"{len(handle.readlines())} maps")
except OSError as error:
    reasons.append(error)
try:
    for name in os.listdir(folder):
        with open(f"{folder}/{name}", "rb") as mapped:
            if is_secret(mapped.read(200)):
                escaped(name)
except OSError as error:
    reasons.append(error)
blocked(reasons)
