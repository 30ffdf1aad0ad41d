"""The command `llmagent eject`."""

from __future__ import annotations

import argparse
import difflib
import json
import shutil
import stat
from pathlib import Path

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.commands.rules import Add, rules_of
from snakemake_executor_plugin_llmagent.errors import NotApproved
from snakemake_executor_plugin_llmagent.lock import opened
from snakemake_executor_plugin_llmagent.spec import State
from snakemake_executor_plugin_llmagent.text import clean

EXAMPLES = """\
examples:
  llmagent eject -n fit_myy     what would change in the Snakefile
  llmagent eject fit_myy        change it; a copy of the Snakefile is kept
"""


def add_eject(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    eject = add("eject", run, "Turn an agent rule into a plain `script:` rule.")
    eject.add_argument("rule", metavar="RULE", help="an agent rule; `llmagent status` lists them")
    eject.add_argument("-n", "--dry-run", action="store_true", help="only show what would change")
    eject.epilog = EXAMPLES


def run(options: argparse.Namespace) -> int:
    """Eject a rule; returns the exit status."""
    from snakemake_executor_plugin_llmagent.host.eject import ejected
    from snakemake_executor_plugin_llmagent.host.frozen import not_runnable
    from snakemake_executor_plugin_llmagent.host.project import named

    rules = rules_of(options)
    rule = named(rules, options.rule)
    status = lock.status(rule.script, rule.spec.digest)
    if status.state not in (State.FROZEN, State.EDITED):
        raise NotApproved(not_runnable(rule, status))
    if rule.spec.blind is not None and not opened(status):
        raise NotApproved(f"Rule {rule.name} is blinded; as a plain rule it would run on the data. Unblind it "
                          f"first: llmagent unblind {rule.name}")  # fmt: skip
    path, before, after = ejected(rule, rules)
    changes = "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), str(path), str(path)))
    backup = None
    if not options.dry_run:
        backup = _backup(path)
        _replace(path.resolve(), after)
    if options.json:
        facts = {"rule": rule.name, "file": str(path), "script": str(rule.script), "diff": changes}
        print(json.dumps({**facts, "backup": str(backup) if backup else None}, indent=2))
        return 0
    print(clean(changes))
    if backup is not None:
        print(f"{rule.name} is a plain `script:` rule now. {backup.name} keeps the file as it was.")
        print(f"The lock {lock.lock_path(rule.script)} tells where the script came from; nothing reads it any more.")
    return 0


def _replace(path: Path, text: str) -> None:
    """Write a file anew, with the permissions that it has."""
    mode = stat.S_IMODE(path.stat().st_mode)
    lock.write_atomically(path, text)
    path.chmod(mode)


def _backup(path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.name}.before-eject-{number}")).exists():
        number += 1
    shutil.copy2(path, copy)
    return copy
