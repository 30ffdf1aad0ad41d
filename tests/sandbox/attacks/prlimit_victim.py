"""Change the limits of another process."""

import resource

from kit import WORLD, blocked, escaped

try:
    resource.prlimit(WORLD["victim"], resource.RLIMIT_CORE, (0, 0))
except OSError as error:
    blocked(error)
escaped("its limit was changed")
