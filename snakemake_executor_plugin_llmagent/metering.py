"""Paying for the calls of a run: which limits hold for a rule, and what is said when one is reached.

The project's ledger counts what a rule and a run spend. What a person spends in a month is counted in a ledger of the
person's own, outside of all projects, one file a month.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from pathlib import Path

from snakemake_executor_plugin_llmagent.budgets import Budget
from snakemake_executor_plugin_llmagent.errors import BudgetExceeded, Cancelled, ConfigError
from snakemake_executor_plugin_llmagent.ledger import Accounts, Book, Limit, OverLimit, Reservation, Settlement
from snakemake_executor_plugin_llmagent.ledger.entries import month_scope, rule_scope, run_scope
from snakemake_executor_plugin_llmagent.money import Cost, Price, Spent, cost_text, usd_text
from snakemake_executor_plugin_llmagent.pricing import listed_price, read_prices
from snakemake_executor_plugin_llmagent.protocols import Usage
from snakemake_executor_plugin_llmagent.session import Session
from snakemake_executor_plugin_llmagent.spec import Spec

LEDGER = "ledger.jsonl"
POLL_SECONDS = 0.1
"""How often to look whether calls that are in flight have left enough [s]."""
LONG_SECONDS = 10.0
"""After which time a wait is told of [s]."""
RULE, RUN, MONTH = "`budget` of the rule", "--llmagent-budget", "--llmagent-monthly-budget"


@dataclass(frozen=True, kw_only=True)
class Charging:
    """What a person has chosen about money.

    Attributes:
        budget: limit on the run.
        monthly: limit on a calendar month.
        prices: a file of prices.
        known: prices that are known otherwise, model as it is named → price; the file wins.
        place: where the person's ledgers lie, None if there is no such place.
    """

    budget: Budget | None = None
    monthly: Budget | None = None
    prices: Path | None = None
    known: Mapping[str, Price] = field(default_factory=dict)
    place: Path | None = None


def ledger_of(home: Path) -> Path:
    """The ledger of a project, whose `.snakemake/llmagent` is given."""
    return home / LEDGER


def ledger_of_month(place: Path, month: str) -> Path:
    """The person's ledger of a month, such as `2026-11`."""
    return place / f"ledger-{month}.jsonl"


def this_month() -> str:
    """The calendar month in UTC."""
    return f"{datetime.now(UTC):%Y-%m}"


