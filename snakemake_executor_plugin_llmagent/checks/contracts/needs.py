"""What the contracts share: what they say when something is missing, and what tables weigh."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Needs, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import listed, weights_of
from snakemake_executor_plugin_llmagent.checks.contents.tables import event_tables as event_tables
from snakemake_executor_plugin_llmagent.data.contents import Sheet


def needs(case: Case, what: str) -> Needs:
    """What is said if something cannot be found in any output."""
    return Needs(f"{what}. Looked in {looked(case.outputs)}.")


def looked(parts: Iterable[Part]) -> str:
    """The files that were looked into, and what could not be read."""
    told = [
        part.label if part.contents is not None else f"{part.label} (which cannot be read as data)" for part in parts
    ]
    return ", ".join(told) or "no file"


def weight_column(part: Part, sheet: Sheet, column: str | None) -> tuple[str, np.ndarray[Any, Any]] | None:
    """The weights of a table: a named column, or the only one that is called so; None if there is none.

    Raises:
        Needs: several columns may be meant.
    """
    if column is not None:
        array = sheet.columns.get(column)
        return None if array is None or not array.numeric or array.offsets is not None else (column, array.numbers())
    found = weights_of(sheet)
    plain = {
        name: values for name, values in found.items() if name.lower() in ("weight", "weights", "w", "event_weight")
    }
    found = plain or found
    if len(found) > 1:
        raise Needs(f"the parameter `column`: {part.label} has several columns of weights ({listed(sorted(found))})")
    return next(iter(found.items()), None)


def whole(sheet: Sheet) -> bool:
    """Whether all rows of a table were read."""
    return all(array.entries == sheet.entries for array in sheet.columns.values())


def close(one: float, other: float, tolerance: float) -> bool:
    """Whether two numbers agree to a relative tolerance; single precision is as near as sums may come."""
    return abs(one - other) <= max(tolerance, 1e-12) * max(abs(one), abs(other), 1e-300)
