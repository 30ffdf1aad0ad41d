"""Read what is not an input when the project is reached through a symbolic link."""

import os

from kit import WORLD, read_any

undeclared = WORLD["undeclared"]
real = undeclared.replace("/link/", "/base/")
read_any(undeclared, real, os.path.realpath(undeclared), WORLD["ssh"], WORLD["ssh"].replace("/link/", "/base/"))
