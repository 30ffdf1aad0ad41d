"""A model whose calls are paid for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from snakemake_executor_plugin_llmagent.errors import AgentError
from snakemake_executor_plugin_llmagent.llm.sending import watched
from snakemake_executor_plugin_llmagent.money import Cost, Price, worst_case
from snakemake_executor_plugin_llmagent.protocols import Completion, Model, Request, Usage

COUNTED, UNBILLED, WORST = "counted", "unbilled", "worst"
"""How it is known what a call came to: the provider said so; it was turned down; nobody knows."""


class Purse(Protocol):
    """Who pays."""

    def reserve(self, role: str, model: str, price: str, worst: Cost) -> str:
        """Set aside what a call may cost; returns a name for it.

        Raises:
            BudgetExceeded: there is not enough left.
        """
        ...

    def settle(self, call: str, cost: Cost, how: str, usage: Usage, reported: str) -> None:
        """Say what the call came to."""
        ...


class Metered:
    """Has every request paid for, before it is sent and whatever comes back.

    It belongs inside of what gives up waiting, so that an answer that still comes is settled.
    """

    def __init__(self, model: Model, price: Price | None, purse: Purse) -> None:
        """Wrap a model.

        Args:
            model: who answers.
            price: what it costs; None if nobody knows.
            purse: who pays.
        """
        self._model = model
        self._price = price
        self._purse = purse

    @property
    def name(self) -> str:
        """The model as the person named it."""
        return self._model.name

    def complete(self, request: Request) -> Completion:
        """Answer a request; the reply says what it cost.

        Raises:
            BudgetExceeded: there is not enough left for it.
            ModelUnavailable: no answer can be had.
        """
        payments = _Payments(self._purse, self, request.role, self._price, worst_case(request, self._price))
        try:
            with watched(payments):
                reply = self._model.complete(request)
        except _Stopped as stopped:
            raise stopped.reason from None
        except BaseException:
            payments.failed()
            raise
        return payments.answered(reply)


class _Stopped(BaseException):
    """Ends a call from inside an SDK, which would take an `Exception` for a lost connection and try again."""

    def __init__(self, reason: AgentError) -> None:
        super().__init__()
        self.reason = reason


class _Payments:
    """What is paid for one call: the requests that an SDK sends for it, one after the other."""

    def __init__(self, purse: Purse, model: Metered, role: str, price: Price | None, worst: Cost) -> None:
        self._purse, self._model, self._role, self._price, self._worst = purse, model.name, role, price, worst
        self._sent = 0
        self._free = False
        self._open = ""
        self._reserve()

    def _reserve(self) -> None:
        source = "" if self._price is None else self._price.source
        self._open = self._purse.reserve(self._role, self._model, source, self._worst)

    def begins(self) -> None:
        """A request is about to be sent: the first one is paid for, and so is one that follows an uncharged one."""
        self._sent += 1
        if self._sent > 1 and not self._free:
            # The last one got no answer, and may have been charged all the same.
            self.failed()
            try:
                self._reserve()
            except AgentError as error:
                raise _Stopped(error) from None
        self._free = False

    def is_free(self) -> None:
        """The last request is not charged."""
        self._free = True

    def failed(self) -> None:
        """No answer came to the last request."""
        if self._open:
            nothing = Cost(tokens=0, usd=None if self._price is None else Decimal(0))
            self._settle(nothing if self._free else self._worst, UNBILLED if self._free else WORST, Usage(), "")

    def answered(self, reply: Completion) -> Completion:
        """An answer came."""
        usage = reply.usage
        if not usage.input_tokens or (reply.text and not usage.output_tokens):
            # Some servers count nothing; that is no reason to take it for nothing.
            self._settle(self._worst, WORST, usage, reply.model)
            return replace(reply, usd=self._worst.usd)
        usd = None if self._price is None else self._price.of(usage)
        self._settle(Cost(tokens=usage.input_tokens + usage.output_tokens, usd=usd), COUNTED, usage, reply.model)
        return replace(reply, usd=usd)

    def _settle(self, cost: Cost, how: str, usage: Usage, reported: str) -> None:
        call, self._open = self._open, ""
        self._purse.settle(call, cost, how, usage, reported)
