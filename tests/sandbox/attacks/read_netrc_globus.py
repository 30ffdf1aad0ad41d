"""Read passwords and a grid certificate's key in the home directory."""

from kit import WORLD, read_any

read_any(WORLD["netrc"], WORLD["globus"])
