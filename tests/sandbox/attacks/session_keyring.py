"""Read a key of the person's session keyring."""

import ctypes

from kit import blocked, escaped, is_secret, syscall

SEARCH, READ, SESSION_KEYRING = 10, 11, -3
try:
    key = syscall("keyctl", SEARCH, SESSION_KEYRING, b"user", b"llmagent_attack", 0)
    buffer = ctypes.create_string_buffer(100)
    syscall("keyctl", READ, key, buffer, 100)
except OSError as error:
    blocked(error)
if is_secret(buffer.value):
    escaped("read a key")
blocked("another key")
