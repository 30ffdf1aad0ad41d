"""What speaks for a script: results of checks, contracts, probes and cross-checks as rows of tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from snakemake_executor_plugin_llmagent.lock import Lock

TITLES = {
    "contents": "Contracts and contents", "probes": "Probes", "crosscheck": "Cross-check", "slices": "First entries",
    "review": "Review",
}  # fmt: skip
"""Gate → what its results are called on the page."""

NAMES = {("review", "cites"): "what the review refers to", ("slices", "first"): "tried first on"}
"""Gate and result → what it is called on the page, where its name alone says little."""


class Verdict(StrEnum):
    """What a result says."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    OPEN = "not judged"
    NOTE = "note"


@dataclass(frozen=True)
class Row:
    """A result: what was looked at, what came out, and what there is to say of it."""

    name: str
    verdict: Verdict
    text: str = ""


@dataclass(frozen=True)
class Section:
    """The results of one gate."""

    title: str
    rows: tuple[Row, ...]


def of_lock(lock: Lock) -> tuple[Section, ...]:
    """The evidence that a lock holds."""
    checks = tuple(row(name, result, Verdict.WARNING) for name, result in lock.checks.items())
    sections = [Section("Checks", checks)] if checks else []
    return (*sections, *of_gates(lock.evidence, accepted=True))


def of_gates(evidence: Mapping[str, Any], *, accepted: bool) -> tuple[Section, ...]:
    """What gates have shown of a script that was accepted, or was not."""
    against = Verdict.WARNING if accepted else Verdict.FAILED
    return tuple(
        Section(TITLES.get(gate, gate), tuple(_rows(gate, results, against)))
        for gate, results in evidence.items()
        if isinstance(results, Mapping) and results
    )


def _rows(gate: str, results: Mapping[str, Any], against: Verdict) -> Iterable[Row]:
    if gate == "crosscheck":
        return [crosscheck(results)]
    return [row(NAMES.get((gate, str(name)), str(name)), result, against) for name, result in results.items()]


def row(name: str, result: object, against: Verdict) -> Row:
    """A result as gates and checks record it: `passed`, a text that begins with its kind, or a mapping.

    Args:
        name: what was looked at.
        result: what came out.
        against: what a text means that begins with none of the known kinds.
    """
    if isinstance(result, Mapping):
        return Row(name, Verdict.NOTE, in_words(result))
    text = str(result)
    if text == "passed":
        return Row(name, Verdict.PASSED)
    if text.startswith("passed, but "):
        return Row(name, Verdict.PASSED, text.removeprefix("passed, "))
    if text.startswith("warning: "):
        return Row(name, Verdict.WARNING, re.sub(r"^warning: ", "", text, flags=re.MULTILINE))
    if text.startswith(("not judged", "not applied", "not run", "could not")):
        return Row(name, Verdict.OPEN, text)
    if text.startswith(("the first ", "no evidence")):
        return Row(name, Verdict.NOTE, text)
    return Row(name, against, text)


def crosscheck(results: Mapping[str, Any]) -> Row:
    """What the comparison with a second script came to."""
    name = f"second script by {results.get('model', '?')}"
    if not results.get("done"):
        return Row(name, Verdict.OPEN, f"not done: {results.get('why', 'nobody said why')}")
    differ, compared = results.get("differ"), results.get("compared")
    largest = results.get("largest")
    worst = f"; largest difference: {in_words(largest)}" if isinstance(largest, Mapping) else ""
    verdict = Verdict.FAILED if differ else Verdict.PASSED
    return Row(name, verdict, f"{compared} numbers compared, {differ} differ{worst}")


def in_words(value: object) -> str:
    """A value of a lock on one line, as a person writes it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {in_words(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(in_words, value))}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.8g}"
    return "none" if value is None else str(value)
