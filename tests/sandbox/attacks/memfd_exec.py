"""Run a program from memory that reads the secret."""

import os
import subprocess

from kit import WORLD, blocked, escaped, is_secret

try:
    program = os.memfd_create("program", 0)
    with open("/bin/cat", "rb") as handle:
        os.write(program, handle.read())
    told = subprocess.run([f"/proc/self/fd/{program}", WORLD["ssh"]], capture_output=True, pass_fds=(program,))
except OSError as error:
    blocked(error)
if is_secret(told.stdout):
    escaped("a program in memory read it")
blocked(told.stderr)
