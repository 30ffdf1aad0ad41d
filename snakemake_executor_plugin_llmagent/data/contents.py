"""The values that readers of whole files give and checks, probes and masks work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


class CannotRead(Exception):
    """A file is of no format that can be read as data, or is damaged; the text says which and why."""


class CannotWrite(Exception):
    """A file cannot be written back in its format with what was changed; the text says why."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Array:
    """One column: a number, truth value or text per entry, or a list of them.

    Attributes:
        values: shape (entries,), or of all lists one after the other; further dimensions for arrays of fixed shape.
        offsets: for lists, where each begins and the last ends, shape (entries + 1,); None without.
    """

    values: np.ndarray[Any, Any]
    offsets: np.ndarray[Any, Any] | None = None

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return len(self.values) if self.offsets is None else len(self.offsets) - 1

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers or truth values."""
        return self.values.dtype.kind in "biuf"

    def numbers(self) -> np.ndarray[Any, Any]:
        """All its numbers in double precision, shape (n,)."""
        return np.asarray(self.values, dtype=np.float64).ravel()

    def take(self, rows: np.ndarray[Any, Any]) -> Array:
        """Some of its entries, in the order of their numbers `rows`."""
        if self.offsets is None:
            return Array(values=self.values[rows])
        starts, counts = self.offsets[:-1][rows], np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
        return Array(values=self.values[places], offsets=offsets)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sheet:
    """Columns of equal length: a tree, a table, the arrays of one length in an archive, a table inside of JSON.

    Attributes:
        name: its key in the file, empty for a file that is one table.
        columns: name → values.
        entries: rows in the file; columns hold the first of them if they were limited.
        opaque: names of columns of kinds that cannot be read (records, unions).
    """

    name: str
    columns: Mapping[str, Array]
    entries: int
    opaque: tuple[str, ...] = ()

    @property
    def shown(self) -> int:
        """How many of its rows the columns hold."""
        return next((array.entries for array in self.columns.values()), self.entries)


@dataclass(frozen=True, eq=False, kw_only=True)
class Histogram:
    """A histogram without its flow bins.

    Attributes:
        name: its key in the file.
        edges: of each axis, shape (bins + 1,).
        values: contents, shape (bins of the first axis, ...).
        variances: of the contents, None if none are stored (then they are the contents).
        labels: of the axes, as far as there are any.
    """

    name: str
    edges: tuple[np.ndarray[Any, Any], ...]
    values: np.ndarray[Any, Any]
    variances: np.ndarray[Any, Any] | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Contents:
    """What a file holds.

    Attributes:
        path: the file.
        format: `root`, `parquet`, `npz`, `npy`, `csv`, `json`, `hdf5`, `image`.
        sheets: tables.
        histograms: histograms, also those that JSON holds in UHI's form or as `bin_edges` and `counts`.
        document: what a JSON or YAML file holds; None for others.
        pixels: of an image, shape (height, width, 3), 0 to 255; None for others.
    """

    path: Path
    format: str
    sheets: tuple[Sheet, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    document: Any = None
    pixels: np.ndarray[Any, Any] | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Edit:
    """What to change of a sheet: first rows are taken, then columns replaced, then some left out.

    Attributes:
        rows: numbers of the rows to keep, in their new order (a number twice: the row twice); None: all.
        columns: name → new values, as many entries as rows are kept.
        drop: names of columns to leave out.
    """

    rows: np.ndarray[Any, Any] | None = None
    columns: Mapping[str, Array] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()

    def applied(self, sheet: Sheet) -> Sheet:
        """The sheet as it is after the change."""
        rows = self.rows
        kept = {
            name: self.columns[name] if name in self.columns else array if rows is None else array.take(rows)
            for name, array in sheet.columns.items()
            if name not in self.drop
        }
        entries = sheet.shown if rows is None else len(rows)
        return Sheet(name=sheet.name, columns=kept, entries=entries, opaque=sheet.opaque)
