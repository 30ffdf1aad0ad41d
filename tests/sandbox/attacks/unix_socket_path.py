"""Talk to an SSH agent by its socket in the home directory."""

import socket

from kit import WORLD, send

send(socket.AF_UNIX, socket.SOCK_STREAM, WORLD["agent_socket"])
