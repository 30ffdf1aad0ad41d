"""The command `llmagent costs`."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.commands.rules import Add, home_of
from snakemake_executor_plugin_llmagent.commands.terminal import Column, print_line, print_table
from snakemake_executor_plugin_llmagent.config import state_place
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.ledger import Book, Call
from snakemake_executor_plugin_llmagent.metering import ledger_of, ledger_of_month, this_month
from snakemake_executor_plugin_llmagent.money import cost_text, usd_text
from snakemake_executor_plugin_llmagent.text import clean, one_line

GROUPS: dict[str, Callable[[Call], str]] = {
    "rule": lambda call: call.reserved.rule,
    "model": lambda call: call.reserved.model,
    "day": lambda call: call.reserved.day,
    "project": lambda call: call.reserved.project,
}
NUMBERS = tuple(Column(title, right=True) for title in ("calls", "tokens in", "tokens out", "cost"))


EXAMPLES = """\
examples:
  llmagent costs               of this project, by rule, model and day
  llmagent costs --month       yours in this month, in all projects
  llmagent costs --json        for programs
"""


def add_costs(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    costs = add("costs", run, "Show what calls of models have cost: by rule, model and day.")
    costs.add_argument(
        "--month", nargs="?", const="this", metavar="YYYY-MM",
        help="what you have spent in a calendar month (UTC; this one, if none is given), in all of your projects",
    )  # fmt: skip
    costs.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Show the costs; returns the exit status."""
    path, groups = _place(options)
    book = Book(path)
    book.read()
    calls = list(book.calls)
    facts: dict[str, Any] = {"ledger": str(path), "total": _sum(calls)}
    for group in groups:
        facts[f"by_{group}"] = [{group: name, **_sum(some)} for name, some in _grouped(calls, GROUPS[group])]
    if options.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    elif not calls:
        print(f"No call of a model is recorded in {path}. Of another working directory: -d DIR; of all: --month.")
    else:
        _show(facts, groups)
    return 0


def _place(options: argparse.Namespace) -> tuple[Path, tuple[str, ...]]:
    """Which ledger is meant, and by what its calls are grouped."""
    if options.month is None:
        return ledger_of(home_of(options)), ("rule", "model", "day")
    month = this_month() if options.month == "this" else options.month
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise ConfigError(f"--month takes a month such as {this_month()}, not {month!r}.")
    place = state_place(os.environ)
    if place is None:
        raise ConfigError("There is no home directory, so nothing is known beyond this project. Leave --month out.")
    return ledger_of_month(place, month), ("project", "rule", "model", "day")


def _grouped(calls: Iterable[Call], key: Callable[[Call], str]) -> list[tuple[str, list[Call]]]:
    groups: dict[str, list[Call]] = {}
    for call in calls:
        groups.setdefault(key(call), []).append(call)
    return sorted(groups.items())


def _sum(calls: list[Call]) -> dict[str, Any]:
    """What calls come to; without an answer they count at their worst case."""
    settled = [call.settled for call in calls if call.settled is not None]
    pending = [call.reserved for call in calls if call.settled is None]

    def usage(name: str) -> int:
        return sum(getattr(each.usage, name) for each in settled)

    return {
        "calls": len(calls),
        "input_tokens": usage("input_tokens"),
        "cached_input_tokens": usage("cached_input_tokens"),
        "output_tokens": usage("output_tokens"),
        "reasoning_tokens": usage("reasoning_tokens"),
        "tokens": sum(call.cost.tokens for call in calls),
        "unpriced_tokens": sum(call.cost.tokens for call in calls if call.cost.usd is None),
        "usd": float(sum((call.cost.usd or Decimal(0) for call in calls), Decimal(0))),
        "worst_calls": sum(1 for each in settled if each.how == "worst"),
        "in_flight": sum(1 for each in pending if not each.is_lost()),
        "lost": sum(1 for each in pending if each.is_lost()),
        "open_usd": float(sum((each.worst.usd or Decimal(0) for each in pending), Decimal(0))),
        "open_tokens": sum(each.worst.tokens for each in pending),
    }


def _show(facts: dict[str, Any], groups: Iterable[str]) -> None:
    for group in groups:
        rows = [(one_line(row[group], 100), *_cells(row)) for row in facts[f"by_{group}"]]
        print_table((Column(group, "bold", folds=True), *NUMBERS), rows)
    total = facts["total"]
    usd = Decimal(str(total["usd"]))
    print_line(("total  ", "bold"), cost_text(usd, total["tokens"], total["unpriced_tokens"]))
    for line in _notes(total):
        print_line((line, "dim"))
    print_line((clean(facts["ledger"]), "dim"))


def _cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    unpriced = row["unpriced_tokens"]
    money = usd_text(Decimal(str(row["usd"]))) if row["tokens"] > unpriced or not row["tokens"] else ""
    cost = " + ".join(filter(None, (money, "no known price" if unpriced else "")))
    return str(row["calls"]), f"{row['input_tokens']:,}", f"{row['output_tokens']:,}", cost


def _notes(total: dict[str, Any]) -> list[str]:
    notes = []
    if total["cached_input_tokens"] or total["reasoning_tokens"]:
        notes.append(
            f"Of the input, {total['cached_input_tokens']:,} tokens were cached; of the output, "
            f"{total['reasoning_tokens']:,} were reasoning."
        )
    if total["unpriced_tokens"]:
        notes.append("What has no known price is no part of the dollars; give it with --llmagent-prices.")
    if total["worst_calls"]:
        notes.append(
            f"{total['worst_calls']} calls broke off or were not counted, and are entered at their worst case."
        )
    if total["in_flight"]:
        notes.append(f"{total['in_flight']} calls are waiting for an answer, and are entered at their worst case.")
    if total["lost"]:
        notes.append(
            f"{total['lost']} calls never got an answer, as their process ended. The provider may have charged them, "
            "so they stay entered at their worst case."
        )
    return notes
