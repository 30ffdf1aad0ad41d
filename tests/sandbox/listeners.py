"""Servers outside that hear what gets out, and what they need to know of the network."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path


class Listeners:
    """Servers that note what they are told; one set of them serves all attacks."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self._sockets: list[socket.socket] = []
        self.abstract = f"llmagent-attack-{os.getpid()}"
        self.tcp = self._serve(socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)).getsockname()[1]
        self.udp = self._serve(socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 0)).getsockname()[1]
        self._serve(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.abstract}")
        self._serve(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.abstract}-datagram")

    def listen_at(self, path: Path, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """Listen on a socket in the file system."""
        return self._serve(socket.AF_UNIX, kind, str(path))

    def forget(self, server: socket.socket) -> None:
        """Listen there no more."""
        self._sockets.remove(server)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()

    def settle(self, seconds: float = 3.0) -> None:
        """Wait until all that was sent before has been heard: each server answers in turn."""
        expected = set()
        for number, server in enumerate(self._sockets):
            words = f"settled {time.monotonic_ns()} {number}"
            with socket.socket(server.family, server.type) as channel, contextlib.suppress(OSError):
                channel.settimeout(seconds)
                channel.connect(server.getsockname())
                channel.send(words.encode())
                expected.add(words)
        deadline = time.monotonic() + seconds
        while not expected <= self.heard and time.monotonic() < deadline:
            time.sleep(0.002)
        self.heard -= expected

    def close(self) -> None:
        for server in list(self._sockets):
            self.forget(server)

    def _serve(self, family: int, kind: int, address: tuple[str, int] | str) -> socket.socket:
        server = socket.socket(family, kind)
        server.bind(address)
        if kind == socket.SOCK_STREAM:
            server.listen(16)
        self._sockets.append(server)
        threading.Thread(target=self._loop, args=(server, kind), daemon=True).start()
        return server

    def _loop(self, server: socket.socket, kind: int) -> None:
        while True:
            try:
                if kind == socket.SOCK_DGRAM:
                    data = server.recv(500)
                    if not data:
                        return
                    self.heard.add(data.decode(errors="replace"))
                else:
                    client, _ = server.accept()
                    with client:
                        client.settimeout(2)
                        self.heard.add(client.recv(500).decode(errors="replace"))
                        client.send(b"HELLO")
            except OSError:
                if server.fileno() < 0:
                    return


def own_address() -> str:
    """An address of this machine that is not the loopback's, if it has one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.2"


def free_port() -> int:
    """A port on which nobody listens yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
