"""What the usual probes change to find out whether a column has any effect: order, size and sign of its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, Edit, Sheet
from snakemake_executor_plugin_llmagent.probes.alterations import PLANS, CannotApply, Change, Plan, Source, Wish
from snakemake_executor_plugin_llmagent.probes.tables import weight_of
from snakemake_executor_plugin_llmagent.probes.wanted import columns

FACTORS = (0.125, 0.5, 2.0, 8.0, -1.0)
"""Values that are stirred are multiplied by one of these each."""
NO_COLUMN = "it is clear of all columns that the sentence asks for whether the script uses them"
SAME = "its values are all the same, or number the events"
UNSIGNED = "no weights of both signs are among the events"


def plan(wish: Wish, sources: Sequence[Source]) -> Plan:
    """How a probe alters inputs.

    Raises:
        CannotApply: it has nothing to work on.
    """
    return _ALL[wish.probe](wish, sources)


def permute(wish: Wish, sources: Sequence[Source]) -> Plan:
    """The values of one column in another order: that of this rank among those that are asked for."""
    sheets = [sheet for source in sources for sheet in wish.events(source)]
    asked = columns((name for sheet in sheets for name in sheet.columns), wish.loose, wish.patterns, wish.text)
    rank = int(wish.arguments["rank"])
    if rank >= len(asked):
        raise CannotApply(NO_COLUMN)
    chosen = asked[rank]
    generator = np.random.default_rng((wish.seed, rank))
    return Plan(
        what=f"the values of `{chosen}` in another order", column=chosen, if_nothing=SAME,
        change=_of_columns([chosen], lambda values: generator.permutation(values)),
    )  # fmt: skip


def stir(wish: Wish, _: Sequence[Source]) -> Plan:
    """The values of some columns in another order, and each made larger or smaller, or turned over."""
    chosen = [str(name) for name in wish.arguments["names"]]
    generator = np.random.default_rng(wish.seed)
    signed = not any("weight" in name.lower() for name in chosen)  # a sum of weights has to stay above 0
    change = _of_columns(chosen, lambda values: _stirred(values, generator, FACTORS if signed else FACTORS[:4]))
    return Plan(what=f"other values of {', '.join(f'`{name}`' for name in chosen)}", change=change, if_nothing=SAME)


def _stirred(
    values: np.ndarray[Any, Any], generator: np.random.Generator, factors: Sequence[float]
) -> np.ndarray[Any, Any]:
    values = generator.permutation(values)
    if values.dtype.kind == "b":
        return values ^ (generator.random(values.shape) < 0.5)
    scaled = values * generator.choice(factors, size=values.shape)
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        scaled = np.clip(np.rint(scaled), limits.min // 2, limits.max // 2)
    made: np.ndarray[Any, Any] = scaled.astype(values.dtype)
    return made


def _of_columns(names: Sequence[str], made: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Change:
    """Other values in columns, in which values differ and do not merely number the events."""

    def change(sheet: Sheet) -> Edit | None:
        changed = {}
        for name in names:
            array = sheet.columns.get(name)
            if array is not None and array.numeric and _says_something(array):
                changed[name] = Array(values=made(array.values), offsets=array.offsets)
        return Edit(columns=changed) if changed else None

    return change


def _says_something(array: Array) -> bool:
    values = array.values
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    kinds = len(np.unique(values)) if values.ndim == 1 else 2
    numbers_events = array.offsets is None and values.dtype.kind in "iu" and kinds == len(values)
    return kinds > 1 and not numbers_events


def turn(wish: Wish, sources: Sequence[Source]) -> Plan:
    """The sign of every third weight turned, of weights of both signs."""

    def column_of(sheet: Sheet) -> str | None:
        return weight_of(sheet, wish.names, None, must_be_named=True)

    def change(sheet: Sheet) -> Edit | None:
        column = column_of(sheet)
        if column is None or not (sheet.columns[column].values < 0).any():
            return None
        values = sheet.columns[column].values.copy()
        values[2::3] *= -1
        return Edit(columns={column: Array(values=values)})

    found = [column for source in sources for sheet in wish.events(source) if (column := column_of(sheet))]
    if not found:
        raise CannotApply("no input has a column of weights that the script names")
    listed = ", ".join(f"`{name}`" for name in dict.fromkeys(found))
    what = f"the sign of every third weight ({listed}) turned"
    return Plan(what=what, column=found[0], change=change, if_nothing=UNSIGNED)


_ALL: Mapping[str, Callable[[Wish, Sequence[Source]], Plan]] = {
    **PLANS, "permute_column": permute, "stir_columns": stir, "turned_weights": turn,
}  # fmt: skip
