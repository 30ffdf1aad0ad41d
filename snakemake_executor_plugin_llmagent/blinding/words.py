"""What is hidden, in words for authors, persons and locks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from snakemake_executor_plugin_llmagent.spec import Blind
from snakemake_executor_plugin_llmagent.text import fenced, one_line

MOST_LISTED = 40
"""How many inputs, and how many peculiarities of twins, an author is told of."""


def hidden(blind: Blind | None) -> dict[str, Any]:
    """What is hidden, as a lock records it; empty for a rule that is not blinded."""
    if blind is None:
        return {}
    found: dict[str, Any] = {
        "windows": {name: list(window) for name, window in blind.windows.items()},
        "mc_only": blind.mc_only,
        "function": blind.function.label if blind.function else None,
        "inputs": list(blind.inputs),
    }
    return {"hidden": {name: value for name, value in found.items() if value}, "unblinded": None}


def in_words(blind: Blind) -> str:
    """What is hidden, in one line."""
    parts = [f"{_name(name)} in [{low:g}, {high:g})" for name, (low, high) in blind.windows.items()]
    if blind.mc_only:
        parts.append("all data")
    if blind.function:
        parts.append(f"what {_name(blind.function.label)} hides")
    return ", ".join(parts)


def _name(name: str) -> str:
    return one_line(name, 100)


def for_author(blind: Blind, inputs: Iterable[str], notes: Iterable[str]) -> str:
    """The section of a context that tells an author that data are hidden.

    Args:
        blind: what is hidden.
        inputs: the inputs that twins stand in for.
        notes: what else is not in the twins as it is in the data.
    """
    parts = [_what(blind), fenced(_listed(list(inputs)), "data"), CONSEQUENCES]
    more = list(dict.fromkeys(notes))
    if more:
        parts.append(f"What else is not in the twins as it is in the data:\n\n{fenced(_listed(more), 'data')}")
    return "\n\n".join(("## The data are blinded", *parts))


def _listed(lines: list[str]) -> str:
    more = [f"… {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    return "\n".join([one_line(line, 300) for line in lines[:MOST_LISTED]] + more)


CONSEQUENCES = """\
The frozen script will run on the whole data, unchanged and without you. So:

- Write it for the whole data. Never derive the hidden range, or that there is a gap, from what the data hold: do not
  look for empty bins or missing values, and do not treat a gap as a feature of the spectrum.
- If the rule asks for something that leaves the hidden range out (a fit to sidebands, say), take the range from what
  the rule says, as a named constant. Otherwise do not leave it out.
- No choice may depend on how many events there are, on the largest bin, or on what else the hidden part changes.
- On trial, results come from the twins: counts are too small, and a fit across a gap may be poor. That is no fault."""


def _what(blind: Blind) -> str:
    if blind.mc_only:
        return (
            "No data may be seen while this script is written. In the place of these inputs you and the script on "
            "trial see empty twins: the same columns without rows, histograms and counts of zero."
        )
    if blind.function:
        return (
            "Part of the data may not be seen while this script is written. In the place of these inputs you and the "
            f"script on trial see twins, made by the analysts' own {_name(blind.function.label)}."
        )
    ranges = " or ".join(f"`{_name(name)}` in [{low:g}, {high:g})" for name, (low, high) in blind.windows.items())
    return (
        f"Rows with {ranges} (in the unit of the column) may not be seen while this script is written. In the place of "
        "these inputs you and the script on trial see twins without them; bins of histograms that overlap are zero."
    )
