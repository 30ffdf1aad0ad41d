"""The command `llmagent show`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from decimal import Decimal

from snakemake_executor_plugin_llmagent import briefs
from snakemake_executor_plugin_llmagent.commands.rules import Add, facts_of, home_of, next_step, rule_of
from snakemake_executor_plugin_llmagent.commands.terminal import STYLES, print_line, print_source
from snakemake_executor_plugin_llmagent.errors import LockMismatch
from snakemake_executor_plugin_llmagent.lock import Lock
from snakemake_executor_plugin_llmagent.money import usd_text
from snakemake_executor_plugin_llmagent.session import OUTPUTS
from snakemake_executor_plugin_llmagent.spec import State
from snakemake_executor_plugin_llmagent.text import clean
from snakemake_executor_plugin_llmagent.trail import in_words

EXAMPLES = """\
examples:
  llmagent show fit_myy                    sentence, script, what speaks for it
  llmagent show fit_myy | less -R          page by page
  llmagent show fit_myy --json | jq .lock  what the lock holds, for programs
"""


def add_show(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    show = add("show", run, "Show what a rule asks for, its script, and the evidence for it.")
    show.add_argument("rule", metavar="RULE", help="an agent rule; `llmagent status` lists them")
    show.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Show a rule; returns the exit status."""
    rule = rule_of(options)
    facts, status = facts_of(rule)
    found = status.lock if status else None
    if options.json:
        source = status.source if status else None
        print(json.dumps({**facts, "source": source, "lock": asdict(found) if found else None}, indent=2, default=str))
        return 0
    print_line((f"{facts['rule']}  ", "bold"), (facts["state"], STYLES.get(facts["state"], "red")))
    print_line((f"{facts['reason']}\n{facts['file']}, line {facts['line']}\n", "dim"))
    print_line(clean(facts["spec"]).strip() + "\n")
    if status and status.source is not None:
        print_line((str(rule.script), "dim"))
        print_source(clean(status.source))
    if found is not None:
        print_line("\n".join(evidence(found)))
    for line in _outputs(facts["state"], found, options):
        print(line)
    if step := next_step(rule.name, facts["state"]):
        print(f"\n{step}")  # as it is: a command must not be broken in two
    return 0 if status else LockMismatch.exit_code


def evidence(found: Lock) -> list[str]:
    """A lock in words."""
    lines = [""]
    for role, names in found.models.items():
        lines.append(f"{role}: {names.get('asked')} (reported as {names.get('reported')})")
    tokens = found.usage.get("input_tokens", 0), found.usage.get("output_tokens", 0)
    usd = found.cost.get("usd")
    cost = f", {usd_text(Decimal(str(usd)))}" if usd is not None else ""
    lines.append(f"attempts: {found.attempts}, tokens: {tokens[0]} in, {tokens[1]} out{cost}, written {found.created}")
    if found.sandbox:
        landlock = f" (Landlock {found.sandbox['landlock']})" if found.sandbox.get("landlock") else ""
        lines.append(f"sandbox of its trial: {found.sandbox['backend']}{landlock}")
    if found.run:
        lines.append(
            f"its trial took {found.run['seconds']} s ({found.run['cpu_seconds']} s on all cores) and "
            f"{found.run['peak_memory_mb']} MB"
        )
    lines += [f"check {name}: {clean(result)}" for name, result in found.checks.items()]
    if found.evidence:
        lines += [clean(line.removeprefix("- ")) for line in briefs.proved(found.evidence).splitlines()]
    if found.review:
        lines.append(f"review: {found.review.get('verdict')}: {clean(found.review.get('comments', ''))}")
    if found.decisions:
        lines.append("decisions:")
    for decision in found.decisions:
        why = f" ({decision['reason']})" if decision.get("reason") else ""
        unit = f" {decision['unit']}" if decision.get("unit") else ""
        lines.append(clean(f"  {decision.get('name')} = {decision.get('value')}{unit}{why}"))
    if found.trail:
        lines.append("what people did:")
    lines += [clean(f"  {in_words(entry)}") for entry in found.trail]
    return lines


def _outputs(state: str, found: Lock | None, options: argparse.Namespace) -> list[str]:
    """Where what a script made on trial lies, while it waits for a person."""
    if state != State.AWAITING or found is None or not found.session.get("path"):
        return []
    outputs = home_of(options).parents[1] / found.session["path"] / OUTPUTS
    return ["\nWhat it made on trial:", f"  {outputs}"] if outputs.is_dir() else []
