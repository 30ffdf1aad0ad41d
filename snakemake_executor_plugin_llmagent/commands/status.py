"""The command `llmagent status`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from snakemake_executor_plugin_llmagent.commands.rules import Add, facts_of, next_step, rules_of
from snakemake_executor_plugin_llmagent.commands.terminal import STYLES, Column, print_table
from snakemake_executor_plugin_llmagent.errors import LockMismatch, NotApproved
from snakemake_executor_plugin_llmagent.text import one_line

COLUMNS = (Column("rule", style="bold"), Column("state"), Column("asks for", folds=True), Column("why", "dim", True))

EXAMPLES = """\
examples:
  llmagent status                         every agent rule, its state, and why
  llmagent status --check                 exit status 5 unless all are frozen
  llmagent status -s workflow/Snakefile   of a workflow elsewhere
"""


def add_status(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    status = add("status", run, "Show each agent rule and the state of its script.")
    status.add_argument("--check", action="store_true", help="exit with status 5 unless every rule is frozen")
    status.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Show the states; returns the exit status."""
    found = [facts_of(rule)[0] for rule in rules_of(options)]
    if options.json:
        print(json.dumps({"rules": found}, indent=2, ensure_ascii=False))
    elif not found:
        print("This workflow has no agent rules.")
    else:
        print_table(COLUMNS, [_row(facts) for facts in found])
        _say_next(found)
    if any(facts["state"] == "broken" for facts in found):
        return LockMismatch.exit_code
    return NotApproved.exit_code if options.check and any(facts["state"] != "frozen" for facts in found) else 0


def _say_next(found: list[dict[str, Any]]) -> None:
    """Name what to do about the first rule of each state that leaves something to do."""
    first: dict[str, str] = {}
    for facts in found:
        first.setdefault(facts["state"], facts["rule"])
    for state, rule in first.items():
        if step := next_step(rule, state):
            print(f"{rule}: {step}")  # as it is: a command must not be broken in two


def _row(facts: dict[str, Any]) -> tuple[str | tuple[str, str], ...]:
    state = facts["state"]
    asked, why = one_line(facts["spec"], 100), one_line(facts["reason"], 300)
    return facts["rule"], (state, STYLES.get(state, "red")), asked, why
