"""Histograms filled again from the tables that they may have been made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, is_event, pieces, shown, weights_of
from snakemake_executor_plugin_llmagent.checks.contents.results import numbers, places
from snakemake_executor_plugin_llmagent.checks.contracts.needs import event_tables
from snakemake_executor_plugin_llmagent.data.contents import Histogram, Sheet

MOST_ROWS, MOST_COLUMNS = 300_000, 40
"""Larger tables are tried with the column alone that the histogram is called by."""
Numbers = np.ndarray[Any, Any]
Tables = list[tuple[Part, Sheet]]


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A column that gives just the contents of a histogram.

    Attributes:
        label: how a message names it.
        variances: sums of squared weights.
    """

    label: str
    variances: Numbers


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
    if len(histogram.edges) != 1 or not np.isfinite(histogram.values).all() or not np.any(histogram.values):
        return None
    called = [pieces(text) for text in (histogram.name, *histogram.labels)]
    for tables in _groups(case):
        for name in _columns(tables, called):
            for weight in (None, *_weights(tables)):
                found = _fill(tables, name, weight, histogram.edges[0])
                if found is not None and np.allclose(
                    found[0], histogram.values, rtol=1e-5, atol=1e-9 * float(np.abs(histogram.values).max())
                ):
                    labels = ", ".join(dict.fromkeys(part.label for part, _ in tables))
                    with_weights = "numbers of events" if weight is None else f"squares of {shown(weight)}"
                    return Filled(label=f"the {with_weights} in {labels}", variances=found[1])
    return None


def _groups(case: Case) -> Iterator[Tables]:
    """Tables that may have been filled together: each alone, those of one name, all of the outputs or of the inputs."""
    for parts in (case.outputs, case.inputs):
        tables = event_tables(parts)
        named: dict[str | None, Tables] = {}
        for part, sheet in tables:
            named.setdefault(part.name, []).append((part, sheet))
        seen: list[Tables] = []
        for group in (*([one] for one in tables), *named.values(), tables):
            if group and group not in seen:
                seen.append(group)
                yield group


def _columns(tables: Tables, called: list[tuple[str, ...]]) -> list[str]:
    """The columns to try: those that the histogram is called by first, then others of tables that are not too large."""
    names = [name for name in flat(tables[0][1]) if all(name in flat(sheet) for _, sheet in tables)]
    fitting = [name for name in names if any("".join(pieces(name)) in "".join(words) for words in called if words)]
    small = sum(sheet.entries for _, sheet in tables) <= MOST_ROWS and len(names) <= MOST_COLUMNS
    others = [name for name in names if name not in fitting and not is_event(name)] if small else []
    return [*fitting, *others]


def _weights(tables: Tables) -> list[str]:
    return [name for name in weights_of(tables[0][1]) if all(name in sheet.columns for _, sheet in tables)]


def _fill(tables: Tables, name: str, weight: str | None, edges: Numbers) -> tuple[Numbers, Numbers] | None:
    values = np.concatenate([flat(sheet)[name] for _, sheet in tables]).astype(np.float64)
    weights = None if weight is None else np.concatenate([sheet.columns[weight].numbers() for _, sheet in tables])
    if len(edges) < 2 or np.any(np.diff(edges) <= 0) or (weights is not None and len(weights) != len(values)):
        return None
    contents = np.histogram(values, edges, weights=weights)[0]
    return contents, contents if weights is None else np.histogram(values, edges, weights=weights**2)[0]
