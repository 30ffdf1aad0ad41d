"""Watching what an SDK really sends: it repeats requests by itself, and each of them may be charged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError"})
"""Names of the errors of an HTTP client that come before a request has left."""
_NOT_CHARGED = frozenset({*range(400, 500), 500, 503, 529}) - {408, 499}
"""Statuses that say that nothing was written: turned down, or overloaded. After a gateway's own timeout it may have."""


class Watcher(Protocol):
    """Follows the requests of one call."""

    def begins(self) -> None:
        """A request is about to be sent; may raise, but not an `Exception`, which SDKs take for a lost connection."""
        ...

    def is_free(self) -> None:
        """The request that was sent last is not charged."""
        ...


_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Within it, and in this thread, a watcher hears of requests."""
    before = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(before)


def watched_client(client: type[Any]) -> Any:
    """An HTTP client, as an SDK makes it by default, that lets the watcher hear of its requests."""

    class Watched(client):  # type: ignore[misc]
        def send(self, request: Any, **options: Any) -> Any:
            watcher = _WATCHER.get()
            if watcher is None:
                return super().send(request, **options)
            watcher.begins()
            try:
                response = super().send(request, **options)
            except Exception as error:
                if not _NEVER_SENT.isdisjoint(kind.__name__ for kind in type(error).__mro__):
                    watcher.is_free()
                raise
            if response.status_code in _NOT_CHARGED:
                watcher.is_free()
            return response

    return Watched()
