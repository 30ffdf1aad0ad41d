"""Put a pipe and a socket into an output directory."""

import os
import socket

from kit import attempt

os.makedirs("results/tree")
attempt(
    lambda: os.mkfifo("results/tree/pipe"),
    lambda: socket.socket(socket.AF_UNIX).bind("results/tree/socket"),
    lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].bind("results/tree/datagrams"),
)
