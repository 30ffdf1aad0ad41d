"""Mount something over the home directory, as root or in a user namespace."""

from kit import LIBC, WORLD, blocked, escaped, syscall

NEWUSER, NEWNS, PRIVATE = 0x10000000, 0x00020000, 0x44000
reasons = []
for flags in (NEWNS, NEWUSER | NEWNS):
    try:
        syscall("unshare", flags)
        syscall("mount", b"none", b"/", None, PRIVATE, None)  # nothing of this is seen outside
        break
    except OSError as error:
        reasons.append(str(error))
try:
    syscall("mount", b"tmpfs", WORLD["home"].encode(), b"tmpfs", 0, None)
except OSError as error:
    blocked(f"{reasons}; {error}")
LIBC.umount2(WORLD["home"].encode(), 2)
escaped("mounted")
