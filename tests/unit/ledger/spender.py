"""A process that spends from a ledger until its limit, for tests that kill it: `python spender.py FOLDER LIMIT SEED`.

What it has really sent it writes into a file of its own before each call, as a provider would see it.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from decimal import Decimal
from pathlib import Path

from snakemake_executor_plugin_llmagent.budgets import Budget
from snakemake_executor_plugin_llmagent.ledger import Accounts, Book, Limit, OverLimit, Reservation, Settlement
from snakemake_executor_plugin_llmagent.money import Cost

WORST = Cost(tokens=100, usd=Decimal("0.10"))


def spend(folder: Path, budget: Budget, seed: int, accounts: Accounts | None = None) -> int:
    """Send calls until the limit is reached; returns how many."""
    accounts = accounts or Accounts(Book(folder / "project.jsonl"), Book(folder / "person.jsonl"))
    chance = random.Random(seed)
    sent = folder / f"sent-{uuid.uuid4().hex}"
    for number in range(10_000):
        call = Reservation(
            worst=WORST, rule="fit", spec="0", run="run", role="coder", model="openai:m", session=str(seed)
        )
        limits = [Limit(name="budget", budget=budget, book=accounts.books[0], scope=call.scopes[1])]
        try:
            accounts.reserve(call, limits, wait=lambda: time.sleep(0.001))
        except OverLimit:
            return number
        with sent.open("a") as handle:
            handle.write(f"{call.id}\n")
        time.sleep(chance.choice((0, 0, 0.002)))
        share = chance.randint(1, 100)
        accounts.settle(Settlement(id=call.id, cost=Cost(tokens=share, usd=Decimal(share) / 1000), how="counted"))
    raise AssertionError("the limit was never reached")


def main() -> None:
    """Spend by 4 threads with one ledger."""
    folder, budget, seed = Path(sys.argv[1]), Budget(usd=Decimal(sys.argv[2])), int(sys.argv[3])
    accounts = Accounts(Book(folder / "project.jsonl"), Book(folder / "person.jsonl"))
    threads = [threading.Thread(target=spend, args=(folder, budget, seed + n, accounts)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
