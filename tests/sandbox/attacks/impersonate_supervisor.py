"""Leave a process behind that looks like the supervisor itself."""

import ctypes
import os
import sys

from kit import LIBC, tried

look = sys.executable
try:
    with open(f"/proc/{os.getppid()}/cmdline") as handle:
        look = handle.read().split("\0")[0]
except OSError:
    pass  # then we guess
if os.fork():
    tried(f"looks like {look}")
PR_SET_NAME = 15
LIBC.prctl(PR_SET_NAME, ctypes.c_char_p(b"bwrap"), 0, 0, 0)
os.setsid()
if os.fork():
    os._exit(0)
os.closerange(0, 4096)
os.execve("/bin/sleep", [look, "7"], {"LLMAGENT_TRIAL": "another"})
