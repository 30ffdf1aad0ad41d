"""Have a service of the machine run something later."""

import shutil
import subprocess

from kit import blocked, escaped

ends = []
for command in (["crontab", "-l"], ["at", "-l"], ["systemd-run", "--user", "true"], ["loginctl"], ["batch", "-V"]):
    if shutil.which(command[0]):
        told = subprocess.run(command, capture_output=True, timeout=3, stdin=subprocess.DEVNULL)
        ends.append((command[0], told.returncode))
if any(code == 0 for _, code in ends):
    escaped(ends)
blocked(ends)
