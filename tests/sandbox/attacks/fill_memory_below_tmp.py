"""Use more memory than allowed as files in /tmp, or wherever else memory poses as a disk."""

import os
import time

from kit import WORLD, blocked, escaped

folders = ["/tmp", "/dev", "/run", "/var", "/", "/home", "/etc"] if WORLD["confined"] else ["/tmp"]
reasons: list[object] = []
for folder in folders:
    names = [f"{folder}/llmagent-{WORLD['tag']}-{number}" for number in range(40)]
    try:
        for name in names:
            with open(name, "wb") as handle:
                handle.write(b"\1" * (5 << 20))
        time.sleep(0.8)
        escaped(f"200 MB in {folder}")
    except OSError as error:
        reasons.append(error)
    finally:
        for name in names:
            if os.path.exists(name):
                os.unlink(name)
blocked(reasons)
