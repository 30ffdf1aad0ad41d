"""Write to a start-up file through a symbolic link in the working directory."""

import os

from kit import WORLD, output, write_any

link = output("results/link")
os.symlink(WORLD["bashrc"], link)
write_any(link)
