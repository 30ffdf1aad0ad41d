"""Watch what happens in the home directory with inotify."""

import os
import select

from kit import WORLD, blocked, escaped, syscall

IN_ALL = 0xFFF
reasons: list[object] = []
try:
    group = syscall("inotify_init1", 0)
except OSError as error:
    blocked(error)
for path in (WORLD["home"], WORLD["activity"], WORLD["project"]):
    try:
        syscall("inotify_add_watch", group, path.encode(), IN_ALL)
    except OSError as error:
        reasons.append(error)
if select.select([group], [], [], 0.3)[0]:
    escaped(os.read(group, 100))
blocked(reasons or "nothing was seen")
