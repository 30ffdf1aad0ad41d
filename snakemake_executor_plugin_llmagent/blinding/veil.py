"""What is hidden of one file, and which names mean a hidden column."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array

_UNIT = re.compile(r"\s*[\[(][^\[\]()]*[\])]\s*$")
_TOKEN = re.compile(r"[^0-9a-z]+")
_DECORATION = frozenset({"h", "h1", "th1", "hist", "histo", "histogram", "data"})
_HARMLESS = re.compile(
    r"(int(egrated)?_?)?lumi(nosity)?(_|$)|collision_energy|beam_energy|sqrt_?s(_|$)|ecm(_|$)|year$|.*version$|"
    r"n?_?bins$|nbins$|units?$|uhi_schema$|name$|label$|title$|quantity$|observable$|variable$|[xyz]_?label$|type$"
)
"""Keys whose values say nothing of what was counted, in lower case."""


class CannotMask(Exception):
    """A file cannot be shown with something hidden; the text says why, without values of the file."""


@dataclass(kw_only=True)
class Veil:
    """What is hidden of one file.

    Attributes:
        windows: column → range [low, high) that is hidden.
        everything: whether all rows and counts are hidden.
        declared: whether the rule says that the file is data; then something has to be found in it.
        found: names of the windows that the file has.
        notes: what else is not as in the file itself, in words for whoever works with the twin.
    """

    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    everything: bool = False
    declared: bool = True
    found: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def windows_of(self, *names: str) -> list[str]:
        """The windows of a column, given by the names it goes by."""
        return [window for window in self.windows if any(same(name, window) for name in names)]

    def windows_of_axis(self, label: str, name: str = "") -> list[str]:
        """The windows of an axis, given by its label and, for a histogram of one axis, by the histogram's name."""
        tokens = [token for token in _tokens(name.rpartition("/")[2]) if token not in _DECORATION]
        return [w for w in self.windows if (label and same(label, w)) or (tokens and tokens == _tokens(w))]

    def hides(self, windows: Iterable[str], values: np.ndarray[Any, Any] | Sequence[float]) -> np.ndarray[Any, Any]:
        """Which numbers lie in any of the windows."""
        numbers = np.asarray(values, dtype=np.float64)
        hidden: np.ndarray[Any, Any] = np.zeros(numbers.shape, dtype=bool)
        for low, high in (self.windows[window] for window in windows):
            hidden = np.logical_or(hidden, (numbers >= low) & (numbers < high))
        return hidden

    def hides_bins(self, windows: Iterable[str], edges: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Which bins overlap any of the windows."""
        hidden = np.zeros(len(edges) - 1, dtype=bool)
        for low, high in (self.windows[window] for window in windows):
            hidden |= (edges[1:] > low) & (edges[:-1] < high)
        return hidden

    def hides_rows(self, windows: Iterable[str], array: Array) -> np.ndarray[Any, Any]:
        """Which entries of a column have a number in any of the windows; of a list one is enough."""
        within = self.hides(windows, array.values)
        within = np.asarray(within.any(axis=tuple(range(1, within.ndim))))
        if array.offsets is None:
            return within
        entry = np.repeat(np.arange(array.entries), np.diff(array.offsets))
        hidden = np.zeros(array.entries, dtype=bool)
        hidden[entry[within]] = True
        return hidden

    def note(self, text: str) -> None:
        """Say once that something differs."""
        if text not in self.notes:
            self.notes.append(text)


def same(name: str, column: str) -> bool:
    """Whether two names mean one column: without regard to case and to a unit in brackets at the end."""
    return _bare(name) == _bare(column)


def _bare(name: str) -> str:
    return (_UNIT.sub("", name) or name).strip().casefold()


def _tokens(name: str) -> list[str]:
    return [token for token in _TOKEN.split(_bare(name)) if token]


def harmless(key: str, value: object) -> bool:
    """Whether a single value beside hidden data may be shown: no number and no digits, or said under a known key."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str) and not any(character.isdigit() for character in value):
        return True
    return _HARMLESS.match(key.casefold()) is not None


Totals = list[tuple[float, float]]
"""Sums and numbers of rows before and after something was hidden."""


def recomputed(value: object, totals: Totals) -> float | None:
    """What a total is once something is hidden; None if the value is clearly none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    after = {new for old, new in totals if math.isclose(old, value, rel_tol=1e-9)}
    return after.pop() if len(after) == 1 else None
