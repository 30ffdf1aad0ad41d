"""Histograms filled again from the tables that they may have been made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, is_event, pieces, shown, weights_of
from snakemake_executor_plugin_llmagent.checks.contents.results import numbers, places
from snakemake_executor_plugin_llmagent.checks.contents.tables import event_tables
from snakemake_executor_plugin_llmagent.data.contents import Histogram, Sheet

MOST_ROWS, MOST_COLUMNS = 300_000, 40
"""Larger tables are tried with the column alone that the histogram is called by."""
Numbers = np.ndarray[Any, Any]
Tables = list[tuple[Part, Sheet]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Filled:
    """What a column gives in the bins of a histogram.

    Attributes:
        tables: it was filled from.
        column, weight: their names; None for no weight.
        contents: of the bins.
        variances: sums of squared weights.
        below, above: what lies beyond the ends of the axis.
    """

    tables: Tables
    column: str
    weight: str | None
    contents: Numbers
    variances: Numbers
    below: float
    above: float

    @property
    def label(self) -> str:
        """How a message names it."""
        labels = ", ".join(dict.fromkeys(part.label for part, _ in self.tables))
        with_weights = "numbers of events" if self.weight is None else f"squares of {shown(self.weight)}"
        return f"the {with_weights} in {labels}"

    def gives(self, values: Numbers) -> bool:
        """Whether it has these contents, as near as single precision comes."""
        return same(self.contents, values)


def same(one: Numbers, other: Numbers) -> bool:
    """Whether contents are the same in single precision."""
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-9 * float(np.abs(other).max(initial=0.0))))


def binned(case: Case) -> Iterator[tuple[str, Histogram]]:
    """All histograms of the outputs, also lists in documents beside their `bin_edges`, and how a message names them."""
    for part, histogram in case.histograms():
        yield (f"{shown(histogram.name)} of {part.label}" if histogram.name else part.label), histogram
    for place in places(case):
        edges = numbers(place.found.get("bin_edges", place.found.get("edges")))
        for key, found in place.found.items() if edges is not None else ():
            values, errors = numbers(found), numbers(place.found.get(f"{key}_error", place.found.get(f"{key}_errors")))
            # What has `counts` beside its edges is a histogram already.
            if (
                values is None
                or errors is None
                or edges is None
                or len(values) != len(edges) - 1
                or len(errors) != len(values)
            ):
                continue
            yield place.label(str(key)), Histogram(name=str(key), edges=(edges,), values=values, variances=errors**2)


def refilled(case: Case, histogram: Histogram) -> Filled | None:
    """The column and the weights that a histogram of one axis was filled with; None if none gives its contents."""
    if not fillable(histogram):
        return None
    filler = Filler()
    for tables in (*groups(case.outputs), *groups(case.inputs)):
        fitting = filler.called(tables, histogram)
        for name in (*fitting, *_others(tables, fitting)):
            for found in filler.fill(tables, name, histogram.edges[0]):
                if found.gives(histogram.values):
                    return found
    return None


def fillable(histogram: Histogram) -> bool:
    """Whether a histogram has one axis, and something in it."""
    edges = histogram.edges[0] if len(histogram.edges) == 1 else np.zeros(0)
    return (
        len(edges) > 1
        and bool(np.all(np.diff(edges) > 0))
        and bool(np.isfinite(histogram.values).all())
        and bool(np.any(histogram.values))
    )


def groups(parts: Iterable[Part]) -> Iterator[Tables]:
    """Tables that may have been filled together: each alone, those of one name, all of them."""
    tables = event_tables(parts)
    named: dict[str | None, Tables] = {}
    for part, sheet in tables:
        named.setdefault(part.name, []).append((part, sheet))
    seen: list[Tables] = []
    for group in (*([one] for one in tables), *named.values(), tables):
        if group and group not in seen:
            seen.append(group)
            yield group


class Filler:
    """Fills histograms; those of one axis are filled in one go."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[tuple[object, ...], tuple[Filled, ...]] = {}

    def called(self, tables: Tables, histogram: Histogram, text: str = "") -> list[str]:
        """The columns that a histogram is called by, and those that a text names."""
        called = ["".join(pieces(one)) for one in (histogram.name, *histogram.labels)]
        return [
            name
            for name in _common(tables)
            if any("".join(pieces(name)) in one for one in called if one)
            or (text and re.search(rf"\b{re.escape(name)}\b", text))
        ]

    def fill(self, tables: Tables, name: str, edges: Numbers) -> tuple[Filled, ...]:
        """What a column gives without weights, and with each column of weights."""
        key = (tuple(id(sheet) for _, sheet in tables), name, edges.tobytes())
        if key not in self._known:
            self._known[key] = tuple(_filled(tables, name, edges))
        return self._known[key]


def _common(tables: Tables) -> list[str]:
    """Columns of one number per entry that all tables have."""
    return [name for name in flat(tables[0][1]) if all(name in flat(sheet) for _, sheet in tables)]


def _others(tables: Tables, fitting: list[str]) -> list[str]:
    """Further columns to try, of tables that are not too large."""
    names = _common(tables)
    if sum(sheet.entries for _, sheet in tables) > MOST_ROWS or len(names) > MOST_COLUMNS:
        return []
    return [name for name in names if name not in fitting and not is_event(name)]


def _filled(tables: Tables, name: str, edges: Numbers) -> Iterator[Filled]:
    values = np.concatenate([flat(sheet)[name] for _, sheet in tables]).astype(np.float64)
    known = ~np.isnan(values)
    bins = np.searchsorted(edges, values[known], side="right")
    bins[values[known] == edges[-1]] = len(edges) - 1  # the last bin holds its upper end
    for weight in (None, *_weights(tables)):
        weights = None if weight is None else np.concatenate([sheet.columns[weight].numbers() for _, sheet in tables])
        if weights is not None and len(weights) != len(values):
            continue
        weights = None if weights is None else weights[known]
        contents = np.bincount(bins, weights, len(edges) + 1).astype(float)
        variances = contents if weights is None else np.bincount(bins, weights**2, len(edges) + 1)
        yield Filled(
            tables=tables, column=name, weight=weight, contents=contents[1:-1], variances=variances[1:-1],
            below=float(contents[0]), above=float(contents[-1]),
        )  # fmt: skip


def _weights(tables: Tables) -> list[str]:
    return [name for name in weights_of(tables[0][1]) if all(name in sheet.columns for _, sheet in tables)]
