"""Twins of NumPy's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.blinding import binned
from snakemake_executor_plugin_llmagent.blinding.veil import CannotMask, Totals, Veil, harmless, recomputed
from snakemake_executor_plugin_llmagent.data.contents import Array

Arrays = dict[str, np.ndarray[Any, Any]]


def mask(source: Path, target: Path, veil: Veil) -> None:
    """Write the twin of an archive or of a single array; nothing is ever unpickled.

    Raises:
        CannotMask: it cannot be told what is to be hidden.
    """
    with target.open("wb") as sink:
        if source.suffix.lower() == ".npy":
            np.save(sink, _single(np.load(source, allow_pickle=False), source.stem, veil))
        else:
            with np.load(source, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            np.savez(sink, allow_pickle=False, **masked(arrays, veil))


def _single(array: np.ndarray[Any, Any], stem: str, veil: Veil) -> np.ndarray[Any, Any]:
    if not array.ndim:
        raise CannotMask("it is a single value")
    if veil.everything:
        return array[:0]
    named = {name: array[name] for name in array.dtype.names or ()} or {"array": array, stem: array}
    hidden = hidden_rows(named, veil)
    return array if hidden is None else array[~hidden]


def holds(source: Path, veil: Veil) -> bool:
    """Whether a file has a hidden column.

    Raises:
        CannotMask: it may be a histogram of one.
    """
    loaded = np.load(source, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return bool(veil.windows_of(source.stem, *(loaded.dtype.names or ())))
    with loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    fields = (field for values in arrays.values() for field in values.dtype.names or ())
    if any(veil.windows_of(name) for name in (*arrays, *fields)):
        return True
    if binned.is_plain(arrays):
        raise CannotMask("it is a histogram, and it cannot be told of what")
    return False


def hidden_rows(arrays: Arrays, veil: Veil) -> np.ndarray[Any, Any] | None:
    """Which rows are hidden of the arrays that have them; None if none is a hidden column.

    Raises:
        CannotMask: a hidden column does not hold numbers, or two differ in length.
    """
    hidden: np.ndarray[Any, Any] | None = None
    for name, values in arrays.items():
        if any(veil.windows_of(field) for field in values.dtype.names or ()):
            raise CannotMask(f"its array {name!r} has a hidden column as one of its fields")
        windows = veil.windows_of(name)
        if not windows:
            continue
        if not values.ndim or values.dtype.kind not in "biuf":
            raise CannotMask(f"its array {name!r} does not hold plain numbers")
        rows = veil.hides_rows(windows, Array(values=values))
        if hidden is not None and len(rows) != len(hidden):
            raise CannotMask("its hidden columns differ in length")
        veil.found |= set(windows)
        hidden = rows if hidden is None else hidden | rows
    return hidden


def masked(arrays: Arrays, veil: Veil) -> Arrays:
    """The arrays of an archive without what is hidden: what is neither rows nor bins nor harmless is left out.

    Raises:
        CannotMask: it cannot be told what is to be hidden.
    """
    rows = None if veil.everything else hidden_rows(arrays, veil)
    edges, bins = _bins(arrays, veil, alone=veil.declared and rows is None)
    totals: Totals = [] if rows is None else [(len(rows), int((~rows).sum()))]
    left: Arrays = {}
    for name, values in arrays.items():
        if edges is not None and (
            name in binned.EDGES or (name not in binned.COUNTS and binned.are_places(values, edges))
        ):
            left[name] = values
        elif rows is not None and values.ndim and len(values) == len(rows):
            left[name] = values[~rows]
            if values.ndim == 1 and values.dtype.kind in "iuf":
                totals.append((float(values.sum()), float(left[name].sum())))
        elif bins is not None and values.ndim == 1 and len(values) == len(bins) and values.dtype.kind in "iuf":
            left[name] = np.asarray(binned.emptied(values, bins, totals)).astype(values.dtype)
        elif veil.everything and values.ndim:
            left[name] = values[:0]
    for name, values in arrays.items():
        if name not in left:
            left |= _beside(name, values, totals, veil)
    return {name: left[name] for name in arrays if name in left}


def _bins(
    arrays: Arrays, veil: Veil, *, alone: bool
) -> tuple[np.ndarray[Any, Any] | None, np.ndarray[Any, Any] | None]:
    """Edges and hidden bins of the histogram of an archive that is one."""
    if not binned.is_plain(arrays):
        return None, None
    said = {name: values.item() for name, values in arrays.items() if not values.ndim and values.dtype.kind == "U"}
    histogram = binned.plain_histogram({**arrays, **said}, "")
    return histogram.edges[0], binned.hidden_bins(histogram, veil, alone=alone)


def _beside(name: str, values: np.ndarray[Any, Any], totals: Totals, veil: Veil) -> Arrays:
    """An array that is neither rows nor bins, if it may be shown."""
    if not values.ndim:
        value = values.item()
        if harmless(name, value):
            return {name: values}
        after = recomputed(value, totals)
        if after is not None:
            veil.note(f"array {name!r} is the sum of what is left")
            return {name: np.asarray(after).astype(values.dtype)}
    veil.note(f"array {name!r} is left out")
    return {}
