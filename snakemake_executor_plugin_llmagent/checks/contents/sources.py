"""What the inputs are like, as far as a check needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, varies, weights_of


def rows(case: Case) -> int:
    """Entries of the largest table among the inputs; for histograms what they hold together."""
    most = 0
    for part in case.inputs:
        if part.glance is not None:
            most = max([most, *(sheet.entries for sheet in part.glance.sheets)])
            held = sum(float(np.nansum(histogram.values)) for histogram in part.glance.histograms)
            most = max(most, int(min(held, 1e15)))
    return most


def entries(case: Case) -> int:
    """How many things all inputs hold together: rows of tables, or members of lists where there are more of those."""
    return sum(
        max([sheet.entries, *(len(array.values) for array in sheet.columns.values())])
        for part in case.inputs
        for sheet in part.tables
    )


def weighted(case: Case) -> bool:
    """Whether all tables among the inputs have weights, and all of these vary.

    Data have none, or constant ones: what is made of them has every right to be unweighted.
    """
    parts = [part for part in case.inputs if any(sheet.entries for sheet in part.first_rows)]
    return bool(parts) and all(map(_weighted, parts))


def _weighted(part: Part) -> bool:
    columns = [values for sheet in part.first_rows for values in weights_of(sheet).values()]
    return any(map(varies, columns))


def whole_weights(case: Case) -> Mapping[str, np.ndarray[Any, Any]]:
    """All weights of the inputs by the names of their columns."""
    found: dict[str, list[np.ndarray[Any, Any]]] = {}
    for part in case.inputs:
        for sheet in part.tables:
            for name, values in weights_of(sheet).items():
                found.setdefault(name, []).append(values)
    return {name: np.concatenate(all_of_them) for name, all_of_them in found.items()}


def column(case: Case, name: str) -> np.ndarray[Any, Any] | None:
    """The first values of all columns of this name in the inputs; None if there are none."""
    found = [flat(sheet)[name] for part in case.inputs for sheet in part.first_rows if name in flat(sheet)]
    return np.concatenate(found).astype(np.float64) if found else None


def names(case: Case) -> set[str]:
    """The names of all columns of the inputs."""
    return {name for part in case.inputs for sheet in part.first_rows for name in (*sheet.columns, *sheet.opaque)}
