"""Make a user namespace, which gives powers over its own mounts and network."""

from kit import blocked, escaped, syscall

try:
    syscall("unshare", 0x10000000)
except OSError as error:
    blocked(error)
escaped("a user namespace was made")
