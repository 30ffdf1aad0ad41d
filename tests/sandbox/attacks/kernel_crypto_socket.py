"""Use the kernel's crypto code by AF_ALG."""

import socket

from kit import blocked, escaped

try:
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as channel:
        channel.bind(("hash", "sha256"))
except OSError as error:
    blocked(error)
escaped("a crypto socket")
