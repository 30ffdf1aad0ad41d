"""Run a program by its descriptor (execveat) that reads the secret."""

import ctypes
import os

from kit import WORLD, blocked, escaped, is_secret, syscall

AT_EMPTY_PATH = 0x1000
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.dup2(write, 1)
    arguments = (ctypes.c_char_p * 3)(b"cat", WORLD["ssh"].encode(), None)
    syscall("execveat", os.open("/bin/cat", os.O_PATH), b"", arguments, (ctypes.c_char_p * 1)(None), AT_EMPTY_PATH)
os.close(write)
data = os.read(read, 300)
os.waitpid(child, 0)
if is_secret(data):
    escaped("cat read it")
blocked("nothing came")
