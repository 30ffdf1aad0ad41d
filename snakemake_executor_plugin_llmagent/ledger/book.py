"""One ledger: a file of which every process reads what is new, and appends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.ledger.entries import Call, Newer, Reservation, Settlement, read_line
from snakemake_executor_plugin_llmagent.ledger.holding import held
from snakemake_executor_plugin_llmagent.money import NOTHING, Cost, Spent


@dataclass
class _Sum:
    """What the calls of a scope come to, without those that are open."""

    usd: Decimal = NOTHING
    tokens: int = 0
    unpriced: int = 0
    calls: int = 0

    def add(self, cost: Cost) -> None:
        self.tokens += cost.tokens
        if cost.usd is None:
            self.unpriced += cost.tokens
        else:
            self.usd += cost.usd


class Book:
    """One ledger file; what is said of it holds as of the last time it was read."""

    def __init__(self, path: Path) -> None:
        """Note the place; nothing is read yet."""
        self.path = path
        self._forget()

    def _forget(self, inode: int = -1) -> None:
        self._offset, self._inode = 0, inode
        self._sums: dict[str, _Sum] = {}
        self._calls: dict[str, Call] = {}
        self._open: dict[str, Reservation] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it, the book is up to date and nobody else writes into it.

        Raises:
            ConfigError: somebody has held it for minutes.
            OSError: it cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with held(self.path):
            if self.read():
                self._write(b"\n")  # whoever was killed while writing has left a piece; the next line starts anew
                self.read()
            yield

    def read(self) -> bool:
        """Read what is new; returns whether a line without its end is left.

        A line counts once its end is there. Opening anew makes NFS look for what other machines have written.

        Raises:
            ConfigError: a newer version of the plugin has written into it.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._forget()
            return False
        with os.fdopen(descriptor, "rb") as handle:
            status = os.fstat(handle.fileno())
            if status.st_ino != self._inode or status.st_size < self._offset:
                self._forget(status.st_ino)
            if status.st_size == self._offset:
                return False
            handle.seek(self._offset)
            data = handle.read()
        whole = data[: data.rfind(b"\n") + 1]
        try:
            entries = [read_line(line) for line in whole.splitlines()]
        except Newer:
            raise ConfigError(
                f"The ledger {self.path} was written by a newer version of the plugin; what was spent cannot be known. "
                "Upgrade snakemake-executor-plugin-llmagent here too."
            ) from None
        self._offset += len(whole)
        for entry in entries:
            self._note(entry)
        return len(whole) < len(data)

    def append(self, entry: Reservation | Settlement) -> None:
        """Write an entry, while the book is held.

        Raises:
            OSError: it could not be written whole.
        """
        line = entry.line().encode() + b"\n"
        self._inode = self._write(line)
        self._offset += len(line)
        self._note(entry)

    def _write(self, data: bytes) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            return os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)

    def _note(self, entry: Reservation | Settlement | None) -> None:
        if isinstance(entry, Reservation) and entry.id not in self._calls:
            self._calls[entry.id] = Call(reserved=entry, settled=None)
            self._open[entry.id] = entry
            for scope in entry.scopes:
                self._sums.setdefault(scope, _Sum()).calls += 1
        elif isinstance(entry, Settlement) and entry.id in self._open:
            reserved = self._open.pop(entry.id)
            self._calls[entry.id] = Call(reserved=reserved, settled=entry)
            for scope in reserved.scopes:
                self._sums[scope].add(entry.cost)

    # --- what it says -------------------------------------------------------------------------------------------

    @property
    def calls(self) -> Iterable[Call]:
        """All calls, in the order in which they were sent."""
        return tuple(self._calls.values())

    def total(self, scope: str) -> Spent:
        """What the calls of a scope come to, those without an answer at their worst case."""
        known, pending = self._sums.get(scope, _Sum()), _Sum()
        for reserved in tuple(self._open.values()):
            if scope in reserved.scopes:
                pending.add(reserved.worst)
        return Spent(
            usd=known.usd + pending.usd, tokens=known.tokens + pending.tokens,
            unpriced=known.unpriced + pending.unpriced, open_usd=pending.usd, open_tokens=pending.tokens,
            calls=known.calls,
        )  # fmt: skip

    def in_flight(self, scope: str) -> Cost:
        """The worst case of those calls of a scope whose answer may still come."""
        pending = _Sum()
        for reserved in tuple(self._open.values()):
            if scope in reserved.scopes and not reserved.is_lost():
                pending.add(reserved.worst)
        return Cost(tokens=pending.tokens, usd=pending.usd)
