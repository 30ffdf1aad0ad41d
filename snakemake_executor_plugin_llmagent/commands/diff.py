"""The command `llmagent diff`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.commands.rules import Add, home_of, with_script
from snakemake_executor_plugin_llmagent.commands.terminal import STYLES, print_line, print_source
from snakemake_executor_plugin_llmagent.lock import Status
from snakemake_executor_plugin_llmagent.text import clean

NEVER = "No script of this rule was approved before this one."


EXAMPLES = """\
examples:
  llmagent diff fit_myy          what changed since the last approval
  llmagent diff fit_myy --json   the same for programs
"""


def add_diff(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    diff = add("diff", run, "Show what changed since the last approval: the script, and what the rule asks for.")
    diff.add_argument("rule", metavar="RULE")
    diff.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Show the differences; returns the exit status."""
    from snakemake_executor_plugin_llmagent.host import versions

    rule, status = with_script(options, "compare")
    assert status.source is not None
    digest = _approved_digest(status)
    before = versions.find(home_of(options), rule.script, digest) if digest else None
    script = versions.unified(before, status.source, rule.script.name) if before is not None else ()
    asked = versions.unified(status.lock.spec_text, rule.spec.text, "the rule") if status.lock else ()
    note = NEVER if not digest else _missing(digest, rule.script) if before is None else ""
    if options.json:
        facts = {"rule": rule.name, "state": str(status.state), "approved_digest": digest or None, "note": note}
        approval = asdict(status.lock.approval) if status.lock and status.lock.approval else None
        print(json.dumps({**facts, "approval": approval, "spec": "\n".join(asked), "script": "\n".join(script)}))
        return 0
    _print(rule.name, status, {"what the rule asks for": asked, "the script": script}, note)
    return 0


def _print(name: str, status: Status, differences: Mapping[str, Sequence[str]], note: str) -> None:
    state = str(status.state)
    print_line((f"{name}  ", "bold"), (state, STYLES.get(state, "red")), (f"  {clean(status.reason)}", "dim"))
    for what, lines in differences.items():
        if lines:
            print_line((f"\n{what} has changed:", "bold"))
            print_source(clean("\n".join(lines)), "diff", numbered=False)
    if note:
        print_line(f"\n{note}")
    elif not any(differences.values()):
        print_line("\nNothing has changed.")


def _approved_digest(status: Status) -> str:
    """The digest of the text that was approved before the one that lies there; empty if none was."""
    found = status.lock
    if found is None:
        return ""
    changed = status.source is not None and lock.digest_script(status.source) != found.script_digest
    # A frozen script is itself the approved one: what it is compared with is the one before.
    return found.script_digest if found.approval is not None and changed else found.replaces


def _missing(digest: str, script: Path) -> str:
    return (
        f"The text that was approved before (sha256 {digest[:12]}…) is neither kept in this working directory nor "
        f"among the last commits of {script.name}."
    )
