"""Make a message queue that outlives the script."""

import os

from kit import LIBC, WORLD, blocked, escaped

name = f"/{WORLD['shm_name']}".encode()
queue = LIBC.mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, None)
if queue < 0:
    blocked("mq_open was refused")
LIBC.mq_unlink(name)
escaped("a message queue")
