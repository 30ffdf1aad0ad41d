"""The two kinds of lines in a ledger, and a call as both tell of it."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from snakemake_executor_plugin_llmagent.ledger.owner import is_dead, own_start, this_host
from snakemake_executor_plugin_llmagent.money import Cost
from snakemake_executor_plugin_llmagent.protocols import Usage

VERSION = 1
"""Raised when an older reader would misread a newer line."""
LONGEST_CALL_SECONDS = 3600.0
"""After so long a call that another machine has sent is taken for one without an answer [s]."""


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """A call that is about to be sent, at its worst case.

    Attributes:
        worst: what it costs at most.
        rule, spec: for which rule, and the digest of what it asks for.
        run: which run of Snakemake sends it.
        role, model: who asks whom.
        session: where the session lies.
        project: the working directory.
        price: who says what the model costs, empty if nobody does.
        id: names the call.
        time: when [s since the epoch].
        pid, host, start: the process that sends it.
    """

    worst: Cost
    rule: str
    spec: str
    run: str
    role: str
    model: str
    session: str = ""
    project: str = ""
    price: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: float = field(default_factory=time.time)
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=this_host)
    start: str = field(default_factory=own_start)

    @property
    def month(self) -> str:
        """The calendar month in UTC, such as `2026-11`."""
        return self.day[:7]

    @property
    def day(self) -> str:
        """The day in UTC, such as `2026-11-27`."""
        return datetime.fromtimestamp(self.time, UTC).date().isoformat()

    @property
    def scopes(self) -> tuple[str, str, str]:
        """What its cost counts for: the run, what the rule asks for, the month."""
        return run_scope(self.run), rule_scope(self.rule, self.spec), month_scope(self.month)

    def is_lost(self) -> bool:
        """Whether no answer can come any more."""
        return time.time() - self.time > LONGEST_CALL_SECONDS or is_dead(self.pid, self.host, self.start)

    def line(self) -> str:
        """The line for it."""
        worst = {"worst_usd": _text(self.worst.usd), "worst_tokens": self.worst.tokens}
        plain = {name: value for name, value in vars(self).items() if name != "worst"}
        return _line("reserve", {**plain, **worst})


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What a call came to.

    Attributes:
        id: names the call.
        cost: what it cost.
        usage: what was counted.
        reported: the model as the provider named it.
        how: `counted` by the provider; `unbilled`, as it was turned down; `worst` case, as nobody knows.
    """

    id: str
    cost: Cost
    how: str
    usage: Usage = field(default_factory=Usage)
    reported: str = ""

    def line(self) -> str:
        """The line for it."""
        cost = {"usd": _text(self.cost.usd), "tokens": self.cost.tokens}
        used = {name: value for name, value in vars(self.usage).items() if value}
        return _line("settle", {"id": self.id, "how": self.how, **cost, "usage": used, "reported": self.reported})


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call as a ledger tells of it: `settled` is None as long as there is no answer."""

    reserved: Reservation
    settled: Settlement | None

    @property
    def cost(self) -> Cost:
        """What it came to, or its worst case."""
        return self.reserved.worst if self.settled is None else self.settled.cost


def run_scope(run: str) -> str:
    """Everything in a run."""
    return f"run {run}"


def rule_scope(rule: str, spec: str) -> str:
    """Everything for what a rule asks for, whenever it was."""
    return f"rule {rule} {spec}"


def month_scope(month: str) -> str:
    """Everything in a calendar month."""
    return f"month {month}"


def _text(usd: Decimal | None) -> str | None:
    return None if usd is None else f"{usd:f}"


def _line(kind: str, facts: Mapping[str, object]) -> str:
    return json.dumps({"version": VERSION, "entry": kind, **facts}, separators=(",", ":"))


class Newer(Exception):
    """A line that only a newer version can read: to pass over it would be to forget what was spent."""


def read_line(line: bytes) -> Reservation | Settlement | None:
    """What a line says; None for one that a killed process has left in pieces.

    Raises:
        Newer: a newer version has written it.
    """
    try:
        told: dict[str, Any] = json.loads(line)
        if int(told.pop("version")) > VERSION:
            raise Newer
        kind = told.pop("entry")
        if kind == "reserve":
            worst = Cost(tokens=int(told.pop("worst_tokens")), usd=_usd(told.pop("worst_usd")))
            return Reservation(worst=worst, **told)
        if kind == "settle":
            cost = Cost(tokens=int(told.pop("tokens")), usd=_usd(told.pop("usd")))
            return Settlement(cost=cost, usage=Usage(**told.pop("usage")), **told)
    except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation):
        return None
    return None


def _usd(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
