"""What a lock records of an accepted attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.protocols import Severity
from snakemake_executor_plugin_llmagent.roles import Attempt
from snakemake_executor_plugin_llmagent.spec import Spec
from snakemake_executor_plugin_llmagent.syntax import parse


def cost_record(costs: Iterable[Decimal | None], usage: Mapping[str, int]) -> dict[str, Any]:
    """What the calls of a session cost: dollars (None if the price of a model is unknown) and tokens."""
    listed = list(costs)
    usd = None if None in listed else float(sum((cost for cost in listed if cost is not None), Decimal(0)))
    return {"usd": usd, "tokens": usage.get("input_tokens", 0) + usage.get("output_tokens", 0)}


def packages_of(source: str) -> dict[str, str]:
    """The versions of the distributions that a script imports."""
    import ast
    from importlib import metadata

    names: set[str] = set()
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    known = metadata.packages_distributions()
    found = {distribution for name in names for distribution in known.get(name, ())}
    return {distribution: metadata.version(distribution) for distribution in sorted(found)}


def results_record(spec: Spec, attempt: Attempt) -> dict[str, str]:
    """What the checks said: passed, what they warned of, or that something could not be observed."""
    assert attempt.execution is not None
    results = dict.fromkeys(("script", "run", "output", "input", "project"), "passed")
    results |= {f"check.{document.label}": "passed" for document in spec.checks}
    if any(access.opened is None for access in attempt.execution.access.values()):
        results["input"] = "could not be observed for every input"
    if attempt.execution.changed is None:
        results["project"] = "could not be observed while other rules wrote"
    for finding in attempt.findings:
        if finding.severity is Severity.WARNING:
            group = finding.check if finding.check in results else finding.check.partition(".")[0]
            known = results.get(group, "passed")
            text = f"warning: {finding.message}"
            results[group] = text if known == "passed" else f"{known}\n{text}"
    return results


def review_record(attempt: Attempt) -> dict[str, str] | None:
    """The verdict on an attempt, None if nobody was asked."""
    if attempt.review is None:
        return None
    return {"verdict": "approve" if attempt.review.approved else "revise", "comments": attempt.review.comments}


def relative(path: Path, base: Path) -> str:
    """A path as seen from a directory, if it lies below."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
