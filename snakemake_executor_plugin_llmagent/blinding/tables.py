"""Twins of ROOT and Parquet files: rows taken out of tables, bins of histograms emptied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.blinding.binned import axis_windows, hidden_bins
from snakemake_executor_plugin_llmagent.blinding.veil import CannotMask, Veil
from snakemake_executor_plugin_llmagent.data import rootfile
from snakemake_executor_plugin_llmagent.data.contents import Array, Contents, Edit, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import format_of, load, rewrite

FOLDERS = ("TDirectory", "TDirectoryFile")


def mask(source: Path, target: Path, veil: Veil) -> None:
    """Write the twin of a file.

    Raises:
        CannotMask: it cannot be told what is to be hidden, or not all of it can be.
        CannotRead, CannotWrite: from reading and writing.
    """
    contents = load(source)
    cover = Cover(contents, veil)
    if format_of(source) == "root":
        _prove_root(source, contents, cover)
    rewrite(source, target, cover.change, cover.rebin)


def _prove_root(source: Path, contents: Contents, cover: Cover) -> None:
    """See that a ROOT file has nothing that would be copied as it is: other objects, counts beyond an axis.

    Raises:
        CannotMask: it has.
    """
    _prove_plain(source)
    with rootfile._open(source) as file:
        for histogram in contents.histograms:
            if len(histogram.edges) == 1 and cover.beyond(histogram):
                flow = np.asarray(file[histogram.name].values(flow=True))
                if flow[0] or flow[-1]:
                    raise CannotMask(f"histogram {histogram.name!r} counts what lies beyond its axis")


def _prove_plain(source: Path) -> None:
    """See that a ROOT file holds nothing but trees and histograms.

    Raises:
        CannotMask: it does.
    """
    with rootfile._open(source) as file:
        kinds: Mapping[str, str] = file.classnames(cycle=False)
    known = (*rootfile.TREES, *FOLDERS)
    others = [f"{n!r} ({k})" for n, k in kinds.items() if k not in known and not k.startswith(rootfile.HISTOGRAMS)]
    if others:
        raise CannotMask(f"it has objects into which we cannot look: {', '.join(others[:5])}")


class Cover:
    """Decides for each table and histogram of a file what is left of it."""

    def __init__(self, contents: Contents, veil: Veil) -> None:
        """Look at the whole file."""
        self._veil = veil
        self._rows = {sheet.name: hidden for sheet in contents.sheets if (hidden := _hidden(sheet, veil)) is not None}
        lengths = Counter(len(hidden) for hidden in self._rows.values())
        self._friends = {len(h): h for h in self._rows.values() if lengths[len(h)] == 1}
        self._alone = len(contents.histograms) == 1 and not self._rows and veil.declared

    def change(self, sheet: Sheet) -> Edit:
        """The rows that are left of a table.

        Another table with as many rows belongs to the same events; of any other it cannot be told what it would give
        away, so that nothing is left.
        """
        hidden = self._rows.get(sheet.name)
        if hidden is None and not self._veil.everything:
            hidden = self._friends.get(sheet.entries)
        if hidden is None or self._veil.everything:
            if not self._veil.everything:
                self._veil.note(f"table {sheet.name!r} has no rows, because it has no hidden column")
            return _left(sheet, np.zeros(0, dtype=np.int64))
        return _left(sheet, np.flatnonzero(~hidden))

    def rebin(self, histogram: Histogram) -> Histogram:
        """What is left of a histogram: nothing if it is one of something else."""
        hidden = hidden_bins(histogram, self._veil, alone=self._alone)
        variances = None if histogram.variances is None else np.where(hidden, 0.0, histogram.variances)
        return replace(histogram, values=np.where(hidden, 0.0, histogram.values), variances=variances)

    def beyond(self, histogram: Histogram) -> bool:
        """Whether counts below and above the axis of a histogram would give something away."""
        windows = [] if self._veil.everything else axis_windows(histogram, self._veil, alone=self._alone)
        edges = histogram.edges[0]
        bounds = [self._veil.windows[window] for window in (windows[0] if windows else ())]
        return not bounds or any(low < edges[0] or high > edges[-1] for low, high in bounds)


def _hidden(sheet: Sheet, veil: Veil) -> np.ndarray[Any, Any] | None:
    """Which rows of a table are hidden; None if it has no hidden column."""
    found: list[np.ndarray[Any, Any]] = []
    for name in (*sheet.columns, *sheet.opaque):
        windows = veil.windows_of(name, f"{sheet.name}/{name}")
        if not windows:
            continue
        array = sheet.columns.get(name)
        if array is None or not array.numeric:
            raise CannotMask(f"its column {name!r} does not hold plain numbers")
        veil.found |= set(windows)
        found.append(veil.hides_rows(windows, array))
    return np.logical_or.reduce(found) if found else None


def _left(sheet: Sheet, rows: np.ndarray[Any, Any]) -> Edit:
    """The rows that are kept, with columns made anew: what a file keeps of categories may be those of hidden rows."""
    whole = {name: array for name, array in sheet.columns.items() if _plain(array)}
    return Edit(rows=rows, columns={name: array.take(rows) for name, array in whole.items()})


def _plain(array: Array) -> bool:
    """Whether a column can be written from its values; one with missing numbers is better copied."""
    if array.offsets is not None or array.values.ndim != 1:
        return False
    kind = array.values.dtype.kind
    return kind in "OUSbiu" or (kind == "f" and not np.isnan(array.values).any())


def holds(source: Path, veil: Veil) -> bool:
    """Whether a file has a hidden column.

    Raises:
        CannotMask: that cannot be told.
    """
    contents = load(source, limit=1)
    columns = [(name, f"{s.name}/{name}") for s in contents.sheets for name in (*s.columns, *s.opaque)]
    if any(veil.windows_of(*names) for names in columns):
        return True
    if format_of(source) == "root":
        _prove_plain(source)
    opaque = [name for sheet in contents.sheets for name in sheet.opaque]
    # Columns of a text may be separated by blanks.
    opaque += [names[0] for names in columns if format_of(source) == "csv" and len(names[0].split()) > 1]
    if opaque:
        raise CannotMask(f"it has columns into which we cannot look: {', '.join(opaque[:5])}")
    return bool(contents.histograms) and holds_any(contents.histograms, veil)


def holds_any(histograms: Sequence[Histogram], veil: Veil) -> bool:
    """Whether any of some histograms is one of a hidden column.

    Raises:
        CannotMask: it cannot be told, because none is seen to be.
    """
    if any(_of_hidden(histogram, veil) for histogram in histograms):
        return True
    raise CannotMask(f"it has histograms ({_named(histograms)}), and none is seen to be of a hidden column")


def _of_hidden(histogram: Histogram, veil: Veil) -> bool:
    labels = histogram.labels or ("",)
    name = histogram.name if len(histogram.edges) == 1 else ""
    return any(veil.windows_of_axis(label, name) for label in labels)


def _named(histograms: Sequence[Histogram], most: int = 5) -> str:
    names = [histogram.name or "without a name" for histogram in histograms[:most]]
    return ", ".join(names) + (", …" if len(histograms) > most else "")
