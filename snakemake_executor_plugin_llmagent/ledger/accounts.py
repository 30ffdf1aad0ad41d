"""Spending within limits: a call is entered into every ledger that counts it, or into none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.budgets import Budget
from snakemake_executor_plugin_llmagent.ledger.book import Book
from snakemake_executor_plugin_llmagent.ledger.entries import Reservation, Settlement
from snakemake_executor_plugin_llmagent.money import Cost, Spent


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit on what calls may come to.

    Attributes:
        name: what people know it as, such as `--llmagent-budget`.
        budget: how much.
        book: the ledger that counts.
        scope: which of its calls.
    """

    name: str
    budget: Budget
    book: Book
    scope: str

    def leaves(self, worst: Cost, spent: Spent) -> bool:
        """Whether a call fits beside what was spent. What has no known price is limited by tokens alone."""
        if self.budget.tokens is not None and spent.tokens + worst.tokens > self.budget.tokens:
            return False
        return self.budget.usd is None or worst.usd is None or spent.usd + worst.usd <= self.budget.usd


class OverLimit(Exception):
    """A call does not fit into a limit."""

    def __init__(self, limit: Limit, worst: Cost, spent: Spent) -> None:
        """Say which limit, what the call may cost, and what was spent before."""
        super().__init__(limit.name)
        self.limit = limit
        self.worst = worst
        self.spent = spent


class Accounts:
    """The ledgers of a run: the project's, and the person's if there is one."""

    def __init__(self, *books: Book) -> None:
        """Keep books, the project's first."""
        self.books = books

    def reserve(self, call: Reservation, limits: Sequence[Limit], wait: Callable[[], None]) -> None:
        """Enter a call at its worst case.

        If it fits only once others are answered, for less than their worst case, it waits for that: a limit is reached
        when what was really spent reaches it.

        Args:
            call: what is about to be sent.
            limits: what it has to fit into.
            wait: called again and again while others are in flight; takes a moment, and may raise.

        Raises:
            OverLimit: it does not fit.
            OSError: a ledger cannot be written.
        """
        while not self._entered(call, limits):
            wait()

    def _entered(self, call: Reservation, limits: Sequence[Limit]) -> bool:
        with self._held():
            for limit in limits:
                spent = limit.book.total(limit.scope)
                if limit.leaves(call.worst, spent):
                    continue
                if limit.leaves(call.worst, _without(spent, limit.book.in_flight(limit.scope))):
                    return False
                raise OverLimit(limit, call.worst, spent)
            for book in self.books:
                book.append(call)
            return True

    def settle(self, settlement: Settlement) -> None:
        """Enter what a call came to.

        Raises:
            OSError: a ledger cannot be written.
        """
        with self._held():
            for book in self.books:
                book.append(settlement)

    def _held(self) -> ExitStack:
        """Hold all books, always in the same order, so that nobody waits for somebody who waits for them."""
        with ExitStack() as stack:
            for book in self.books:
                stack.enter_context(book.held())
            return stack.pop_all()


def _without(spent: Spent, flying: Cost) -> Spent:
    usd = spent.usd - (flying.usd or 0)
    return Spent(usd=usd, tokens=spent.tokens - flying.tokens, unpriced=spent.unpriced, calls=spent.calls)
