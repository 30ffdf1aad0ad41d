"""Lists per event as flat NumPy arrays with the length of each list, and the order of their entries."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput
from wrappers.common.operations import as_lists, depth


def unpacked(arrays: Mapping[str, Any], names: Iterable[str], *, of: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the lengths of lists, shape (events,), and their entries one after another, shape (all entries,).

    Args:
        arrays: columns by name.
        names: columns that have one list per event, all of the same length in an event.
        of: the input, for error messages.

    Raises:
        WrongInput: if a column is no list of numbers, has missing values, or if lengths differ.
    """
    import awkward as ak

    lengths: np.ndarray | None = None
    flat: dict[str, np.ndarray] = {}
    of_first = ""
    for name in names:
        column = as_lists(arrays[name])
        if depth(column) != 2:
            what = "one value per event" if depth(column) < 2 else "a list of lists per event"
            raise WrongInput(f"{of}: {name!r} is {what}, where one list of numbers per event is needed")
        own = np.asarray(ak.num(column))
        if lengths is None:
            lengths, of_first = own, name
        elif not np.array_equal(own, lengths):
            event = int(np.flatnonzero(own != lengths)[0])
            raise WrongInput(
                f"{of}: {name!r} has {own[event]} entries where {of_first!r} has {lengths[event]}: "
                "they are not of the same objects"
            )
        flat[name] = _numbers(ak.flatten(column), name, of)
    return (np.empty(0, dtype=np.int64) if lengths is None else lengths), flat


def _numbers(values: Any, name: str, of: str) -> np.ndarray:
    import awkward as ak

    try:
        array = np.asarray(ak.to_numpy(values, allow_missing=False))
    except ValueError:
        raise WrongInput(f"{of}: {name!r} has missing values inside its lists") from None
    if array.dtype.kind not in "biuf":
        raise WrongInput(f"{of}: {name!r} is not a list of numbers ({array.dtype})")
    return array


def starts(lengths: np.ndarray) -> np.ndarray:
    """Return where the list of each event begins among all entries, and last where all end: shape (events + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def descending(values: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
    """Return the places of all entries such that in each event they fall; equal ones keep their order, NaN come last.

    Args:
        values: entries one after another, shape (all entries,).
        lengths: of the lists, shape (events,).

    Returns:
        Indices into `values`, event by event, or None if they lie in this order already.
    """
    if len(values) < 2:
        return None
    offsets = starts(lengths)
    falls = values[1:] <= values[:-1]
    borders = offsets[1:-1]
    falls[borders[(borders > 0) & (borders < len(values))] - 1] = True
    if falls.all():
        return None
    event = np.repeat(np.arange(len(lengths)), lengths)
    order: np.ndarray = np.lexsort((-values.astype(np.float64), event))
    return order
