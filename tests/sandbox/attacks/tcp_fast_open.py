"""Send data with the first packet, before anything that watches connect()."""

import socket

from kit import WORLD, blocked, tried

try:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as channel:
        channel.sendto(WORLD["tag"].encode(), socket.MSG_FASTOPEN, ("127.0.0.1", WORLD["tcp"]))
        channel.recv(10)
except OSError as error:
    blocked(error)
tried("sent")
