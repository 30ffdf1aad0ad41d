"""A candidate as the checks of its syntax tree see it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, wraps

from snakemake_executor_plugin_llmagent.checks.static.flow import Flow
from snakemake_executor_plugin_llmagent.checks.static.source import Script
from snakemake_executor_plugin_llmagent.protocols import Check, Finding, Severity, Trial

MOST = 5
"""How many findings of one check are told at once."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A trial with its script read.

    Attributes:
        trial: what was asked for, and of which job.
        script: the syntax tree.
        flow: where values in it come from: the inputs, or what else the job is given.
        inputs: the same for the inputs alone.
    """

    trial: Trial
    script: Script
    flow: Flow
    inputs: Flow

    def finding(self, node: ast.AST, *, check: str, message: str, severity: Severity = Severity.ERROR) -> Finding:
        """A finding about a place in the script, which its message starts with."""
        return Finding(check=check, message=f"{self.script.place(node)}: {message}", severity=severity)


def candidate(trial: Trial) -> Candidate:
    """A trial with its script read.

    Raises:
        SyntaxError: the script is not Python.
    """
    return Candidate(trial, *_read(trial.source))


@lru_cache(maxsize=4)
def _read(source: str) -> tuple[Script, Flow, Flow]:
    script = Script(source)
    return script, Flow(script), Flow(script, frozenset({"input"}))


def on_tree(look: Callable[[Candidate], Iterable[Finding]]) -> Check:
    """Make a check of what looks at a script's syntax tree; it finds nothing in what cannot be read."""

    @wraps(look)
    def check(trial: Trial) -> Iterable[Finding]:
        try:
            return tuple(look(candidate(trial)))[:MOST]
        except (SyntaxError, RecursionError):
            return ()

    return check
