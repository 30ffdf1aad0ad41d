"""Numbers in a sentence: written out, or by the parameter that holds them (`params.min_pt[0]`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from snakemake_executor_plugin_llmagent.checks.contents.results import number

GEV: Mapping[str, float] = {"kev": 1e-6, "mev": 1e-3, "gev": 1.0, "tev": 1e3}
"""Unit of energy, in small letters → in GeV."""
UNIT = r"[kMGT]eV(?![A-Za-z])"
_GIVEN = r"`?(?:snakemake\.)?params(?:\.\w+)+(?:\[[\"']?\w+[\"']?\])*`?"
NUMBER = rf"(?:{_GIVEN}|-?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?)"
"""A number or the parameter that holds it; to be read by `value`."""
_STEP = re.compile(r"\w+")


def value(said: str, params: Mapping[str, Any]) -> float | None:
    """The number that a text of the form `NUMBER` stands for; None if the parameter is no number."""
    said = said.strip("`")
    if "params." not in said:
        return float(said.replace(",", ""))
    found: Any = params
    for step in _STEP.findall(said.partition("params.")[2]):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list | tuple) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return number(found)


def in_gev(size: float, unit: str | None) -> float:
    """An energy in GeV; what has no unit stays as it is."""
    return size * GEV[unit.lower()] if unit else size
