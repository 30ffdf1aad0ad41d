"""The contracts of numbers of events and their sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.flows import EVENTS, YIELDS, Cutflow, cutflows
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.checks.contracts.needs import close, event_tables, needs, weight_column, whole
from snakemake_executor_plugin_llmagent.data.contents import Histogram, Sheet

SUMS = ("yield", "n_events", "events", "signal", "background", "observed", "n_signal", "n_background", "n_sidebands")
"""What categories add up to, by the same key."""
TOTALS = ("total", "totals", "sum", "all", "inclusive")
SLACK = 1e-3
Tables = list[tuple[Part, Sheet]]


def yields_conserved(case: Case, tolerance: float = 1e-6) -> Iterator[Found]:
    """See `catalogue.yields_conserved`."""
    tables = event_tables(case.outputs)
    categories = list(_categories(case, tables))
    compared = [*categories, *_selected(case, tables), *_histograms(case, tables)]
    # A selection is not divided: what it leaves of the input is told by its cut flow.
    if tables and (categories or not compared):
        compared += _rows(case, tables)
    if not compared:
        raise needs(
            case,
            "something to add up: `categories` with the keys of their total (beside them, or in `total`), a table of "
            "events with a cut flow or `n_events` and `yield`, a histogram with a table, or tables of events in inputs "
            "and outputs",
        )
    for what, total, parts in compared:
        if not close(total, parts, tolerance):
            yield Found(
                check="contract.yields_conserved",
                message=f"{what}: {total:.8g} against {parts:.8g}. Is something counted twice, left out, or beyond the "
                "ends of an axis?",
            )


Comparison = tuple[str, float, float]


def _categories(case: Case, tables: Tables) -> Iterator[Comparison]:
    """Totals against sums over what they are divided into."""
    for place in places(case):
        for key, inside in place.found.items():
            if not mentions(str(key), r"categor|region|channel|sample|process|split|part"):
                continue
            divided = list(inside.values()) if isinstance(inside, dict) else inside if isinstance(inside, list) else []
            if divided and all(isinstance(one, dict) for one in divided):
                yield from _divided(place, str(key), divided)
                yield from _in_table(place, str(key), divided, tables)


def _in_table(place: Place, key: str, divided: list[Mapping[str, Any]], tables: Tables) -> Iterator[Comparison]:
    """What each category is said to hold, against the rows of a table that carry its number."""
    for name in ("category", "region", "channel", "bin"):
        numbered = [number(one.get(name)) for one in divided]
        columns = [(part, sheet, flat(sheet)[name]) for part, sheet in tables if name in flat(sheet)]
        if len(columns) != 1 or any(value is None for value in numbered):
            continue
        part, sheet, column = columns[0]
        weights = weight_column(part, sheet, None)
        for value, one in zip(numbered, divided, strict=True):
            rows, label = column == value, f"{place.label(key)}: {name} {value:g}"
            events, total = (_first(one, keys) for keys in (EVENTS, YIELDS))
            if events is not None and whole(sheet):
                yield f"Events of {label} and rows of {part.label} with it", events, float(np.count_nonzero(rows))
            if total is not None and weights is not None and whole(sheet):
                yield (
                    f"The yield of {label} and the weights of {part.label} with it",
                    total,
                    float(weights[1][rows].sum()),
                )


def _first(found: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    return next((n for key in keys if (n := number(found.get(key))) is not None), None)


def _divided(place: Place, key: str, divided: list[Mapping[str, Any]]) -> Iterator[Comparison]:
    for name in SUMS:
        told = [number(one.get(name)) for one in divided]
        added = [value for value in told if value is not None]
        if len(added) < len(told):
            continue
        for above in ("", *TOTALS):
            beside = place.found.get(above) if above else place.found
            total = number(beside.get(name)) if isinstance(beside, dict) else None
            if total is not None:
                label = place.label(above, name) if above else place.label(name)
                yield f"{label} and the sum over `{key}`", total, float(sum(added))


def _selected(case: Case, tables: Tables) -> Iterator[Comparison]:
    """What documents say was selected, against tables."""
    for label, events, total in _told(case):
        if tables and events is not None:
            yield f"Events in {label} and rows of {_labels(tables)}", events, _entries(tables)
        summed = _weights(tables)
        if total is not None and summed is not None:
            yield f"The yield in {label} and the sum of weights in {_labels(tables)}", total, summed


def _histograms(case: Case, tables: Tables) -> Iterator[Comparison]:
    """The content of the only histogram against what was selected, or what the input has."""
    found = list(case.histograms())
    if len(found) != 1:
        return
    part, histogram = found[0]
    flow = _with_flow(part, histogram)
    label = (
        f"the content of {shown(histogram.name)} of {part.label}" if histogram.name else f"the content of {part.label}"
    )
    source = tables or event_tables(case.inputs)
    inside = _inside(source, histogram)
    if flow is None and inside is not None and not mentions(case.text, r"\b(under|over)flow"):
        yield f"What {_labels(source)} has within the axis and {label}", inside, float(np.nansum(histogram.values))
        return
    held = float(np.nansum(histogram.values)) if flow is None else flow
    told = [(where, total if total is not None else events) for where, events, total in _told(case)]
    summed = _weights(source)
    if told and told[0][1] is not None:
        yield f"{told[0][0]} and {label}", told[0][1], held
    elif source:
        yield f"Events in {_labels(source)} and {label}", _entries(source) if summed is None else summed, held


def _with_flow(part: Part, histogram: Histogram) -> float | None:
    """The content with underflow and overflow; None if these are not stored."""
    found: Any = part.contents.document if part.contents is not None else None
    for key in histogram.name.split(".") if histogram.name else ():
        found = found.get(key) if isinstance(found, dict) else None
    storage = found.get("storage") if isinstance(found, dict) else None
    if not isinstance(storage, dict) or storage.get("values") is None:
        return None
    values = np.array(storage["values"], float)
    return float(np.nansum(values)) if values.size > histogram.values.size else None


def _inside(tables: Tables, histogram: Histogram) -> float | None:
    """The sum of weights within the axis of a histogram; None if its column cannot be told."""
    called = ["".join(pieces(text)) for text in (histogram.name, *histogram.labels)]
    total = 0.0
    for part, sheet in tables:
        names = [name for name in flat(sheet) if any("".join(pieces(name)) in word for word in called if word)]
        if len(names) != 1 or len(histogram.edges) != 1 or not whole(sheet):
            return None
        values, weights = flat(sheet)[names[0]], weight_column(part, sheet, None)
        kept = (values >= histogram.edges[0][0]) & (values <= histogram.edges[0][-1])
        total += float(np.count_nonzero(kept)) if weights is None else float(weights[1][kept].sum())
    return total if tables else None


def _told(case: Case) -> Iterator[tuple[str, float | None, float | None]]:
    """Label, number of events and yield of what was selected; of a cut flow its end."""
    flows = cutflows(case)
    if len(flows) == 1:
        flow = flows[0]
        yield f"the end of {flow.label}", _last(flow.events), _last(flow.yields)
    elif not flows:
        for place in places(case):
            if not place.path and number(place.found.get("n_events")) is not None:
                yield place.label(), number(place.found["n_events"]), number(place.found.get("yield"))


def _last(values: np.ndarray[Any, Any] | None) -> float | None:
    return None if values is None or not len(values) else float(values[-1])


def _rows(case: Case, outputs: Tables) -> Iterator[Comparison]:
    """Tables of the outputs against those of the inputs."""
    inputs = event_tables(case.inputs)
    if inputs:
        yield f"Rows of {_labels(inputs)} and of {_labels(outputs)}", _entries(inputs), _entries(outputs)
        before, after = _weights(inputs), _weights(outputs)
        if before is not None and after is not None:
            yield f"Sums of weights in {_labels(inputs)} and in {_labels(outputs)}", before, after


def _labels(tables: Tables) -> str:
    names = list(dict.fromkeys(part.label for part, _ in tables))
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _entries(tables: Tables) -> float:
    return float(sum(sheet.entries for _, sheet in tables))


def _weights(tables: Tables) -> float | None:
    """The sum of all weights; None if a table has none, or not all of it was read."""
    found = [weight_column(part, sheet, None) for part, sheet in tables]
    if not found or not all(whole(sheet) for _, sheet in tables):
        return None
    return None if any(one is None for one in found) else float(sum(one[1].sum() for one in found if one is not None))


# --- cut flows ------------------------------------------------------------------------------------------------------


def cutflow_monotonic(case: Case) -> Iterator[Found]:
    """See `catalogue.cutflow_monotonic`."""
    found = [flow for flow in cutflows(case) if flow.events is not None and len(flow.events)]
    if not found:
        raise needs(case, "a cut flow: `cutflow: [{cut, events, yield, error}]`")
    for flow in found:
        for problem in (*_rises(flow), *_begins(case, flow), *_errors(flow)):
            yield Found(check="contract.cutflow_monotonic", message=f"The cut flow {flow.label} {problem}.")


def _rises(flow: Cutflow) -> Iterator[str]:
    assert flow.events is not None
    if not np.isfinite(flow.events).all() or np.any(flow.events < 0):
        yield "has numbers of events that are missing or negative"
    for at in np.nonzero(np.diff(flow.events) > 0)[0][:3]:
        yield (
            f"rises from {flow.events[at]:.0f} to {flow.events[at + 1]:.0f} at {shown(flow.names[at + 1])}: it is "
            "cumulative"
        )


def _begins(case: Case, flow: Cutflow) -> Iterator[str]:
    assert flow.events is not None
    tables = [[sheet.entries for sheet in part.first_rows if sheet.columns] for part in case.inputs]
    read = [entries for entries in tables if entries]
    if not read:
        return
    whole_ones = {float(one) for entries in read for one in entries} | {float(sum(map(max, read)))}
    if float(flow.events[0]) not in whole_ones:
        expected = " or ".join(f"{one:.0f}" for one in sorted(whole_ones)[-3:])
        yield f"begins with {flow.events[0]:.0f} events, the input has {expected}: its first step holds all events"


def _errors(flow: Cutflow) -> Iterator[str]:
    """Errors of sums of weights: at least |yield| / sqrt(events); of plain counts exactly sqrt(events)."""
    if flow.events is None or flow.yields is None or flow.errors is None:
        return
    events, yields, errors = flow.events, flow.yields, flow.errors
    least = np.abs(yields) / np.sqrt(np.maximum(events, 1.0))
    for at in np.nonzero((errors < (1 - SLACK) * least) & (events > 0))[0][:1]:
        yield (
            f"has an error of {errors[at]:.5g} at {shown(flow.names[at])}, smaller than any {events[at]:.0f} weights "
            f"with the sum {yields[at]:.6g} have: it is the square root of the sum of squared weights"
        )
    if np.array_equal(events, yields) and np.any(np.abs(errors - np.sqrt(events)) > SLACK * np.sqrt(events) + SLACK):
        yield "counts events, but its errors are not their square roots"
