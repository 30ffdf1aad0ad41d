"""Which event of the inputs each row of an output comes from, by the number of the event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, is_event, is_run
from snakemake_executor_plugin_llmagent.data.contents import Array, Sheet

MOST_ROWS, SAMPLE = 200_000, 10_000
"""So many first rows of an output are looked up among the events, and so many of these are compared with them."""
LONGEST = 32
"""So many members of a list are looked at."""
SAME = 2e-6
"""Two numbers this near to each other (relative) are the same in single precision."""
MOST_BYTES = 1 << 29
"""Inputs that are larger together are not searched for the events of an output [bytes]."""
Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Rows of an output and their events.

    Attributes:
        sheet: the output.
        key: its column with the number of the event.
        input_key: the column of that number in the inputs.
        tables: the tables of the inputs that have it, in order.
        rows: for each of the first rows of the output the number of its event in all tables together; -1 for none.
    """

    sheet: Sheet
    key: str
    input_key: str
    tables: tuple[tuple[Part, Sheet], ...]
    rows: Numbers

    @property
    def unknown(self) -> float:
        """The share of rows whose event is not in the inputs."""
        return float(np.mean(self.rows < 0)) if len(self.rows) else 0.0

    @property
    def sample(self) -> slice:
        """Some of the rows, from all over the table."""
        return slice(None, None, 1 + len(self.rows) // SAMPLE)

    @cached_property
    def known(self) -> Mapping[str, Numbers]:
        """All finite values of the columns and lists of the inputs, sorted when they are asked for."""
        return _Sorted(self)

    @cached_property
    def columns(self) -> Mapping[str, Numbers]:
        """The columns of one number per event that all tables have."""
        every = [flat(sheet) for _, sheet in self.tables]
        names = [name for name in every[0] if all(name in one for one in every)]
        return {name: np.concatenate([one[name] for one in every]) for name in names}

    @cached_property
    def lists(self) -> Mapping[str, Array]:
        """The columns of one list of numbers per event that all tables have."""
        first = self.tables[0][1].columns
        return {
            name: _joined([sheet.columns[name] for _, sheet in self.tables]) for name in first if self._is_list(name)
        }

    def _is_list(self, name: str) -> bool:
        arrays = [sheet.columns.get(name) for _, sheet in self.tables]
        return all(one is not None and one.offsets is not None and one.values.dtype.kind == "f" for one in arrays)


class _Sorted(dict[str, Numbers]):
    def __init__(self, origins: Origins) -> None:
        super().__init__()
        self._origins = origins

    def __missing__(self, name: str) -> Numbers:
        lists = self._origins.lists.get(name)
        values = (self._origins.columns[name] if lists is None else lists.values).astype(np.float64)
        self[name] = np.sort(values[np.isfinite(values)])
        return self[name]


def _joined(arrays: Sequence[Array]) -> Array:
    counts = np.concatenate([np.diff(one.offsets) for one in arrays if one.offsets is not None])
    return Array(
        values=np.concatenate([one.values for one in arrays]), offsets=np.concatenate([[0], np.cumsum(counts)])
    )


def event_column(sheet: Sheet) -> str | None:
    """The column with the number of the event; None without one."""
    columns = flat(sheet)
    return next((name for name, values in columns.items() if is_event(name) and values.dtype.kind in "iuf"), None)


def origins(case: Case, sheet: Sheet) -> Origins | None:
    """Where the rows of an output come from; None if numbers of events do not tell it."""
    key = event_column(sheet)
    if key is None or not sheet.entries or sum(_size(part) for part in case.inputs) > MOST_BYTES:
        return None
    tables = tuple((part, one) for part in case.inputs for one in part.tables if one.entries and event_column(one))
    if not tables:
        return None
    keys = {event_column(one) for _, one in tables}
    input_key = keys.pop()
    if keys or input_key is None:
        return None
    after = [flat(sheet)[key][:MOST_ROWS]]
    before = [np.concatenate([flat(one)[input_key] for _, one in tables])]
    run = next((name for name in flat(sheet) if is_run(name)), None)
    if run is not None and all(run in flat(one) for _, one in tables):
        after.append(flat(sheet)[run][:MOST_ROWS])
        before.append(np.concatenate([flat(one)[run] for _, one in tables]))
    told = _numbered(before, after)
    if told is None:
        return None
    return Origins(sheet=sheet, key=key, input_key=input_key, tables=tables, rows=told)


def _size(part: Part) -> int:
    return part.place.stat().st_size if part.place.is_file() else 0


def _numbered(before: list[Numbers], after: list[Numbers]) -> Numbers | None:
    """For each entry of `after` the place of the same in `before`, -1 for none; None if places are not unique."""
    known = np.zeros(len(before[0]), dtype=np.int64)
    wanted = np.zeros(len(after[0]), dtype=np.int64)
    for left, right in zip(before, after, strict=True):
        if right.dtype.kind == "f" and left.dtype.kind in "iu":
            right = np.where(np.isfinite(right) & (right >= 0) & (right < 9e18), right, 0).astype(left.dtype)
        values, codes = np.unique(left, return_inverse=True)
        places = np.minimum(np.searchsorted(values, right), len(values) - 1)
        found = np.where(values[places] == right, places, -1)
        known = known * len(values) + codes
        wanted = np.where((found < 0) | (wanted < 0), -1, wanted * len(values) + found)
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    if len(ordered) > 1 and (ordered[1:] == ordered[:-1]).any():
        return None
    places = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.where(ordered[places] == wanted, order[places], -1)


def agree(one: Numbers, other: Numbers) -> Numbers:
    """Where two arrays are the same in single precision; what is missing in both is the same."""
    near = np.abs(one - other) <= SAME * np.abs(other) + 1e-30
    return np.asarray(near | (np.isnan(one) & np.isnan(other)))


def among(values: Numbers, known: Numbers) -> float:
    """The share of finite values that are among the known ones, which are sorted."""
    finite = values[np.isfinite(values)]
    if not len(finite) or not len(known):
        return 0.0
    right = np.minimum(np.searchsorted(known, finite), len(known) - 1)
    nearest = np.minimum(np.abs(known[right] - finite), np.abs(known[np.maximum(right - 1, 0)] - finite))
    return float(np.mean(nearest <= SAME * np.abs(finite) + 1e-30))


def place_in_list(values: Numbers, rows: Numbers, lists: Array, factor: float) -> Numbers:
    """Which member of the list of its event each value is, times a factor; -1 for none."""
    assert lists.offsets is not None
    starts, counts = lists.offsets[:-1][rows], np.diff(lists.offsets)[rows]
    found = np.full(len(values), -1)
    for place in range(min(LONGEST, int(counts.max(initial=0)))):
        there = (counts > place) & (found < 0)
        members = lists.values[np.where(there, starts + place, 0)].astype(np.float64) * factor
        found[there & agree(values, members)] = place
    return found
