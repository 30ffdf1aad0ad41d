"""Rows of a category that lie outside of its bounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, pieces, shown, varies
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.data.contents import Sheet

NUMBERS = ("category", "region", "channel", "bin")
SLACK = 1e-6
SHARE = 0.01
"""So many of its rows lie outside of a category whose bounds are not merely rounded."""
_RANKS = r"quantile|percentile|\brank"
Values = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a document says of a category."""

    number: float
    low: float
    high: float


def rows_in_categories(case: Case) -> Iterable[Found]:
    """The rows of a category lie between its `low` and `high`, by the column that the sentence divides them by.

    Where it names several columns that lie within all bounds, it is enough if one of them fits.
    """
    for place in places(case):
        for key, told in place.found.items():
            for name, bounds in _bounds(told):
                for part, sheet in case.tables():
                    if name in flat(sheet):
                        yield from _judge(case, place, str(key), name, bounds, part, sheet)


def _bounds(told: Any) -> Iterator[tuple[str, Sequence[Bounds]]]:
    """The name of the number of a category, and the categories, of a list of them with their bounds."""
    if not isinstance(told, list) or len(told) < 2 or not all(isinstance(one, dict) for one in told):
        return
    for name in NUMBERS:
        found = [_one(name, one) for one in told]
        known = [one for one in found if one is not None]
        if len(known) == len(found):
            yield name, known
            return


def _one(name: str, told: Mapping[str, Any]) -> Bounds | None:
    values = [number(told.get(key)) for key in (name, "low", "high")]
    found = [value for value in values if value is not None]
    return Bounds(number=found[0], low=found[1], high=found[2]) if len(found) == 3 else None


def _judge(
    case: Case, place: Place, key: str, name: str, bounds: Sequence[Bounds], part: Part, sheet: Sheet
) -> Iterator[Found]:
    columns, outside = flat(sheet), []
    for column in _divided_by(case, columns, name, bounds):
        wrong = [(_outside(columns[column], columns[name] == one.number, one), one) for one in bounds]
        share, one = max(wrong, key=lambda each: each[0])
        if share <= SHARE:
            return
        outside.append((share, column, one))
    if outside:
        share, column, one = min(outside, key=lambda each: each[0])
        yield Found(
            check="category.rows",
            warning=mentions(case.text, _RANKS),
            message=f"{share:.1%} of the rows of {part.label} with {shown(name)} {one.number:g} have {shown(column)} "
            f"outside of {one.low:g} to {one.high:g}, which {place.label(key)} says are its bounds. Look at which "
            "column is divided, and from which number categories are counted.",
        )


def _divided_by(case: Case, columns: Mapping[str, Values], name: str, bounds: Sequence[Bounds]) -> list[str]:
    """The columns that the sentence names, in words or by name, and that lie within the bounds of all categories."""
    low, high = min(one.low for one in bounds), max(one.high for one in bounds)
    found = []
    for column, values in columns.items():
        words = r"\W+".join(pieces(column))
        if column == name or not words or not mentions(case.text, rf"\b({words}|{column})\b") or not varies(values):
            continue
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if len(finite) and finite.min() >= low - SLACK and finite.max() <= high + SLACK:
            found.append(column)
    return found


def _outside(values: Values, rows: Values, one: Bounds) -> float:
    """The share of the rows of a category that lie outside of its bounds."""
    slack = SLACK * max(1.0, abs(one.low), abs(one.high))
    kept = values[rows].astype(np.float64)
    return float(np.mean((kept < one.low - slack) | (kept > one.high + slack))) if len(kept) else 0.0
