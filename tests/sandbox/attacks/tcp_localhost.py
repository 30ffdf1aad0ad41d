"""Connect to a server on this machine."""

import socket

from kit import WORLD, send

send(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", WORLD["tcp"]))
