"""Have a crash leave a copy of its memory."""

import resource

from kit import blocked, escaped

try:
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
except (OSError, ValueError) as error:
    blocked(error)
escaped("core dumps are on")
