"""Make the output a pipe, so that whoever reads it waits forever."""

import os

from kit import attempt, output

attempt(lambda: os.mkfifo(output()))
