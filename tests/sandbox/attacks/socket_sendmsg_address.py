"""Send datagrams with sendmsg and a group of messages to an address of our choice."""

import socket

from kit import WORLD, blocked, tried

try:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as channel:
        channel.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        channel.sendmsg([WORLD["tag"].encode()], [], 0, ("::ffff:127.0.0.1", WORLD["udp"]))
except OSError as error:
    blocked(error)
tried("sent")
