"""Watch the home directory, or the whole file system, with fanotify."""

from kit import WORLD, blocked, escaped, syscall

FAN_REPORT_FID, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD = 0x200, 1, 2, -100
try:
    group = syscall("fanotify_init", FAN_REPORT_FID, 0)
    syscall("fanotify_mark", group, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, WORLD["activity"].encode())
except OSError as error:
    blocked(error)
escaped("watching")
