"""Send to a service from a socket of a pair, which no filter on socket() sees."""

import socket

from kit import WORLD, blocked, tried

targets = (WORLD["log_socket"], f"\0{WORLD['abstract']}-datagram")
reasons, sent = [], []
for target in targets:
    try:
        ours, _theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.sendto(WORLD["tag"].encode(), target)
        sent.append(target)
    except OSError as error:
        reasons.append(str(error))
    try:
        ours, _theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.connect(target)
        ours.send(WORLD["tag"].encode())
        sent.append(target)
    except OSError as error:
        reasons.append(str(error))
if sent:
    tried(sent)
blocked(reasons)
