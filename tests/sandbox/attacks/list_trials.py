"""List the working directories of other jobs."""

import os

from kit import WORLD, blocked, escaped

reason: object = "nothing of another job shows"
for folder in (WORLD["trials"], "..", os.path.dirname(WORLD["trials"])):
    try:
        names = os.listdir(folder)
    except OSError as error:
        reason = error
        continue
    if any(name.startswith("other_rule") for name in names):
        escaped(names)
blocked(reason)
