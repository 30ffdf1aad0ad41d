"""Read the supervisor's order, which says what else is there."""

from kit import WORLD, blocked, escaped

reason: object = ""
for path in (WORLD["order"], WORLD["report"], WORLD["log"]):
    try:
        with open(path) as handle:
            handle.read(1)
    except OSError as error:
        reason = error
        continue
    escaped(path)
blocked(reason)
