"""The operation that looks into the files of a trial: all checks of contents, then the contracts of the rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Needs, case_of
from snakemake_executor_plugin_llmagent.checks.contents import CONTENT_CHECKS
from snakemake_executor_plugin_llmagent.checks.contracts import BY_RERUN, IMPLEMENTATIONS


def examine(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Judge a trial by its files.

    Args:
        asked: what `case_of` takes, and `contracts`: a list of `{"name", "arguments", "label"}`.

    Returns:
        `findings` (as `Found`), and `results`: contract's label → `passed` or what it says. Contracts that take another
        run have no result here.
    """
    case = case_of(asked)
    results: dict[str, str] = {}
    # What files hold may be anything: numbers that overflow are no warning to anybody here.
    with np.errstate(all="ignore"):
        findings = [found for check in CONTENT_CHECKS for found in _content(check, case)]
        for call in asked["contracts"]:
            if call["name"] not in BY_RERUN:
                told = _contract(case, call)
                findings += told
                results[call["label"]] = "; ".join(one.message for one in told) or "passed"
    return {"findings": [asdict(found) for found in findings], "results": results}


def _content(check: Callable[[Case], Iterable[Found]], case: Case) -> list[Found]:
    """What a check finds; one that stumbles over a strange file does not take the others with it."""
    found: list[Found] = []
    try:
        found.extend(check(case))
    except Exception as error:
        text = f"A check of contents (`{check.__name__}`) could not be carried out: {type(error).__name__}: {error}"
        found.append(Found(check="contents.unexamined", message=text, warning=True))
    return found


def _contract(case: Case, call: Mapping[str, Any]) -> list[Found]:
    name, label = f"contract.{call['name']}", call["label"]
    try:
        return list(IMPLEMENTATIONS[call["name"]](case, **call["arguments"]))
    except Needs as need:
        return [Found(check=name, message=f"The check `{label}` needs {need}")]
    except Exception as error:
        text = f"The check `{label}` could not be carried out: {type(error).__name__}: {error}"
        return [Found(check=name, message=text)]
