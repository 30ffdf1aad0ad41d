"""Twins of JSON and YAML: tables and histograms wherever they lie, and no other number that could be a count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.blinding import binned
from snakemake_executor_plugin_llmagent.blinding.veil import CannotMask, Totals, Veil, harmless, recomputed
from snakemake_executor_plugin_llmagent.data.contents import Histogram


@dataclass(frozen=True, kw_only=True)
class _Value:
    """A value beside hidden data, which is decided upon when all totals are known."""

    holder: Any
    key: Any
    place: str
    edges: np.ndarray[Any, Any] | None = None


class Document:
    """Takes out of a document what is hidden.

    Rows and bins go as in other files. Of single values those stay that say nothing of what was counted; a value that
    is the sum of something hidden becomes the sum of what is left; any other becomes null.
    """

    def __init__(self, veil: Veil) -> None:
        """Hide what a veil says."""
        self._veil = veil
        self._totals: Totals = []
        self._values: list[_Value] = []
        self._alone = False

    def masked(self, document: Any) -> Any:
        """The document without what is hidden; the given one stays as it is.

        Raises:
            CannotMask: it cannot be told what is to be hidden.
        """
        histograms = list(histograms_of(document))
        self._alone = self._veil.declared and len(histograms) == 1 and not has_column(document, self._veil)
        holder = {"": self._walk(document, "")}
        if not isinstance(document, dict | list):
            self._values.append(_Value(holder=holder, key="", place=""))
        for value in self._values:
            self._decide(value)
        return holder[""]

    # --- walking --------------------------------------------------------------------------------------------------

    def _walk(self, found: Any, place: str) -> Any:
        if isinstance(found, dict):
            if binned.is_uhi(found):
                return self._uhi(found, place)
            if binned.is_plain(found):
                return self._plain(found, place)
            rows = _columns(found, self._veil)
            return self._mapping(found, place) if not rows else self._columns(found, place, rows)
        if isinstance(found, list):
            records = bool(found) and all(isinstance(entry, dict) for entry in found)
            if records and (self._veil.everything or any(_row(entry, self._veil) for entry in found)):
                return self._records(found, place)
            return self._list(found, place)
        return found

    def _mapping(self, found: dict[str, Any], place: str) -> dict[str, Any]:
        left: dict[str, Any] = {}
        for key, value in found.items():
            here = _below(place, key)
            if isinstance(value, dict) and any(not isinstance(value[name], list) for name in _row(value, self._veil)):
                if not self._hidden_row(value):
                    left[key] = value
                continue
            left[key] = self._walk(value, here)
            if not isinstance(value, dict | list):
                self._values.append(_Value(holder=left, key=key, place=here))
        return left

    def _list(self, found: list[Any], place: str) -> Any:
        left = [self._walk(entry, f"{place}[{number}]") for number, entry in enumerate(found)]
        shown = all(isinstance(entry, dict | list) or harmless("", entry) for entry in found)
        if not shown:
            self._veil.note(f"the list `{place}` is null")
            return None
        return left

    # --- rows -----------------------------------------------------------------------------------------------------

    def _records(self, found: list[dict[str, Any]], place: str) -> list[dict[str, Any]]:
        rows = [entry for entry in found if _row(entry, self._veil)]
        if len(rows) < len(found) and not self._veil.everything:
            self._veil.note(f"entries of `{place}` that lack a hidden column are left out")
        kept = [] if self._veil.everything else [entry for entry in rows if not self._hidden_row(entry)]
        self._totals.append((len(found), len(kept)))
        for key in {key for entry in found for key in entry}:
            self._totals.append((_sum(found, key), _sum(kept, key)))
        return kept

    def _hidden_row(self, entry: dict[str, Any]) -> bool:
        names = _row(entry, self._veil)
        self._veil.found |= {window for windows in names.values() for window in windows}
        return any(self._veil.hides(windows, _numbers(key, entry[key])).any() for key, windows in names.items())

    def _columns(self, found: dict[str, Any], place: str, rows: int) -> dict[str, Any]:
        """A mapping of columns: rows go from all lists as long as a hidden column, the rest is looked into."""
        hidden = np.full(rows, self._veil.everything)
        for key, value in found.items():
            windows = self._veil.windows_of(str(key)) if isinstance(value, list) and len(value) == rows else []
            self._veil.found |= set(windows)
            for number, entry in enumerate(value if windows else ()):
                hidden[number] |= self._veil.hides(windows, _numbers(key, entry)).any()
        self._totals.append((rows, int((~hidden).sum())))
        rest = {key: value for key, value in found.items() if not isinstance(value, list) or len(value) != rows}
        others = self._mapping(rest, place)
        for key in [key for key in found if key not in rest]:
            others[key] = [entry for entry, gone in zip(found[key], hidden, strict=True) if not gone]
            self._totals.append((_sum(found[key]), _sum(others[key])))
        return {key: others[key] for key in found if key in others}

    # --- bins -----------------------------------------------------------------------------------------------------

    def _plain(self, found: dict[str, Any], place: str) -> dict[str, Any]:
        histogram = binned.plain_histogram(found, place.replace(".", "/"))
        edges = histogram.edges[0]
        hidden = binned.hidden_bins(histogram, self._veil, alone=self._alone)
        left: dict[str, Any] = {}
        for key, value in found.items():
            here = _below(place, key)
            place_of_bins = key not in binned.COUNTS and binned.are_places(value, edges)
            bounds = isinstance(value, list) and binned.is_range(key, value, edges)
            if key in binned.EDGES or place_of_bins or bounds:
                left[key] = value
            elif binned.are_numbers(value) and len(value) == len(hidden):
                left[key] = binned.emptied(value, hidden, self._totals)
            else:
                left[key] = self._walk(value, here)
                if not isinstance(value, dict | list):
                    self._values.append(_Value(holder=left, key=key, place=here, edges=edges))
        return left

    def _uhi(self, found: dict[str, Any], place: str) -> dict[str, Any]:
        histogram = binned.uhi_histogram(found, place.replace(".", "/"))
        flow = [(bool(axis.get("underflow")), bool(axis.get("overflow"))) for axis in found["axes"]]
        whole = binned.hidden_bins(histogram, self._veil, alone=self._alone, flow=flow)
        inner = whole[tuple(slice(int(u), -1 if o else None) for u, o in flow)]
        storage: dict[str, Any] = {}
        for key, value in found["storage"].items():
            if not isinstance(value, list):
                storage[key] = value if harmless(str(key), value) else None
                continue
            hidden = next((each for each in (whole, inner) if each.shape == np.shape(value)), None)
            if hidden is None:
                raise CannotMask(f"`{_below(place, 'storage')}.{key}` does not have the shape of its axes")
            storage[key] = binned.emptied(value, hidden, self._totals)
        rest = {key: value for key, value in found.items() if key not in ("axes", "storage")}
        left = self._mapping(rest, place)
        axes = [self._axis(axis, _below(place, "axes")) for axis in found["axes"]]
        whole_again: dict[str, Any] = {**left, "axes": axes, "storage": storage}
        return {key: whole_again[key] for key in found if key in whole_again}

    def _axis(self, axis: dict[str, Any], place: str) -> dict[str, Any]:
        told = axis.get("metadata")
        return {**axis, "metadata": self._mapping(told, place)} if isinstance(told, dict) else axis

    # --- single values ----------------------------------------------------------------------------------------------

    def _decide(self, value: _Value) -> None:
        found = value.holder[value.key]
        if harmless(str(value.key), found):
            return
        if value.edges is not None and binned.is_range(str(value.key), found, value.edges):
            return
        after = recomputed(found, self._totals)
        if after is None:
            value.holder[value.key] = None
            self._veil.note(f"`{value.place}` is null")
            return
        value.holder[value.key] = int(after) if isinstance(found, int) and float(after).is_integer() else after
        self._veil.note(f"`{value.place}` is the sum of what is left")


def histograms_of(found: Any, place: str = "") -> Iterator[Histogram]:
    """The histograms of a document, wherever they lie."""
    if isinstance(found, dict):
        if binned.is_uhi(found):
            yield binned.uhi_histogram(found, place)
        elif binned.is_plain(found):
            yield binned.plain_histogram(found, place)
        else:
            for key, value in found.items():
                yield from histograms_of(value, f"{place}/{key}" if place else str(key))
    elif isinstance(found, list):
        for value in found:
            yield from histograms_of(value, place)


def has_column(found: Any, veil: Veil) -> bool:
    """Whether a hidden column is a key anywhere in a document."""
    if isinstance(found, dict):
        return any(veil.windows_of(str(key)) or has_column(value, veil) for key, value in found.items())
    return isinstance(found, list) and any(has_column(value, veil) for value in found)


def mentions(found: Any, veil: Veil) -> bool:
    """Whether a hidden column is a key or a text anywhere in a document: columns may be named in a list."""
    if isinstance(found, dict):
        return any(veil.windows_of(str(key)) or mentions(value, veil) for key, value in found.items())
    if isinstance(found, list):
        return any(mentions(value, veil) for value in found)
    return isinstance(found, str) and bool(veil.windows_of(found))


def _columns(found: dict[str, Any], veil: Veil) -> int:
    """How many rows the columns of a mapping have; 0 if it is none with a hidden column."""
    lists = {key: value for key, value in found.items() if isinstance(value, list) and value}
    if veil.everything:
        lengths = {len(value) for value in lists.values()}
        return lengths.pop() if len(lists) == len(found) > 1 and len(lengths) == 1 else 0
    return next((len(value) for key, value in lists.items() if veil.windows_of(str(key))), 0)


def _row(entry: dict[str, Any], veil: Veil) -> dict[str, list[str]]:
    """The hidden columns of which a mapping holds one entry: key → windows."""
    found = {key: veil.windows_of(str(key)) for key, value in entry.items() if not isinstance(value, dict)}
    return {key: windows for key, windows in found.items() if windows}


def _numbers(key: object, value: object) -> np.ndarray[Any, Any]:
    try:
        return np.asarray([] if value is None else value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise CannotMask(f"`{key}` does not hold plain numbers everywhere") from None


def _sum(entries: list[Any], key: str | None = None) -> float:
    values = entries if key is None else [entry.get(key) for entry in entries]
    return float(sum(value for value in values if isinstance(value, int | float) and not isinstance(value, bool)))


def _below(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)
