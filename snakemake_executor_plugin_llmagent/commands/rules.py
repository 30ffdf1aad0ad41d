"""What the commands of `llmagent` have in common: the workflow's rules, in facts, and the person's name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake_executor_plugin_llmagent import lock
from snakemake_executor_plugin_llmagent.blinding.words import in_words
from snakemake_executor_plugin_llmagent.config import project_place
from snakemake_executor_plugin_llmagent.errors import LockMismatch, NotApproved
from snakemake_executor_plugin_llmagent.lock import Status, opened

if TYPE_CHECKING:
    from snakemake_executor_plugin_llmagent.host.declared import AgentRule

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
"""Adds a command: its name, what runs it and returns the exit status, and what it does in a sentence."""


def rules_of(options: argparse.Namespace) -> tuple[AgentRule, ...]:
    """The agent rules of the workflow that the options lead to."""
    from snakemake_executor_plugin_llmagent.host.project import agent_rules

    return agent_rules(
        snakefile=options.snakefile, directory=options.directory, config=options.config, configfiles=options.configfile
    )


def rule_of(options: argparse.Namespace) -> AgentRule:
    """The agent rule that is named."""
    from snakemake_executor_plugin_llmagent.host.project import named

    return named(rules_of(options), options.rule)


def with_script(options: argparse.Namespace, act: str) -> tuple[AgentRule, Status]:
    """The rule that is named, and the state of its script.

    Raises:
        NotApproved: there is no script to `act` on; says how to have one written.
    """
    rule = rule_of(options)
    status = lock.status(rule.script, rule.spec.digest)
    if status.source is None:
        step = next_step(rule.name, status.state)
        raise NotApproved(f"Rule {rule.name} has no script to {act}; {rule.script} does not exist.\n{step}")
    return rule, status


def facts_of(rule: AgentRule) -> tuple[dict[str, Any], Status | None]:
    """What there is to say of a rule, as entries of JSON, and the state of its script; None if its lock is broken."""
    spec = rule.spec
    facts: dict[str, Any] = {
        "rule": rule.name,
        "script": str(rule.script),
        "spec": spec.text,
        "spec_digest": spec.digest,
        "file": spec.source_file,
        "line": spec.line,
    }
    try:
        status = lock.status(rule.script, rule.spec.digest)
    except LockMismatch as error:
        return {**facts, "state": "broken", "reason": str(error)}, None
    blind = blind_of(rule, status)
    reason = f"{status.reason}; {blind}" if blind else status.reason
    return {**facts, "state": str(status.state), "reason": reason, **({"blind": blind} if blind else {})}, status


def next_step(rule: str, state: str) -> str:
    """What a person may do about a rule in a state; empty where nothing is to be done."""
    from snakemake_executor_plugin_llmagent.host.frozen import write_command

    written = f"\n  {write_command(rule)}"
    steps = {
        "missing": f"Have it written with:{written}",
        "stale": f"Have it written anew with:{written}\nIf it is right for what the rule asks for now: "
        f"llmagent approve --stale {rule}",
        "edited": f"It runs as it is. To freeze it: llmagent approve {rule}",
        "awaiting": f"Look at it, then run: llmagent approve {rule}\nOr have another one written:\n"
        f'  llmagent reject {rule} --because "what is wrong"',
    }
    return steps.get(state, "")


def blind_of(rule: AgentRule, status: Status) -> str:
    """Whether a rule is blinded, in words; empty for others."""
    if rule.spec.blind is None:
        return ""
    what = in_words(rule.spec.blind)
    if not opened(status) or status.lock is None:
        return f"blinded: {what}"
    who = status.lock.blind["unblinded"]
    return f"unblinded by {who.get('name')}, {who.get('time')} (was blinded: {what})"


def home_of(options: argparse.Namespace) -> Path:
    """Where the plugin keeps what is never committed, in the working directory that the options name."""
    return project_place((options.directory or Path.cwd()).absolute())
