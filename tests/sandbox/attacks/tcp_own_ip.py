"""Connect to a server on this machine by its network address."""

import socket

from kit import WORLD, send

send(socket.AF_INET, socket.SOCK_STREAM, (WORLD["address"], WORLD["tcp"]))
