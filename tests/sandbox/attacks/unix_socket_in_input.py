"""Talk to a service whose socket lies in an input directory."""

import socket

from kit import WORLD, send

send(socket.AF_UNIX, socket.SOCK_STREAM, f"{WORLD['live']}/service.sock")
