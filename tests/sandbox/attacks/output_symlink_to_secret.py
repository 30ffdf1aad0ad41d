"""Make the output a symbolic link to a secret."""

import os

from kit import WORLD, attempt, output

attempt(lambda: os.symlink(WORLD["ssh"], output()))
