"""Read a Kerberos ticket in /tmp."""

from kit import WORLD, read_any

read_any(WORLD["ticket"])