class Metering:
    """The money of one run."""

    def __init__(self, charging: Charging, *, home: Path, project: Path, cancelled: threading.Event) -> None:
        """Read the file of prices, if one is named; ledgers are opened when something is paid.

        Raises:
            ConfigError: the file of prices is wrong, or a month is limited and nothing can be written down about it.
        """
        self.charging = charging
        self.cancelled = cancelled
        self.run = uuid.uuid4().hex
        self.project = project
        self.book = Book(ledger_of(home))
        self._prices = {**charging.known, **(read_prices(charging.prices) if charging.prices else {})}
        self._opening = threading.Lock()
        self._months: dict[str, Book | None] = {}
        self._told: set[str] = set()
        if charging.monthly is not None:
            self.month_book(this_month())

    def price(self, name: str, model: str, url: str) -> Price | None:
        """What a model costs, None if nobody knows.

        Args:
            name: as the person named it.
            model: as the provider calls it.
            url: where it is asked.
        """
        return self._prices.get(name) or listed_price(model, url)

    def check(self, rule: str, budget: Budget | None, prices: Mapping[str, Price | None]) -> None:
        """Find out, before anything is spent, whether the limits on a rule can be kept.

        Raises:
            ConfigError: dollars are limited, tokens are not, and the price of a model is unknown.
        """
        limits = [limit for limit in (budget, self.charging.budget, self.charging.monthly) if limit is not None]
        unknown = [name for name, price in prices.items() if price is None]
        if unknown and limits and all(limit.tokens is None for limit in limits):
            verb = "has" if len(unknown) == 1 else "have"
            raise ConfigError(
                f"Agent rule {rule} is limited to {limits[0]}, but {' and '.join(unknown)} {verb} no known price, so "
                "dollars cannot be counted. Give its price in a file (--llmagent-prices prices.yaml), or limit tokens: "
                'budget="200k tokens" in the rule, or --llmagent-budget "200k tokens".'
            )

    def say_unpriced(self, name: str, tell: Callable[[str], None]) -> None:
        """Say of a model, once in a run, that its price is unknown."""
        with self._opening:
            if name in self._told:
                return
            self._told.add(name)
        tell(
            f"{name} has no known price: its tokens are counted, its cost is not. If it costs something, or nothing, "
            "say so with --llmagent-prices."
        )

    def month_book(self, month: str) -> Book | None:
        """The person's ledger of a month; None if none can be kept and nothing depends on it.

        Raises:
            ConfigError: a month is limited, and none can be kept.
        """
        with self._opening:
            if month not in self._months:
                self._months[month] = self._open_month(month)
            return self._months[month]

    def _open_month(self, month: str) -> Book | None:
        place, reason = self.charging.place, "there is no home directory"
        if place is not None:
            book = Book(ledger_of_month(place, month))
            try:
                with book.held():
                    return book
            except OSError as error:
                reason = f"{place} cannot be written: {error.strerror}"
        if self.charging.monthly is None:
            return None
        raise ConfigError(
            f"{MONTH} cannot be kept, because what you spend in a month is written down outside of all projects, and "
            f"{reason}. Set XDG_STATE_HOME to a folder that can be written."
        )

    def meter(
        self, spec: Spec, budget: Budget | None, session: Session, tell: Callable[[str], None] = lambda _: None
    ) -> Meter:
        """Who pays for the calls of a rule in a session, and tells of a long wait."""
        return Meter(self, spec, budget, session, tell)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What was spent so far, and the limits on it.

    Attributes:
        rule, run: for what the rule asks for, in all runs; in this run, for all rules.
        rule_budget, run_budget: their limits.
    """

    rule: Spent
    run: Spent
    rule_budget: Budget | None
    run_budget: Budget | None

    @property
    def text(self) -> str:
        """What was spent for the rule, and of how much; empty if that is neither money nor limited."""
        spent, budget = self.rule, self.rule_budget
        if budget is not None and budget.usd is None:
            return f"{spent.tokens:,} of {budget}" if spent.calls else ""
        if spent.tokens == spent.unpriced:
            return ""
        return usd_text(spent.usd) if budget is None else f"{usd_text(spent.usd)} of {budget}"


class Meter:
    """Pays for the calls of one rule in one session; implements `llm.metered.Purse`."""

    def __init__(
        self,
        metering: Metering,
        spec: Spec,
        budget: Budget | None,
        session: Session,
        tell: Callable[[str], None],
    ) -> None:
        """See `Metering.meter`."""
        self._tell = tell
        self._metering = metering
        self._spec = spec
        self._budget = budget
        self._session = session
        self._paying: dict[str, Accounts] = {}

    def snapshot(self) -> Snapshot:
        """What was spent so far, as far as this process knows; looks at nothing on disk."""
        book, charging = self._metering.book, self._metering.charging
        return Snapshot(
            rule=book.total(rule_scope(self._spec.rule, self._spec.digest)),
            run=book.total(run_scope(self._metering.run)),
            rule_budget=self._budget,
            run_budget=charging.budget,
        )

    def reserve(self, role: str, model: str, price: str, worst: Cost) -> str:
        """Set aside what a call may cost; waits while others that are in flight may leave enough.

        Raises:
            BudgetExceeded: a limit leaves too little.
            Cancelled: the work was cancelled.
        """
        metering = self._metering
        call = Reservation(
            worst=worst, rule=self._spec.rule, spec=self._spec.digest, run=metering.run, role=role, model=model,
            session=str(self._session.directory), project=str(metering.project), price=price,
        )  # fmt: skip
        month = metering.month_book(call.month)
        accounts = Accounts(*(book for book in (metering.book, month) if book is not None))
        waiting = _Wait(metering.cancelled, self._tell)
        try:
            waiting.stop_if_cancelled()
            accounts.reserve(call, self._limits(call, month), waiting)
        except OverLimit as over:
            self._session.event("budget", limit=over.limit.name, of=str(over.limit.budget))
            raise BudgetExceeded(self._in_words(over, role, model)) from None
        self._paying[call.id] = accounts
        return call.id

    def settle(self, call: str, cost: Cost, how: str, usage: Usage, reported: str) -> None:
        """Enter what a call came to."""
        self._paying.pop(call).settle(Settlement(id=call, cost=cost, how=how, usage=usage, reported=reported))

    def _limits(self, call: Reservation, month: Book | None) -> list[Limit]:
        metering = self._metering
        run, rule, monthly = call.scopes
        chosen: Iterable[tuple[str, Budget | None, Book | None, str]] = (
            (RULE, self._budget, metering.book, rule),
            (RUN, metering.charging.budget, metering.book, run),
            (MONTH, metering.charging.monthly, month, monthly),
        )
        return [
            Limit(name=name, budget=budget, book=book, scope=scope)
            for name, budget, book, scope in chosen
            if budget is not None and book is not None
        ]

    def _in_words(self, over: OverLimit, role: str, model: str) -> str:
        spent, worst, limit = over.spent, over.worst, over.limit
        what = {
            RULE: f"its own budget of {limit.budget}",
            RUN: f"the budget of this run ({RUN} {str(limit.budget)!r})",
            MONTH: f"your budget for the month ({MONTH} {str(limit.budget)!r}, all projects)",
        }[limit.name]
        open_ = ""
        if spent.open_tokens:
            reserved = cost_text(spent.open_usd, spent.open_tokens, 0 if spent.open_usd else spent.open_tokens)
            open_ = f", of which {reserved} are the worst case of calls without an answer"
        attempts = self._session.counts["attempt"]
        alone = limit.leaves(worst, Spent())
        again = "run again, as each run has its own budget, or " if alone else ""
        raised = {
            RULE: f"raise `budget` in the rule to at least {self._needed(over)}",
            RUN: f"{again}raise {RUN} to at least {self._needed(over)}",
            MONTH: f"raise {MONTH} to at least {self._needed(over)}, or wait for the next month (UTC)",
        }[limit.name]
        return (
            f"The budget for rule {self._spec.rule} is used up: {what} leaves too little for the next call.\n"
            f"  spent: {cost_text(spent.usd, spent.tokens, spent.unpriced)}, in {_times(spent.calls, 'call')}{open_}\n"
            f"  the next call, of {model} as {role}: at most {_amount(worst)}\n"
            f"  this session: {_times(attempts, 'attempt')}, {self._session.directory}\n"
            "Nothing of it is lost: a later run goes on from there and does not pay again for what was answered. "
            f"To go on, {raised}."
        )

    def _needed(self, over: OverLimit) -> str:
        spent, worst, budget = over.spent, over.worst, over.limit.budget
        if budget.usd is not None and worst.usd is not None and spent.usd + worst.usd > budget.usd:
            return usd_text((spent.usd + worst.usd).quantize(Decimal("0.01"), ROUND_UP))
        return f"{spent.tokens + worst.tokens} tokens"


class _Wait:
    """Waits a moment, again and again, for calls that are in flight; says so once it takes long."""

    def __init__(self, cancelled: threading.Event, tell: Callable[[str], None]) -> None:
        self._cancelled = cancelled
        self._tell = tell
        self._until = time.monotonic() + LONG_SECONDS

    def stop_if_cancelled(self, seconds: float = 0.0) -> None:
        if self._cancelled.wait(seconds):
            raise Cancelled("Cancelled before a model was asked.")

    def __call__(self) -> None:
        self.stop_if_cancelled(POLL_SECONDS)
        if time.monotonic() > self._until:
            self._until = math.inf
            self._tell("waits: calls that are in flight may need all that is left of a budget")


def _amount(cost: Cost) -> str:
    return f"{cost.tokens:,} tokens" if cost.usd is None else f"{usd_text(cost.usd)}, {cost.tokens:,} tokens"


def _times(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def spent_in_month(place: Path | None, month: str) -> Spent:
    """What the person has spent in a month, in all projects."""
    if place is None:
        return Spent()
    book = Book(ledger_of_month(place, month))
    book.read()
    return book.total(month_scope(month))
