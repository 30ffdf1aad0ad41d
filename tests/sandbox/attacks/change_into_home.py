"""Make the home directory the working directory, to reach files by short names."""

import os

from kit import WORLD, blocked, read_any

try:
    os.chdir(WORLD["home"])
except OSError as error:
    blocked(error)
read_any(".ssh/id_rsa", ".netrc")
