"""Threads that ask a scripted model through a real SDK, and pay: `python payer.py FOLDER BUDGET THREADS CALLS`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from snakemake_executor_plugin_llmagent.budgets import parse_budget
from snakemake_executor_plugin_llmagent.config import Keys
from snakemake_executor_plugin_llmagent.errors import BudgetExceeded, ModelUnavailable
from snakemake_executor_plugin_llmagent.llm import CallSettings, open_model
from snakemake_executor_plugin_llmagent.llm.metered import Metered
from snakemake_executor_plugin_llmagent.metering import Charging, Metering
from snakemake_executor_plugin_llmagent.protocols import Message, Request
from snakemake_executor_plugin_llmagent.session import Session
from tests.unit.support import a_spec

PRICES = "date: 2026-11-01\nmodels:\n  openai:m: {input: 10, output: 100}\n"
KEYS = Keys(values={"OPENAI_API_KEY": "sk-of-a-test"})
ASKED = Request(role="coder", messages=(Message(role="user", content="weigh the events"),), max_tokens=1000)


def pay(folder: Path, budget: str, threads: int, calls: int) -> list[str]:
    """Ask until the monthly limit or the calls are used up; returns why each thread ended.

    `prices.yaml` lies in the folder, with `PRICES` in it.
    """
    charging = Charging(monthly=parse_budget("monthly", budget), prices=folder / "prices.yaml", place=folder / "home")
    metering = Metering(charging, home=folder / "project", project=folder, cancelled=threading.Event())
    model = open_model("openai:m", keys=KEYS, settings=CallSettings(timeout_seconds=0.4, max_retries=1))
    price = metering.price("openai:m", "m", "")

    def author(number: int) -> str:
        meter = metering.meter(
            a_spec(rule=f"rule_{number}"), None, Session.start(folder / "sessions", f"rule_{number}")
        )
        metered = Metered(model, price, meter)
        for _ in range(calls):
            try:
                metered.complete(ASKED)
            except ModelUnavailable:
                continue
            except BudgetExceeded as error:
                return str(error)
        return ""

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(author, range(threads)))


def main(arguments: Sequence[str]) -> None:
    """Pay as told on the command line."""
    folder, budget, threads, calls = arguments
    pay(Path(folder), budget, int(threads), int(calls))


if __name__ == "__main__":
    main(sys.argv[1:])
