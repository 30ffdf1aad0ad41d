"""Simple conditions of a sentence (`ph1_pt > 40`, `1.37 <= |eta| <= 1.52`), tried on the inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.names import pieces

_NUMBER = r"(\d+(?:\.\d+)?)"
_ABOVE = re.compile(rf"`?([A-Za-z_]\w*)`?\s*(>=|>|≥|<=|<|≤)\s*{_NUMBER}(?!\s*(?:<|≤))")
_BETWEEN = re.compile(rf"{_NUMBER}\s*(?:<=|<|≤)\s*\|?`?([A-Za-z_]\w*)`?\|?\s*(?:<=|<|≤)\s*{_NUMBER}")
_NEGATION = re.compile(r"\b(no|not|neither|nor|without|outside|except|veto\w*|exclud\w*)\b", re.IGNORECASE)
Numbers = np.ndarray[Any, Any]


def failing_shares(case: Case, cut: str) -> Iterator[tuple[str, float]]:
    """What the sentence says in brackets behind the name of a cut, and which share of the inputs does not fulfil it."""
    match = re.search(rf"`{re.escape(cut)}`\s*\(([^()]*(?:\([^()]*\)[^()]*)*)\)", case.text)
    if match is None:
        return
    said = match[1]
    for found in _ABOVE.finditer(said):
        name, sign, bound = found[1], found[2], float(found[3])
        values = sources.column(case, name)
        if values is not None and len(values):
            kept = values[np.isfinite(values)]
            passing = kept > bound if sign[0] in ">≥" else kept < bound
            yield f"`{found[0].strip()}`", 1.0 - float(np.mean(passing)) if len(kept) else 0.0
    for found in _BETWEEN.finditer(said):
        low, name, high = float(found[1]), found[2], float(found[3])
        without = _NEGATION.search(said[: found.start()]) is not None
        for column in _called(case, name, size="|" in found[0]):
            kept = column[np.isfinite(column)]
            inside = float(np.mean((kept >= low) & (kept <= high))) if len(kept) else 0.0
            yield f"`{found[0].strip()}`", inside if without else 1.0 - inside


def _called(case: Case, name: str, *, size: bool) -> Iterator[Numbers]:
    """The columns of this name, or for a quantity such as eta all columns of it, in absolute value if that is said."""
    for column in sorted(sources.names(case)):
        if column == name or pieces(column)[-1:] == (name.lower(),):
            values = sources.column(case, column)
            if values is not None:
                yield np.abs(values) if size else values
