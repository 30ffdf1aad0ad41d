"""Read a private SSH key in the home directory."""

from kit import WORLD, read_any

read_any(WORLD["ssh"])
