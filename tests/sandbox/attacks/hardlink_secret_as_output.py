"""Make the output a second name of a secret."""

import os

from kit import WORLD, attempt, output

attempt(lambda: os.link(WORLD["ssh"], output()))
