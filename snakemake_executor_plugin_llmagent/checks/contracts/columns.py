"""The contract of the range of a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Needs
from snakemake_executor_plugin_llmagent.checks.contents.names import listed, shown
from snakemake_executor_plugin_llmagent.checks.contents.quantities import GEV
from snakemake_executor_plugin_llmagent.checks.contracts.needs import needs

SLACK = 1e-6
"""Ends are kept to this [relative]."""
Numbers = np.ndarray[Any, Any]


def column_range(
    case: Case, column: str, low: float | None = None, high: float | None = None, unit: str = "GeV"
) -> Iterator[Found]:
    """See `catalogue.column_range`."""
    if low is None and high is None:
        raise Needs("one of the parameters `low` and `high`")
    ends = (-np.inf if low is None else low, np.inf if high is None else high)
    found = list(_columns(case, column))
    if not found:
        raise _not_there(case, column)
    for label, values in found:
        finite = values[~np.isnan(values)]
        outside = _outside(finite, *ends)
        if not len(finite):
            yield Found(check="contract.column_range", message=f"{label}: there is no value, all are NaN.")
        elif outside:
            yield Found(
                check="contract.column_range",
                message=f"{label}: {outside} of {len(finite)} values are not {_range(low, high)}{_of(unit)} (they run "
                f"from {finite.min():.6g} to {finite.max():.6g}).{_in_another_unit(finite, ends, unit)}",
            )


def _columns(case: Case, column: str) -> Iterator[tuple[str, Numbers]]:
    for part in case.outputs:
        for sheet in part.contents.sheets if part.contents is not None else ():
            array = sheet.columns.get(column)
            if array is not None and array.numeric:
                yield f"{shown(column)} of {part.label}", array.numbers()


def _not_there(case: Case, column: str) -> Needs:
    """What is said without the column: which ones there are."""
    sheets = [sheet for part in case.outputs if part.contents is not None for sheet in part.contents.sheets]
    names = sorted({name for sheet in sheets for name in sheet.columns})
    there = f", but there are {listed(names, 8)}" if names else ""
    return needs(case, f"a column {shown(column)} of numbers{there}")


def _outside(values: Numbers, low: float, high: float) -> int:
    return int(np.count_nonzero((values < low - SLACK * abs(low)) | (values > high + SLACK * abs(high))))


def _range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low:g}" if low is not None else f"at most {high:g}"
    return f"within {low:g} to {high:g}"


def _of(unit: str) -> str:
    return f" {unit}" if unit else ""


def _in_another_unit(values: Numbers, ends: tuple[float, float], unit: str) -> str:
    """A word on values that would lie within both ends if they were taken in another unit."""
    own = GEV.get(unit.lower())
    for other in ("MeV", "GeV", "TeV"):
        if own is None or not np.isfinite(ends).all() or other.lower() == unit.lower():
            continue
        by = GEV[other.lower()] / own
        if _outside(values * by, *ends) == 0:
            return f" They seem to be in {other}."
    return ""
