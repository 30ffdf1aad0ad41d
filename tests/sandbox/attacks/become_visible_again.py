"""Read the secret with another interpreter, started with an environment of our own."""

import subprocess
import sys

from kit import WORLD, blocked, escaped, is_secret

code = "import sys; sys.stdout.write(open(sys.argv[1]).read())"
told = subprocess.run([sys.executable, "-I", "-S", "-c", code, WORLD["ssh"]], capture_output=True, env={})
if is_secret(told.stdout):
    escaped("another interpreter read it")
blocked(told.stderr[-200:])
