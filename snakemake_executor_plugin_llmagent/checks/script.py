"""Checks of the script's text, by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from snakemake_executor_plugin_llmagent.config import REDACTED
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity, Trial
from snakemake_executor_plugin_llmagent.syntax import parse
from snakemake_executor_plugin_llmagent.text import one_line


def parses(trial: Trial) -> Iterable[Finding]:
    """The script is Python, and nothing in it keeps Snakemake from putting its own lines in front."""
    try:
        tree = parse(trial.source)
    except SyntaxError as error:
        place = f" in line {error.lineno}: `{one_line(error.text or '')}`" if error.lineno else ""
        return [Finding(check="script.syntax", message=f"The script is not valid Python ({error.msg}){place}.")]
    if any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
        return [
            Finding(
                check="script.future_import",
                message="Leave out `from __future__ import ...`: Snakemake puts lines of its own in front of the "
                "script, where Python allows no such import any more.",
            )
        ]
    return []


def holds_no_key(trial: Trial) -> Iterable[Finding]:
    """The script held no provider's key; where one stood in a reply, a mark stands now."""
    if REDACTED not in trial.source:
        return []
    return [
        Finding(
            check="script.key",
            message=f"The script held a provider's key, which was taken out ({REDACTED}). It runs without any key and "
            "without calling a model: leave it out.",
        )
    ]


def uses_snakemake(trial: Trial) -> Iterable[Finding]:
    """The script takes its paths from the `snakemake` object, so that it serves every job of the rule."""
    try:
        tree = parse(trial.source)
    except SyntaxError:
        return []
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "snakemake"
    }
    wanted = {kind for kind, items in (("input", trial.job.inputs), ("output", trial.job.outputs)) if items}
    missing = sorted(wanted - names)
    if not missing:
        return []
    return [
        Finding(
            check="script.paths",
            severity=Severity.ERROR if trial.spec.wildcards else Severity.WARNING,
            message=f"The script does not use {', '.join(f'`snakemake.{name}`' for name in missing)}. "
            "Take every path from there: the same script runs for other files.",
        )
    ]
