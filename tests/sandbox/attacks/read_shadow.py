"""Read the passwords of the machine's accounts."""

from kit import blocked, escaped

try:
    with open("/etc/shadow") as handle:
        lines = len(handle.readlines())
except OSError as error:
    blocked(error)
escaped(f"{lines} lines")
