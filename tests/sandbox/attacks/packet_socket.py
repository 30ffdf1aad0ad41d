"""Listen to the network's raw packets."""

import socket

from kit import blocked, escaped

try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)).close()
except OSError as error:
    blocked(error)
escaped("a packet socket")
