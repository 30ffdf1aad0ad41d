"""Histograms in documents and archives: which lists are counts, which are places, and what is left of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from snakemake_executor_plugin_llmagent.blinding.veil import CannotMask, Totals, Veil
from snakemake_executor_plugin_llmagent.data.contents import Histogram

EDGES, COUNTS = ("bin_edges", "edges"), ("counts", "contents", "values")
SAID = ("quantity", "observable", "variable", "column", "axis", "xlabel", "x_label", "label", "name", "title")
"""Keys under which a document says what its histogram is of."""
_RANGE = re.compile(r"low|high|upp|min|max|start|stop|begin|end|width|range|limits|edge|step|from|(^|_)to($|_)")


def first(found: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of some keys that a mapping has; empty if it has none."""
    return next((name for name in names if name in found), "")


def is_plain(found: Mapping[str, Any]) -> bool:
    """Whether a mapping holds edges and as many counts less one."""
    edges, counts = found.get(first(found, EDGES)), found.get(first(found, COUNTS))
    return are_numbers(edges) and are_numbers(counts) and len(edges) == len(counts) + 1


def is_uhi(found: Mapping[str, Any]) -> bool:
    """Whether a mapping is a histogram in UHI's form."""
    return isinstance(found.get("axes"), list) and isinstance(found.get("storage"), dict)


def are_numbers(values: object) -> TypeGuard[Sequence[float]]:
    """Whether something is a list of numbers, or an array of one dimension."""
    if isinstance(values, np.ndarray):
        return values.ndim == 1 and values.dtype.kind in "iuf"
    return isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )


def plain_histogram(found: Mapping[str, Any], place: str) -> Histogram:
    """The histogram that a mapping with edges and counts is, named by its place."""
    said = [str(found[key]) for key in SAID if isinstance(found.get(key), str)]
    edges = np.asarray(found[first(found, EDGES)], dtype=float)
    counts = np.asarray(found[first(found, COUNTS)], dtype=float)
    return Histogram(name=place, edges=(edges,), values=counts, labels=tuple(said[:1]))


def uhi_histogram(found: Mapping[str, Any], place: str) -> Histogram:
    """The axes of a histogram in UHI's form, with zeros for its bins.

    Raises:
        CannotMask: it has axes of no known kind.
    """
    try:
        edges = tuple(_axis(axis) for axis in found["axes"])
    except (KeyError, TypeError, ValueError):
        raise CannotMask(f"the axes of its histogram {place!r} are of no known kind") from None
    labels = tuple(_label(axis) for axis in found["axes"])
    return Histogram(name=place, edges=edges, values=np.zeros([len(each) - 1 for each in edges]), labels=labels)


def _axis(axis: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    if "edges" in axis:
        return np.asarray(axis["edges"], dtype=float)
    if "categories" in axis:
        return np.arange(len(axis["categories"]) + 1.0)
    return np.linspace(float(axis["lower"]), float(axis["upper"]), int(axis["bins"]) + 1)


def _label(axis: Mapping[str, Any]) -> str:
    metadata = axis.get("metadata")
    told = {**(metadata if isinstance(metadata, dict) else {}), **axis}
    return next((str(told[key]) for key in ("name", "label", "title") if isinstance(told.get(key), str)), "")


def axis_windows(histogram: Histogram, veil: Veil, *, alone: bool) -> list[list[str]]:
    """For each axis the windows that lie on it.

    Args:
        histogram: the histogram.
        veil: what is hidden.
        alone: whether it is all that the file holds; then its only axis is that of the hidden column.
    """
    single = len(histogram.edges) == 1
    labels = [*histogram.labels, *[""] * len(histogram.edges)]
    found = [veil.windows_of_axis(label, histogram.name if single else "") for label in labels[: len(histogram.edges)]]
    if single and alone and not found[0] and len(veil.windows) == 1:
        found = [[window for window in veil.windows if veil.hides_bins([window], histogram.edges[0]).any()]]
    veil.found |= {window for windows in found for window in windows}
    return found


def hidden_bins(
    histogram: Histogram, veil: Veil, *, alone: bool, flow: list[tuple[bool, bool]] | None = None
) -> np.ndarray[Any, Any]:
    """Which bins are hidden: those that overlap a window, or all if no axis is one of a hidden column.

    Args:
        histogram: the histogram.
        veil: what is hidden.
        alone: whether it is all that the file holds.
        flow: for each axis, whether there are bins below and above it; None: nowhere.
    """
    windows = [] if veil.everything else axis_windows(histogram, veil, alone=alone)
    masks = []
    for number, edges in enumerate(histogram.edges):
        here = windows[number] if windows else []
        below, above = flow[number] if flow else (False, False)
        under = [any(veil.windows[window][0] < edges[0] for window in here)] if below else []
        over = [any(veil.windows[window][1] > edges[-1] for window in here)] if above else []
        masks.append(np.concatenate([under, veil.hides_bins(here, edges), over]).astype(bool))
    if not any(windows):
        if not veil.everything:
            veil.note(f"histogram {histogram.name!r} is empty, because none of its axes is one of a hidden column")
        return np.ones([len(mask) for mask in masks], dtype=bool)
    hidden = np.zeros([len(mask) for mask in masks], dtype=bool)
    for number, mask in enumerate(masks):
        hidden |= mask.reshape([-1 if axis == number else 1 for axis in range(len(masks))])
    return hidden


def emptied(values: object, hidden: np.ndarray[Any, Any], totals: Totals) -> Any:
    """Contents of bins without the hidden ones, as nested lists; notes their sum."""
    numbers = np.asarray(values, dtype=float)
    after = np.where(hidden, 0.0, numbers)
    totals.append((float(numbers.sum()), float(after.sum())))
    whole = np.asarray(values).dtype.kind in "iu"
    return (after.astype(np.int64) if whole else after).tolist()


def are_places(values: object, edges: np.ndarray[Any, Any]) -> bool:
    """Whether a list, one number for each bin or edge, says where the bins are, and not what is in them."""
    if not are_numbers(values) or len(values) not in (len(edges), len(edges) - 1):
        return False
    known = (edges, edges[1:], edges[:-1], 0.5 * (edges[1:] + edges[:-1]), np.diff(edges), 0.5 * np.diff(edges))
    return any(len(each) == len(values) and np.allclose(values, each, rtol=1e-9, atol=0) for each in known)


def is_range(key: str, value: object, edges: np.ndarray[Any, Any]) -> bool:
    """Whether a number, or a list of a few, is said to be a bound or a width, and is one."""
    numbers = value if are_numbers(value) else [value]
    if not are_numbers(numbers) or _RANGE.search(key.casefold()) is None:
        return False
    known = np.concatenate([edges, np.diff(edges)])
    return all(bool(np.isclose(known, number, rtol=1e-9, atol=0).any()) for number in numbers)
