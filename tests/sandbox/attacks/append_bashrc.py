"""Append a command to the shell's start-up file."""

from kit import WORLD, write_any

write_any(WORLD["bashrc"])
