"""The error for what is wrong with an agent rule, in a Snakefile or when its job is to run."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError


class AgentRuleError(WorkflowError):
    """Something is wrong with an agent rule; shown with its place in the Snakefile and without a traceback.

    Snakemake takes the line of an error from its traceback and maps it from the compiled Snakefile to the written one.
    Here the place is known already: there is no traceback to show, and a `Path` is no key of Snakemake's line maps.
    """

    def __init__(self, text: str, *, file: str = "", line: int = 0, rule: Any = None) -> None:
        """Say what is wrong and, if it is one place, where; name the rule if it is a job of it that fails."""
        remote = bool(file) and not Path(file).exists()
        super().__init__(f"{text} ({file}, line {line})" if remote else text)
        place: Any = Path(file) if file and not remote else None
        self.lineno = line
        self.snakefile = place
        self.rule = rule

    @property
    def __traceback__(self) -> TracebackType | None:
        """None: the mistake is not in the code."""
        return None

    @__traceback__.setter
    def __traceback__(self, traceback: TracebackType | None) -> None:
        """Python's context managers put tracebacks back; nothing to keep."""


class SandboxError(AgentRuleError):
    """A script could not be confined, so it did not run; no other script would."""
