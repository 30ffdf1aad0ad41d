"""Open sockets of families that a firewall does not know."""

import contextlib
import socket

from kit import blocked, escaped

# IPv6, netlink, packet, key, ALG, TIPC, VSOCK, XDP, raw ICMP
tries = ((10, 2, 0), (16, 3, 0), (17, 3, 0), (15, 2, 2), (38, 5, 0), (30, 1, 0), (40, 1, 0), (44, 3, 0), (2, 3, 1))
opened = []
for family, kind, protocol in tries:
    with contextlib.suppress(OSError):
        socket.socket(family, kind, protocol).close()
        opened.append(family)
if opened:
    escaped(f"families {opened}")
blocked("all were refused")
