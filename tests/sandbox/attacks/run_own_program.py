"""Write a program into the working directory and have it read the secret."""

import os
import shutil
import subprocess

from kit import WORLD, blocked, escaped, is_secret, output

try:
    shutil.copy("/bin/cat", output("results/tool"))
    os.chmod("results/tool", 0o755)
    told = subprocess.run(["results/tool", WORLD["ssh"]], capture_output=True)
except OSError as error:
    blocked(error)
if is_secret(told.stdout):
    escaped("the program read it")
blocked(told.stderr)
