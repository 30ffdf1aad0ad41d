"""Attach to another process as a debugger."""

import os

from kit import WORLD, blocked, escaped, syscall

PTRACE_ATTACH, PTRACE_DETACH, WALL = 16, 17, 0x40000000
try:
    syscall("ptrace", PTRACE_ATTACH, WORLD["victim"], 0, 0)
except OSError as error:
    blocked(error)
os.waitpid(WORLD["victim"], WALL)
syscall("ptrace", PTRACE_DETACH, WORLD["victim"], 0, 0)
escaped("attached")
