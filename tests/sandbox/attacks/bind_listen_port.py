"""Open a server that others can reach."""

import socket

from kit import WORLD, blocked, tried

try:
    with socket.socket() as server:
        server.bind(("127.0.0.1", WORLD["free_port"]))
        server.listen(1)
        server.settimeout(1.5)
        server.accept()
except OSError as error:
    blocked(error)
tried("somebody came")
