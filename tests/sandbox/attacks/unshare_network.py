"""Make a network namespace."""

from kit import blocked, escaped, syscall

NEWNET, NEWUSER = 0x40000000, 0x10000000
reasons = []
for flags in (NEWNET, NEWUSER | NEWNET):
    try:
        syscall("unshare", flags)
        escaped("a network of our own")
    except OSError as error:
        reasons.append(str(error))
blocked(reasons)
