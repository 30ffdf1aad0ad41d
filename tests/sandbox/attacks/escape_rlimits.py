"""Raise the limits that were set on the script."""

import resource

from kit import blocked, escaped

raised = []
for kind, value in ((resource.RLIMIT_FSIZE, 1 << 40), (resource.RLIMIT_NOFILE, 4000), (resource.RLIMIT_DATA, 1 << 42)):
    if resource.getrlimit(kind)[1] in (resource.RLIM_INFINITY, value) or resource.getrlimit(kind)[1] > value:
        raised.append(kind)
        continue
    try:
        resource.setrlimit(kind, (value, value))
        raised.append(kind)
    except (OSError, ValueError):
        continue
if raised:
    escaped(f"limits {raised}")
blocked("they hold")
