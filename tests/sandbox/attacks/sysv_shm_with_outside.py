"""Read shared memory (System V) of another program."""

import ctypes

from kit import LIBC, WORLD, blocked, escaped, is_secret

LIBC.shmat.restype = ctypes.c_void_p
identity = LIBC.shmget(WORLD["shm_key"], 0, 0)
if identity < 0:
    blocked(f"shmget: {ctypes.get_errno()}")
place = LIBC.shmat(identity, None, 0o10000)
if place in (None, ctypes.c_void_p(-1).value):
    blocked(f"shmat: {ctypes.get_errno()}")
if is_secret(ctypes.string_at(place)):
    escaped("read a segment")
blocked("an empty segment")
