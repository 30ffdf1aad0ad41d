"""Gain the powers of root by a set-user-ID program."""

import subprocess

from kit import blocked, escaped

# The loader ignores this variable in a program that gained powers, and complains in any other.
told = subprocess.run(
    ["/bin/su", "--version"],
    env={"LD_PRELOAD": "/nowhere/x.so"},
    capture_output=True,
    text=True,
    stdin=subprocess.DEVNULL,
)
if "cannot be preloaded" in told.stderr:
    blocked("the program ran without powers")
if told.returncode:
    blocked(told.stderr)
escaped("the program ran with powers of its own")
