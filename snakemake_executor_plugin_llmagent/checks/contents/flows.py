"""Cut flows among the outputs, in the shape that the coder is told of, or near to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case
from snakemake_executor_plugin_llmagent.checks.contents.names import pieces
from snakemake_executor_plugin_llmagent.checks.contents.results import numbers, places
from snakemake_executor_plugin_llmagent.text import one_line

CUTS = ("cut", "name", "step", "selection", "label", "stage", "cuts", "steps", "names")
EVENTS = ("events", "n_events", "n", "count", "counts", "entries", "raw", "n_raw", "passed", "nevents")
YIELDS = ("yield", "yields", "weighted", "sumw", "sum_w", "weighted_events", "weighted_yield")
ERRORS = ("error", "yield_error", "err", "uncertainty", "stat_error", "errors")
Numbers = np.ndarray[Any, Any] | None


@dataclass(frozen=True, kw_only=True)
class Cutflow:
    """A cut flow.

    Attributes:
        label: how a message names it.
        names: of the cuts.
        events, yields, errors: after each cut, as long as `names`; None where they are not given.
        told_shape: whether it has the shape that the coder is told of.
    """

    label: str
    names: tuple[str, ...]
    events: Numbers
    yields: Numbers = None
    errors: Numbers = None
    told_shape: bool = False


def is_cutflow(name: str) -> bool:
    """Whether a key or a file is called a cut flow."""
    return "cutflow" in "".join(pieces(name))


def cutflows(case: Case) -> list[Cutflow]:
    """All cut flows, in documents and in tables."""
    found: list[Cutflow] = []
    for place in places(case):
        for key, value in place.found.items():
            if is_cutflow(str(key)):
                found += _in_document(value, place.label(str(key)), str(key))
    for part, document in case.documents():
        if isinstance(document, list) and is_cutflow(part.place.stem):
            found += _in_document(document, part.label, "")
    for part, sheet in case.tables():
        if is_cutflow(f"{part.place.stem}_{sheet.name}"):
            columns = {name: array.values.tolist() for name, array in sheet.columns.items() if array.offsets is None}
            found += _of_columns(columns, part.label, False)
    return found


def _in_document(value: Any, label: str, key: str) -> Iterator[Cutflow]:
    """Cut flows in a list of steps, a mapping of steps, a mapping of lists, or a mapping of cut flows."""
    if isinstance(value, list) and value and all(isinstance(step, dict) for step in value):
        told = key == "cutflow" and all("cut" in step and "events" in step for step in value)
        keys = dict.fromkeys(name for step in value for name in step)
        yield from _of_columns({name: [step.get(name) for step in value] for name in keys}, label, told)
    elif isinstance(value, dict) and value:
        inside = list(value.values())
        counts = numbers(inside)
        if counts is not None:
            yield Cutflow(label=label, names=tuple(map(str, value)), events=counts)
        elif all(isinstance(one, dict) and _first(one, EVENTS) is not None for one in inside):
            yield from _in_document([{"cut": name, **step} for name, step in value.items()], label, "")
        elif _first(value, EVENTS) is not None:
            yield from _of_columns(value, label, False)
        else:
            for name, one in value.items():
                yield from _in_document(one, f"{label} ({one_line(str(name), 40)})", key)


def _of_columns(columns: Mapping[str, Any], label: str, told_shape: bool) -> Iterator[Cutflow]:
    events, yields, errors = (numbers(_first(columns, keys)) for keys in (EVENTS, YIELDS, ERRORS))
    length = next((len(one) for one in (events, yields) if one is not None), 0)
    told = [one if one is not None and len(one) == length else None for one in (events, yields, errors)]
    names = _first(columns, CUTS)
    named = isinstance(names, list) and len(names) == length
    if length:
        yield Cutflow(
            label=label, names=tuple(map(str, names if named else range(1, length + 1))), events=told[0],
            yields=told[1], errors=told[2], told_shape=told_shape,
        )  # fmt: skip


def _first(columns: Mapping[str, Any], keys: Sequence[str]) -> Any:
    lower = {str(name).lower(): column for name, column in columns.items()}
    return next((lower[key] for key in keys if key in lower), None)
