"""Rows in which values of different events or objects were mixed, and events that were never looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import continuous, flat, pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.origins import (
    Origins,
    agree,
    among,
    event_column,
    origins,
    place_in_list,
)
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.data.contents import Sheet

FACTORS = (1.0, 1e-3, 1e3)
"""What a value may have been multiplied by: units of energy."""
ENOUGH = 100
_ON_PURPOSE = r"shuffl|permut|mix(ed|ing)|random|bootstrap|toys?\b|smear|rotat"
Numbers = np.ndarray[Any, Any]


def rows_belong(case: Case) -> Iterable[Found]:
    """Rows are events of the input, and hold what belongs to their event, and to one object of it."""
    if mentions(case.text, _ON_PURPOSE):
        return
    for part, sheet in case.tables():
        # Inputs are read only for what has numbers of events.
        if event_column(sheet) is None or sheet.entries < ENOUGH:
            continue
        found = origins(case, sheet)
        if found is None:
            continue
        if found.unknown > 0:
            yield from _unknown(part, found)
        else:
            yield from _columns(part, found)
            yield from _objects(part, found)
            yield from _unseen(part, found)


def _unknown(part: Part, found: Origins) -> Iterator[Found]:
    """Numbers of events that the input does not have: they have lost digits, or are made up."""
    named = bool(set(pieces(found.key)) & {"number", "id", "no"})
    if found.unknown < 1.0 or found.key == found.input_key:
        yield Found(
            check="events.unknown",
            warning=not named or found.unknown == 1.0,
            message=f"{found.unknown:.1%} of the numbers in {shown(found.key)} of {part.label} are not among those of "
            f"the input ({shown(found.input_key)}). Keep them as whole numbers of the type they have: float32 holds 7 "
            "digits, float64 16.",
        )


def _columns(part: Part, found: Origins) -> Iterator[Found]:
    """Columns of the input whose values are all there, at other events."""
    for name, values in _floats(found):
        before = found.columns.get(name)
        if before is None or before.dtype.kind != "f":
            continue
        own = before[found.rows[found.sample]].astype(np.float64)
        same = {factor: float(np.mean(agree(values, own * factor))) for factor in FACTORS}
        if max(same.values()) > 0.9:
            continue
        if any(among(values, found.known[name] * factor) > 0.99 for factor in FACTORS):
            yield Found(
                check="events.mixed",
                message=f"{shown(name)} of {part.label} has the values of the input, but only {max(same.values()):.1%} "
                f"of them at their own event (by {shown(found.key)}): columns were sorted, shifted or cut apart from "
                "each other.",
            )


def _floats(found: Origins) -> Iterator[tuple[str, Numbers]]:
    """The columns that can be compared, some of their values."""
    for name, values in flat(found.sheet).items():
        some = values[: len(found.rows)][found.sample]
        if values.dtype.kind == "f" and continuous(some):
            yield name, some.astype(np.float64)


# --- objects --------------------------------------------------------------------------------------------------------


def _objects(part: Part, found: Origins) -> Iterator[Found]:
    """Columns that hold one member of a list per event: of their own event, and all of the same object."""
    if not found.lists:
        return
    families: dict[tuple[str, ...], dict[str, tuple[str, Numbers]]] = {}
    for name, values in _floats(found):
        told = _member(found, name, values)
        if told is None:
            continue
        collection, places, strayed = told
        if strayed:
            yield Found(
                check="events.mixed",
                message=f"{shown(name)} of {part.label} has values of {shown(collection)} of the input, but of other "
                f"events (by {shown(found.key)}). Apply every cut and every order to all columns alike.",
            )
        else:
            words = pieces(name)
            quantity = next((word for word in reversed(words) if not word.isdigit()), "")
            family = tuple(word for word in words if word != quantity)
            families.setdefault((*family, *pieces(collection)[:-1]), {})[name] = (collection, places)
    for columns in families.values():
        yield from _one_object(part, columns)


def _member(found: Origins, name: str, values: Numbers) -> tuple[str, Numbers, bool] | None:
    """The list that a column is taken from, which member each value is, and whether they are those of other events."""
    finite = np.isfinite(values) & (values != 0)
    if np.count_nonzero(finite) < ENOUGH:
        return None
    words = {word for word in pieces(name) if not word.isdigit()}
    for collection, array in found.lists.items():
        if not words & {pieces(collection)[-1]}:
            continue
        for factor in FACTORS:
            places = place_in_list(values, found.rows[found.sample], array, factor)
            if float(np.mean(places[finite] >= 0)) > 0.95:
                return collection, np.where(finite, places, -1), False
            if among(values[finite], found.known[collection] * factor) > 0.99:
                return collection, places, True
    return None


def _one_object(part: Part, columns: Mapping[str, tuple[str, Numbers]]) -> Iterator[Found]:
    """The columns of one object are the same member of their lists."""
    (first, (_, reference)), *others = columns.items()
    for name, (_, places) in others:
        both = (places >= 0) & (reference >= 0)
        if np.count_nonzero(both) < ENOUGH:
            continue
        apart = float(np.mean(places[both] != reference[both]))
        if apart > 0.01:
            yield Found(
                check="events.mixed",
                message=f"{shown(first)} and {shown(name)} of {part.label} are those of different objects in "
                f"{apart:.1%} of the events. Sort and select all quantities of an object with the same indices.",
            )


# --- events that were never looked at -------------------------------------------------------------------------------


def _unseen(part: Part, found: Origins) -> Iterator[Found]:
    """A file of which only the first events were used, though the others are no different."""
    start = 0
    for source, sheet in found.tables:
        end = start + sheet.entries
        inside = found.rows[(found.rows >= start) & (found.rows < end)] - start
        if len(inside) >= ENOUGH and sheet.entries == len(next(iter(flat(sheet).values()))):
            last = int(inside.max()) + 1
            missed = (sheet.entries - last) * len(inside) / last
            if last < 0.9 * sheet.entries and missed >= ENOUGH and not _explained(sheet, found.input_key, inside, last):
                yield Found(
                    check="events.partial",
                    message=f"All {len(inside)} rows of {part.label} that come from {source.label} are among its first "
                    f"{last} of {sheet.entries} events, though the others are no different. Read the whole file.",
                )
                return
        start = end


def _explained(sheet: Sheet, key: str, inside: Numbers, last: int) -> bool:
    """Whether some column tells the events that were used from those that come after them."""
    for name, values in flat(sheet).items():
        if name == key:
            continue
        used, after = values[inside], values[last:]
        if values.dtype.kind == "f":
            used, after = used[np.isfinite(used)], after[np.isfinite(after)]
        if not len(used) or not len(after):
            return True
        few = np.unique(used)
        alike = np.isin(after, few) if len(few) <= 10 else (after >= used.min()) & (after <= used.max())
        if float(np.mean(alike)) < 0.05 or bool((np.diff(values.astype(np.float64)) >= 0).all() and len(few) > 1):
            return True
    return False
