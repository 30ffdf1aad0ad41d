"""Decisions: those that the author listed, and those that the rule has made."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable

from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.source import UNKNOWN
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity
from snakemake_executor_plugin_llmagent.text import one_line


@on_tree
def decisions_are_used(candidate: Candidate) -> Iterable[Finding]:
    """What is listed as a constant is one, and the script uses it; what the rule has decided holds."""
    for name, value in candidate.trial.spec.decide.items():
        if name.isidentifier():
            yield from _pinned(candidate, name, value)
    for entry in candidate.trial.decisions:
        name = str(entry.get("name", ""))
        if name.isidentifier() and name.isupper() and name not in candidate.trial.spec.decide:
            yield from _listed(candidate, name, entry.get("value"))


def _pinned(candidate: Candidate, name: str, value: object) -> Iterable[Finding]:
    binds = candidate.script.binds.get(name, ())
    wanted = one_line(json.dumps(value, default=str), 100)
    if not binds:
        yield Finding(
            check="decision.ignored",
            message=f"The rule has decided `{name}`: {wanted}. Put it as a constant of this name at the top of the "
            "script, and use it.",
        )
        return
    for bind in binds:
        found = candidate.script.constant(bind.value) if bind.kind == "assign" and bind.index is None else UNKNOWN
        if (found is not UNKNOWN and not _same(found, value)) or bind.kind == "augment":
            yield candidate.finding(
                bind.statement,
                check="decision.ignored",
                message=f"the rule has decided that `{name}` is {wanted}. Use that value, unchanged.",
            )
    if not _is_read(candidate, name):
        yield _unused(candidate, name)


def _listed(candidate: Candidate, name: str, value: object) -> Iterable[Finding]:
    if candidate.script.binds.get(name):
        if not _is_read(candidate, name):
            yield _unused(candidate, name)
    elif not isinstance(value, str):
        # A text is a choice of method, which stands in a comment.
        yield Finding(
            check="decision.unused",
            severity=Severity.WARNING,
            message=f"The decision `{name}` is listed with a value, but the script has no constant of this name.",
        )


def _unused(candidate: Candidate, name: str) -> Finding:
    return candidate.finding(
        candidate.script.binds[name][0].statement,
        check="decision.unused",
        severity=Severity.WARNING,
        message=f"the decision `{name}` is a constant that the script never uses, so that changing it changes nothing.",
    )


def _is_read(candidate: Candidate, name: str) -> bool:
    return bool(candidate.script.loads.get(name)) or any(
        isinstance(node, ast.Attribute) and node.attr == name for node in candidate.script.nodes
    )


def _same(found: object, wanted: object) -> bool:
    """Whether two values are the same, where lists and tuples are alike and 1 is 1.0."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return math.isclose(found, wanted, rel_tol=1e-9)
    if isinstance(found, tuple | list) and isinstance(wanted, tuple | list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in found)
    return found == wanted
