"""Talk to a service by its abstract socket."""

import socket

from kit import WORLD, send

send(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{WORLD['abstract']}")
