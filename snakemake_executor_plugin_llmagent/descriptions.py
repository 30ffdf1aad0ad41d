"""What a file holds: the values that `formats` finds, `context` shows and `checks` judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Column:
    """One named array in a file: a branch, a column, a dataset, a field, an axis.

    Attributes:
        name: its name in the file.
        type: as a person of the field writes it, such as `float32`, `var * float32`, `list<int64>`, `string`.
        title: free text stored with it, if any (it often carries the unit).
        unit: the unit, if the file states one (title such as `pt [GeV]`, Parquet or HDF5 metadata).
        minimum, maximum, mean: over the finite values that were looked at; None where there are none.
        n_values: how many numbers were looked at (jagged contents counted one by one).
        n_nonfinite: how many of them were NaN or infinite.
        n_distinct_capped: number of different values among them, at most 3 (so 1 means constant).
        per_entry: for jagged columns, fewest and most values per entry that were looked at.
        examples: a few values as text, for strings and categories.
    """

    name: str
    type: str
    title: str | None = None
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    n_values: int = 0
    n_nonfinite: int = 0
    n_distinct_capped: int = 0
    per_entry: tuple[int, int] | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """One object in a file: a tree, a histogram, a table, an array, an image.

    Attributes:
        name: its key in the file, `""` for a file that is one table.
        kind: `TTree`, `RNTuple`, `TH1D`, `table`, `array`, `image`, `mapping`, …
        entries: rows, or None where that has no meaning.
        columns: its arrays.
        looked_at: how many entries the ranges were taken from; equal to `entries` if all.
        note: one line more, such as an image's size, a histogram's axis or what was left out.
    """

    name: str
    kind: str
    entries: int | None = None
    columns: tuple[Column, ...] = ()
    looked_at: int = 0
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class FileDescription:
    """What a file holds, found by looking at as little of it as possible.

    Attributes:
        path: the file.
        format: `root`, `parquet`, `npz`, `hdf5`, `json`, `yaml`, `csv`, `text`, `image`, `directory`, `binary`.
        size_bytes: size on disk [bytes].
        tables: its objects.
        excerpt: a piece of it as text, for text, JSON and YAML.
        opened: True if it opened in its format, False if it did not, None if nothing here can read that format.
        problem: why it did not open, or which package is missing.
    """

    path: Path
    format: str
    size_bytes: int
    tables: tuple[Table, ...] = ()
    excerpt: str | None = None
    opened: bool | None = True
    problem: str | None = None
