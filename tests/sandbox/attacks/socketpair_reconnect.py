"""Connect a stream or packet socket of a pair to another program's service."""

import socket

from kit import WORLD, blocked, tried

AF_UNSPEC = b"\0" * 16
reasons = []
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
    for target in (WORLD["agent_socket"], f"\0{WORLD['abstract']}"):
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
            theirs.close()
            ours.connect(target)
            ours.send(WORLD["tag"].encode())
        except OSError as error:
            reasons.append(str(error))
try:
    with socket.socket(socket.AF_UNIX) as plain:  # proof that the service is there
        plain.connect(WORLD["agent_socket"])
        plain.send(WORLD["tag"].encode())
except OSError as error:
    blocked(f"{reasons}; {error}")
tried("connected")
