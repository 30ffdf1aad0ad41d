"""Checks of the script's text, by its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from snakemake_executor_plugin_llmagent.protocols import Finding, Severity, Trial


def parses(trial: Trial) -> Iterable[Finding]:
    """The script is Python, and nothing in it keeps Snakemake from putting its own lines in front."""
    try:
        tree = ast.parse(trial.source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        text = (getattr(error, "text", None) or "").strip()
        place = f" in line {line}: `{text}`" if line else ""
        return [Finding(check="script.syntax", message=f"The script is not valid Python ({error.args[0]}){place}.")]
    if any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body):
        return [
            Finding(
                check="script.future_import",
                message="Leave out `from __future__ import ...`: Snakemake puts lines of its own in front of the "
                "script, where Python allows no such import any more.",
            )
        ]
    return []


def uses_snakemake(trial: Trial) -> Iterable[Finding]:
    """The script takes its paths from the `snakemake` object, so that it serves every job of the rule."""
    try:
        tree = ast.parse(trial.source)
    except (SyntaxError, ValueError):
        return []
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "snakemake"
    }
    wanted = {"output"} | ({"input"} if trial.job.inputs else set())
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
