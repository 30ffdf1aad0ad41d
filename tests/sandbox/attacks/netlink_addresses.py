"""Ask the kernel for the machine's network addresses by netlink."""

import socket
import struct

from kit import blocked, escaped

RTM_GETADDR, NLM_F_REQUEST, NLM_F_DUMP = 22, 1, 0x300
try:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
        link.settimeout(1)
        link.sendto(struct.pack("IHHIIB3x", 20, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, 0), (0, 0))
        escaped(f"{len(link.recv(65536))} bytes of addresses")
except OSError as error:
    blocked(error)
