"""Events that are gone, and events that are there twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.flows import cutflows
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, is_run, listed, shown
from snakemake_executor_plugin_llmagent.checks.contents.origins import event_column, origins
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.data.contents import Sheet

MANY = 1000
"""Of so many events, some should be left [events]."""
CLIFF = 100
"""So many events do not all vanish in one cut [events]."""
_EVERY = (
    r"one (entry|row|line|element) per event( of| in) (the|each|its) (trees?|inputs?|files?|ntuples?)\b"
    r"(?! (that|which|passing|pass|with|after|selected|where|whose))"
    r"|(?<!selected )(?<!passing )(?<!remaining )(?<!kept )(?<!chosen )(rows|events|entries)( and columns)?"
    r" of the inputs? in (their|its|the same) order"
)
_AGAIN = r"bootstrap|resampl|over-?sampl|replacement|repeat|duplicat|toys?\b|augment"
_COMBINED = (
    _AGAIN + r"|pairs?\b|combin|permut|grid|scan|curve|points|bins?\b|explode|per (photon|jet|lepton|object|track)"
)


def events_left(case: Case) -> Iterable[Found]:
    """Selections keep events, histograms hold something, cut flows do not fall off a cliff."""
    before = sources.rows(case)
    flows = [flow.events for flow in cutflows(case) if flow.events is not None and len(flow.events)]
    # Where a cut flow shows how the events became fewer and fewer, nothing has to be wrong.
    dwindled = bool(flows) and not any(map(_falls, flows))
    tables = [(part, sheet) for part, sheet in case.tables() if sheet.columns]
    yield from _empty_tables(tables, before, case.slice > 0 or dwindled or before < MANY)
    yield from _empty_histograms(case, before)
    for flow in cutflows(case):
        if flow.events is not None and len(flow.events) > 1 and flow.events[-1] == 0 < flow.events[0]:
            at = int(np.argmax(flow.events == 0))
            before_cut, cut = flow.events[at - 1] if at else 0, flow.names[at] if at < len(flow.names) else str(at)
            yield Found(
                check="output.no_events",
                warning=not _falls(flow.events) or case.slice > 0 or any(one[-1] > 0 for one in flows),
                message=f"The cut flow {flow.label} ends at 0 events: {shown(cut)} leaves none of {before_cut:.0f}. "
                "Compare the cut with the values of its column (MeV or GeV, sign, logical and/or, name of a flag).",
            )


def _falls(events: np.ndarray[Any, Any]) -> bool:
    """Whether many events vanish in a single cut."""
    return any(after == 0 and before >= CLIFF for before, after in pairwise(events))


def _empty_tables(tables: list[tuple[Part, Sheet]], before: int, gently: bool) -> Iterator[Found]:
    empty = [part for part, sheet in tables if not sheet.entries]
    if not empty or not before:
        return
    yield Found(
        check="output.no_events",
        # One of several outputs may well have none: what was rejected, a rare category.
        warning=gently or len(empty) < len(tables),
        message=f"No event is left in {', '.join(dict.fromkeys(part.label for part in empty))}, of {before} in the "
        "input. Compare each cut with the values of its column (MeV or GeV, sign, logical and/or, name of a flag). If "
        "nothing passes a right selection, the script should fail and say so.",
    )


def _empty_histograms(case: Case, before: int) -> Iterator[Found]:
    held = [(part, histogram.name, bool(np.any(histogram.values))) for part, histogram in case.histograms()]
    empty = [(part, name) for part, name, filled in held if not filled]
    if not empty or not before:
        return
    named = ", ".join(
        dict.fromkeys(f"{shown(name)} of {part.label}" if name else part.label for part, name in empty[:5])
    )
    yield Found(
        check="output.no_events",
        warning=len(empty) < len(held) or before < MANY or case.slice > 0,
        message=f"Histograms are empty: {named}. Nothing was filled, or all of it lies outside of the axis: compare "
        "the edges with the values (MeV or GeV).",
    )


def rows_asked_for(case: Case) -> Iterable[Found]:
    """A table with one row per event of the input has as many rows as the input has events."""
    if not mentions(case.text, _EVERY):
        return
    read: dict[str | None, int] = {}
    allowed = set()
    for part in case.inputs:
        most = max((sheet.entries for sheet in part.first_rows), default=0)
        allowed |= {sheet.entries for sheet in part.first_rows}
        read[part.name] = read.get(part.name, 0) + most
    allowed |= {*read.values(), sum(read.values())}
    for part, sheet in case.tables():
        # Of an archive with arrays of several lengths nobody knows which are meant.
        if sum(read.values()) and len(part.tables) == 1 and sheet.entries and sheet.entries not in allowed:
            expected = read.get(part.name) or max(read.values())
            yield Found(
                check="output.rows",
                message=f"{part.label} has {sheet.entries} rows, the input has {expected} events, and the rule asks "
                "for all of them in their order. Do not select any; look whether the whole file was read.",
            )


def events_once(case: Case) -> Iterable[Found]:
    """No event is in a table twice that the input has once, and no table has more rows than there were events."""
    for part, sheet in case.tables():
        if sheet.entries > 1 and not mentions(case.text, _AGAIN):
            yield from _twice(case, part, sheet)
        if sheet.entries > 20 and not mentions(case.text, _COMBINED):
            yield from _more(case, part, sheet)


def _twice(case: Case, part: Part, sheet: Sheet) -> Iterator[Found]:
    columns, key = flat(sheet), event_column(sheet)
    # Rows that differ in anything are objects of an event, not the event itself: that takes columns that can differ.
    if key is None or len(columns) < 3 or len(columns) != len(sheet.columns):
        return
    keys = [key, *(name for name in columns if is_run(name))]
    doubtful = np.nonzero(_again([columns[name] for name in keys]))[0]
    repeated = int(np.count_nonzero(_repeats([values[doubtful] for values in columns.values()])))
    if repeated and origins(case, sheet) is not None:
        yield Found(
            check="events.duplicated",
            warning=repeated < 0.01 * len(columns[key]) and repeated < 10,
            message=f"{repeated} rows of {part.label} are there more than once ({listed(keys)} and all other columns "
            "are the same), though the input has each event once. Look for a file that is read twice, a loop or a join "
            "that repeats.",
        )


def _repeats(columns: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Which rows, sorted, are the same as the one before."""
    order = np.lexsort(columns)
    same = np.ones(max(0, len(order) - 1), dtype=bool)
    for values in columns:
        left, right = values[order[:-1]], values[order[1:]]
        equal = left == right
        if values.dtype.kind == "f":
            equal |= np.isnan(left) & np.isnan(right)
        same &= equal
    return np.concatenate([[False], same]) if len(order) else same


def _again(columns: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Which rows are there more than once, shape (rows,)."""
    same = _repeats(columns)
    either = same | np.concatenate([same[1:], [False]]) if len(same) else same
    found = np.empty(len(same), dtype=bool)
    found[np.lexsort(columns)] = either
    return found


def _more(case: Case, part: Part, sheet: Sheet) -> Iterator[Found]:
    inputs = [len(one.first_rows) for one in case.inputs]
    if not any(inputs) or len(sources.names(case) & set(sheet.columns)) < 2:
        return
    before = sources.entries(case)
    if before and sheet.entries > before:
        yield Found(
            check="events.duplicated",
            warning=True,
            message=f"{part.label} has {sheet.entries} rows, more than all inputs together ({before}). Are events "
            "there more than once?",
        )
