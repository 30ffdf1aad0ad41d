"""What calls of models cost, across sessions, jobs, runs and processes.

A ledger is a file of JSON lines that only grows. Before a call is sent, its worst case is written down (`reserve`);
after it, what the provider counted (`settle`). A limit looks at both, so that it holds whatever becomes of a call.

A call whose process died before it was settled counts at its worst case for ever: the provider may have charged it.
"""

from __future__ import annotations

from snakemake_executor_plugin_llmagent.ledger.accounts import Accounts, Limit, OverLimit
from snakemake_executor_plugin_llmagent.ledger.book import Book
from snakemake_executor_plugin_llmagent.ledger.entries import Call, Reservation, Settlement

__all__ = ["Accounts", "Book", "Call", "Limit", "OverLimit", "Reservation", "Settlement"]
