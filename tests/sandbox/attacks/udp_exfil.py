"""Send a datagram."""

import socket

from kit import WORLD, send

send(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", WORLD["udp"]))
