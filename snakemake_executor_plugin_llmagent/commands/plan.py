"""The command `llmagent plan`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_llmagent.commands.rules import Add
from snakemake_executor_plugin_llmagent.commands.terminal import STYLES, Cell, Column, print_line, print_table
from snakemake_executor_plugin_llmagent.config import Options, project_place, state_place, validate_options
from snakemake_executor_plugin_llmagent.forecast import Past, Range, Work, forecast
from snakemake_executor_plugin_llmagent.ledger import Book
from snakemake_executor_plugin_llmagent.metering import Charging, ledger_of, ledger_of_month, this_month
from snakemake_executor_plugin_llmagent.money import usd_text
from snakemake_executor_plugin_llmagent.pricing import as_record
from snakemake_executor_plugin_llmagent.text import one_line

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.plan import Due

COLUMNS = (
    Column("rule", "bold"), Column("state"), Column("jobs", right=True), Column("tokens", right=True),
    Column("cost", right=True), Column("budget"),
)  # fmt: skip
SHOWN_MISSING = 3


EXAMPLES = """\
examples:
  llmagent plan --model openai:gpt-5           what would be written, its cost
  llmagent plan --model openai:gpt-5 fit_myy   for one target alone
  llmagent plan --coder openai:gpt-5 --supervisor none --json
"""


def add_plan(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    plan = add("plan", run, "Show which rules the next run would have written, and what that may cost. Asks no model.")
    plan.add_argument("targets", nargs="*", metavar="TARGET", help="files or rules, as for snakemake")
    for name, text in (
        ("model", "model for both roles, such as openai:gpt-5"),
        ("coder", "model that writes"),
        ("supervisor", "model that reviews, or none"),
    ):
        plan.add_argument(f"--{name}", metavar="MODEL", help=text)
    plan.add_argument("--prices", type=Path, metavar="FILE", help="file of prices, as for --llmagent-prices")
    plan.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Show the plan; returns the exit status."""
    from snakemake_executor_plugin_llmagent.host.plan import due_rules

    chosen = Options(model=options.model, coder=options.coder, supervisor=options.supervisor)
    charging = Charging(prices=options.prices.absolute() if options.prices else None, place=state_place(os.environ))
    directory, due = due_rules(
        options.targets, validate_options(chosen, Path.cwd()), charging, snakefile=options.snakefile,
        directory=options.directory, config=options.config, configfiles=options.configfile,
    )  # fmt: skip
    past = _past(directory, charging.place)
    expected = [_expected(each, past) for each in due]
    facts = [_facts(each, range_) for each, range_ in zip(due, expected, strict=True)]
    total = sum(expected, Range())
    if options.json:
        print(json.dumps({"rules": facts, "total": _numbers(total), "by_past_calls": past.known}, indent=2))
    elif not due:
        print("The next run has no script written: nothing is asked of a model unless a frozen script fails.")
    else:
        print_table(COLUMNS, [_row(each) for each in facts])
        numbers = _numbers(total)
        money = _money(numbers["usd"]) if all(each.models for each in due) else "?"
        print_line(("total  ", "bold"), f"{_tokens(numbers['tokens'])} tokens, {money}")
        for line in _notes(facts, past):
            print_line((line, "dim"))
    return 0


def _past(directory: Path, place: Path | None) -> Past:
    """Calls in this project, or else this month's in all projects of the person."""
    places = [ledger_of(project_place(directory))]
    places += [] if place is None else [ledger_of_month(place, this_month())]
    past = Past([])
    for path in places:
        book = Book(path)
        book.read()
        past = Past(book.calls)
        if past.known:
            break
    return past


def _expected(due: Due, past: Past) -> Range:
    assert due.options.max_attempts is not None
    full = due.options.supervision == "full"
    models = due.models or {"coder": "", "supervisor": ""}
    work = Work(brief=due.brief, models=models, attempts=due.options.max_attempts, instructs=full)
    return forecast(work, due.prices, past)


def _facts(due: Due, expected: Range) -> dict[str, Any]:
    return {
        "rule": due.agent.name,
        "state": str(due.state),
        "jobs": due.jobs,
        "models": dict(due.models),
        "prices": {model: as_record(price) for model, price in due.prices.items()},
        "budget": due.options.budget,
        "missing_inputs": list(due.missing) if due.brief is None else [],
        **_numbers(expected),
    }


def _numbers(expected: Range) -> dict[str, Any]:
    def number(usd: Decimal | None) -> float | None:
        return None if usd is None else round(float(usd), 6)

    return {
        "tokens": {"low": expected.low_tokens, "high": expected.high_tokens},
        "usd": {"low": number(expected.low_usd), "high": number(expected.high_usd)},
    }


def _row(facts: dict[str, Any]) -> Sequence[Cell]:
    return (
        facts["rule"], (facts["state"], STYLES.get(facts["state"], "red")), str(facts["jobs"]),
        _tokens(facts["tokens"]), _money(facts["usd"]) if facts["models"] else "?", facts["budget"] or "",
    )  # fmt: skip


def _notes(facts: Sequence[dict[str, Any]], past: Past) -> list[str]:
    """What the figures are made of, and what is missing for better ones."""
    notes = []
    for each in facts:
        missing = [one_line(path, 200) for path in each["missing_inputs"]]
        more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
        if missing:
            listed = ", ".join(missing[:SHOWN_MISSING])
            notes.append(f"{each['rule']}: not there yet, so a description of usual length is assumed: {listed}{more}.")
    prices = {model: price for each in facts for model, price in each["prices"].items()}
    if unknown := sorted(model for model, price in prices.items() if not price):
        notes.append(f"No known price: {', '.join(unknown)}. Give it with --prices FILE.")
    if any(not each["models"] for each in facts):
        notes.append("No model is chosen: say --model openai:NAME to see what it costs.")
    lengths = "as long as in calls of the past" if past.known else "of usual length, as there are no calls of the past"
    notes.append(f"From the first candidate accepted to all attempts needed, with replies {lengths}.")
    sources = sorted({price["source"] for price in prices.values() if price.get("source")})
    return [*notes, *([f"Prices: {', '.join(sources)}."] if sources else [])]


def _tokens(range_: dict[str, int]) -> str:
    return f"{_rounded(range_['low'])} to {_rounded(range_['high'])}"


def _rounded(tokens: int) -> str:
    return f"{tokens / 1000:,.0f}k" if tokens >= 1000 else str(tokens)


def _money(range_: dict[str, float | None]) -> str:
    low, high = range_["low"], range_["high"]
    if low is None or high is None:
        return "?"
    return f"{usd_text(Decimal(str(low)))} to {usd_text(Decimal(str(high)))}".replace(" USD to", " to")
