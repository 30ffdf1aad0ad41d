"""The operation that looks into the files of a trial: all checks of contents, then the contracts of the rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from snakemake_executor_plugin_llmagent.checks.case import Found, Needs, case_of
from snakemake_executor_plugin_llmagent.checks.contents import CONTENT_CHECKS
from snakemake_executor_plugin_llmagent.checks.contracts import IMPLEMENTATIONS


def examine(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Judge a trial by its files.

    Args:
        asked: what `case_of` takes, and `contracts`: a list of `{"name", "arguments", "label"}`.

    Returns:
        `findings` (as `Found`), and `results`: contract's label → `passed` or what it says.
    """
    case = case_of(asked)
    findings = [asdict(found) for check in CONTENT_CHECKS for found in check(case)]
    results: dict[str, str] = {}
    for call in asked["contracts"]:
        found = _contract(case, call)
        findings += [asdict(one) for one in found]
        results[call["label"]] = "; ".join(one.message for one in found) or "passed"
    return {"findings": findings, "results": results}


def _contract(case: Any, call: Mapping[str, Any]) -> list[Found]:
    try:
        return list(IMPLEMENTATIONS[call["name"]](case, **call["arguments"]))
    except Needs as need:
        return [Found(check=f"contract.{call['name']}", message=f"The check `{call['label']}` needs {need}")]
