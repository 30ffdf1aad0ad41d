"""The commands `llmagent approve` and `llmagent unblind`: acts of a person, under a name."""

from __future__ import annotations

import argparse
import ast
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.blinding.words import hidden
from snakemake_executor_plugin_llmagent.commands.rules import Add, blind_of, home_of, rule_of, with_script
from snakemake_executor_plugin_llmagent.errors import ConfigError, NotApproved
from snakemake_executor_plugin_llmagent.host import versions
from snakemake_executor_plugin_llmagent.host.person import persons_name
from snakemake_executor_plugin_llmagent.lock import Approval, Lock, Status, opened
from snakemake_executor_plugin_llmagent.session import utc_now
from snakemake_executor_plugin_llmagent.spec import State
from snakemake_executor_plugin_llmagent.trail import APPROVED, UNBLINDED, act

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.declared import AgentRule

EXAMPLES = """\
examples:
  llmagent show fit_myy                           look at the script first
  llmagent approve fit_myy                        it is right: freeze it
  llmagent approve fit_myy --name "A. Physicist"  in another name
  llmagent approve --stale fit_myy                right for the new sentence too
"""
EXAMPLES_UNBLIND = """\
examples:
  llmagent show fit_myy              look at the script first
  llmagent unblind fit_myy           it is right: open the data to it
  git add agents/fit_myy.lock.yaml   the lock tells who opened them, and when
"""


def add_approve(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    approve = add("approve", run, "Approve the script that lies there, in your name.")
    approve.add_argument("rule", metavar="RULE", help="an agent rule; `llmagent status` lists them")
    approve.add_argument("--name", help="your name; by default that of git, or of your account")
    approve.add_argument("--stale", action="store_true", help="also if the rule asks for something else by now")
    approve.epilog = EXAMPLES


def add_unblind(add: Add) -> None:
    """Add the command to those of `llmagent`."""
    unblind = add("unblind", run_unblind, "Open the data of a blinded rule to its frozen script, in your name.")
    unblind.add_argument("rule", metavar="RULE", help="an agent rule; `llmagent status` lists them")
    unblind.add_argument("--name", help="your name; by default that of git, or of your account")
    unblind.epilog = EXAMPLES_UNBLIND


def run(options: argparse.Namespace) -> int:
    """Approve a script; returns the exit status."""
    rule, status = with_script(options, "approve")
    assert status.source is not None
    if status.lock is not None and status.lock.spec_digest != rule.spec.digest and not options.stale:
        raise NotApproved(
            f"Rule {rule.name} asks for something else than what its script was written for. If the script is right "
            f"for it all the same: llmagent approve --stale {rule.name}"
        )
    _must_parse(rule.script, status.source)
    approval = Approval(by="person", name=options.name or persons_name(rule.script.parent), time=utc_now())
    by_person = status.state is State.FROZEN and status.lock is not None and _by_person(status.lock)
    if not by_person:
        versions.keep(home_of(options), status.source)
        lock.write_lock(lock.lock_path(rule.script), _approved(rule, status, approval))
    facts = {"rule": rule.name, "script": str(rule.script), "before": str(status.state), "approval": asdict(approval)}
    if options.json:
        print(json.dumps(facts, indent=2))
    elif by_person:
        print(f"{rule.name} is frozen already: {status.reason}.")
    else:
        print(f"{rule.name} is frozen now, approved by {approval.name}. Commit {lock.lock_path(rule.script)}.")
    return 0


def _by_person(found: Lock) -> bool:
    return found.approval is not None and found.approval.by == "person"


def _must_parse(script: Path, source: str) -> None:
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise ConfigError(f"{script} is not valid Python: line {error.lineno}: {error.msg}.") from None


def _approved(rule: AgentRule, status: Status, approval: Approval) -> Lock:
    """The lock of a script that a person approves; what was found about another text does not count for this one."""
    assert status.source is not None
    digest = lock.digest_script(status.source)
    if status.lock is None or status.lock.script_digest != digest:
        base = status.lock or Lock(rule=rule.name, spec_text="", spec_digest="", script_digest="", approval=None,
                                   created=approval.time)  # fmt: skip
        base = replace(
            base, checks={}, evidence={}, review=None, sandbox={}, run={}, replaces=versions.last_approved(base)
        )
    else:
        base = status.lock
    # Who opened the data opened them to this script as an answer to this question.
    same = base.script_digest == digest and base.spec_digest == rule.spec.digest
    blind = base.blind if same else hidden(rule.spec.blind)
    entry = act(APPROVED, name=approval.name or "", time=approval.time, script_digest=digest)
    return replace(base, rule=rule.name, spec_text=rule.spec.text, spec_digest=rule.spec.digest, script_digest=digest,
                   approval=approval, blind=blind, trail=(*base.trail, entry))  # fmt: skip


def run_unblind(options: argparse.Namespace) -> int:
    """Open the data of a rule; returns the exit status."""
    rule = rule_of(options)
    status = lock.status(rule.script, rule.spec.digest)
    if rule.spec.blind is None:
        raise ConfigError(f"Rule {rule.name} is not blinded.")
    if status.state is not State.FROZEN or status.lock is None:
        approve = f" Run `llmagent approve {rule.name}` first." if status.source is not None else ""
        raise NotApproved(f"Rule {rule.name} is {status.state}, not frozen: {status.reason}.{approve}")
    before, path = opened(status), lock.lock_path(rule.script)
    if not before:
        name = options.name or persons_name(rule.script.parent)
        who = {"name": name, "time": utc_now(), "script_digest": status.lock.script_digest}
        trail = (*status.lock.trail, act(UNBLINDED, **who))
        lock.write_lock(path, replace(status.lock, blind={**hidden(rule.spec.blind), "unblinded": who}, trail=trail))
        status = lock.status(rule.script, rule.spec.digest)
    blind = blind_of(rule, status)
    if options.json:
        print(json.dumps({"rule": rule.name, "before": "unblinded" if before else "blinded", "blind": blind}, indent=2))
    elif before:
        print(f"{rule.name} is unblinded already: {blind}.")
    else:
        print(
            f"{rule.name}: {blind}. Commit {path}.\nFrom now on its jobs run on the data, under any executor, and "
            "Snakemake reruns those whose outputs come from twins. If the script changes, the rule is blinded again."
        )
    return 0
