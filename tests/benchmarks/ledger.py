"""How many calls a ledger takes a second: reserved and settled, each under the lock."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

from snakemake_executor_plugin_llmagent.budgets import Budget
from snakemake_executor_plugin_llmagent.ledger import Accounts, Book, Limit, Reservation, Settlement
from snakemake_executor_plugin_llmagent.money import Cost

CALLS = 2000


Books = tuple[Book, Book]


def books_in(folder: Path) -> Books:
    """The ledgers of a project and of a person, as a process has them; its threads share them."""
    return Book(folder / "project.jsonl"), Book(folder / "person.jsonl")


def spend(folder: Path, calls: int) -> None:
    """Reserve and settle calls, as one process."""
    spend_in(books_in(folder), calls)


def spend_in(books: Books, calls: int, run: str = "run") -> None:
    """Reserve and settle calls in both ledgers, within three limits."""
    accounts = Accounts(*books)
    plenty = Budget(usd=Decimal(10**6), tokens=10**12)
    for _ in range(calls):
        call = Reservation(
            worst=Cost(tokens=50_000, usd=Decimal("0.4")), rule="fit", spec="0" * 64, run=run, role="coder",
            model="openai:gpt-5",
        )  # fmt: skip
        limits = [Limit(name=scope, budget=plenty, book=books[scope[0] == "m"], scope=scope) for scope in call.scopes]
        accounts.reserve(call, limits, wait=lambda: time.sleep(0.001))
        accounts.settle(Settlement(id=call.id, cost=Cost(tokens=9_000, usd=Decimal("0.05")), how="counted"))


def ledger(root: Path) -> None:
    """Settlements a second by one thread, by 16 threads, by two processes; and reading a long ledger."""
    for name, threads in (("1 thread", 1), ("16 threads", 16)):
        folder = root / name.replace(" ", "-")
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(spend_in, [books_in(folder)] * threads, [CALLS // threads] * threads))
        _say(name, CALLS // threads * threads, time.perf_counter() - started)
    folder = root / "processes"
    started = time.perf_counter()
    workers = [multiprocessing.get_context("spawn").Process(target=spend, args=(folder, CALLS // 2)) for _ in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    _say("2 processes, their start included", CALLS, time.perf_counter() - started)
    started = time.perf_counter()
    book = Book(folder / "project.jsonl")
    book.read()
    print(f"ledger, {len(list(book.calls))} calls read in {time.perf_counter() - started:.3f} s", flush=True)


def _say(name: str, calls: int, seconds: float) -> None:
    print(f"ledger, {name}: {calls / seconds:.0f} calls reserved and settled a second, in two ledgers", flush=True)
