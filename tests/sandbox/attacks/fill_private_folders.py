"""Fill the private home and temporary folders."""

import os
import tempfile
import time

from kit import blocked, escaped

try:
    for folder in (os.environ["HOME"], tempfile.gettempdir()):
        for number in range(6):
            with open(f"{folder}/llmagent-attack-{number}", "wb") as handle:
                handle.write(b"\1" * (5 << 20))
    time.sleep(1.2)
except OSError as error:
    blocked(error)
finally:
    for folder in (os.environ["HOME"], tempfile.gettempdir()):
        for number in range(6):
            if os.path.exists(f"{folder}/llmagent-attack-{number}"):
                os.unlink(f"{folder}/llmagent-attack-{number}")
escaped("60 MB in two folders")
