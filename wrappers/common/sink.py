"""Write a flat table piece by piece, with its provenance, to Parquet or ROOT."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput, replacing

SINKS = (".parquet", ".root")


class Sink:
    """A flat table that grows; as a context manager, the file is there after the block, whole, or not at all.

    A table without rows is written too, with its columns: `types` says which.
    """

    def __init__(
        self, path: Any, types: Mapping[str, Any], provenance: Mapping[str, Any], tree: str = "events"
    ) -> None:
        """Take a path ending in .parquet or .root, and the NumPy type of each column.

        Raises:
            WrongInput: for another suffix.
        """
        self.path, self.tree = str(path), tree
        self.types = {name: np.dtype(kind) for name, kind in types.items()}
        self.provenance = json.dumps(provenance, sort_keys=True)
        check_sink(path)

    def __enter__(self) -> "Sink":
        """Open the file under a hidden name."""
        self._replacing = replacing(self.path)
        partial = self._replacing.__enter__()
        try:
            self._open_parquet(partial) if self.path.endswith(".parquet") else self._open_root(partial)
        except BaseException as error:
            self._replacing.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def _open_parquet(self, partial: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fields = [pa.field(name, pa.from_numpy_dtype(kind)) for name, kind in self.types.items()]
        schema = pa.schema(fields, metadata={"provenance": self.provenance})
        writer = pq.ParquetWriter(partial, schema, compression="zstd")
        self._close = writer.close
        self._extend = lambda columns: writer.write_table(pa.table(columns, schema=schema))

    def _open_root(self, partial: Path) -> None:
        import uproot

        file = uproot.recreate(partial, uuid_function=lambda: uuid.UUID(int=0))
        file["provenance"] = self.provenance
        tree = file.mktree(self.tree, self.types)
        self._close = file.close
        self._extend = tree.extend

    def __exit__(self, *error: Any) -> None:
        """Close the file, and give it its name if all went well."""
        try:
            self._close()
        except BaseException as closing:
            self._replacing.__exit__(type(closing), closing, closing.__traceback__)
            raise
        self._replacing.__exit__(*error)

    def extend(self, columns: Mapping[str, np.ndarray]) -> None:
        """Append rows: an array of shape (n,) for each column."""
        if len(next(iter(columns.values()), ())):
            self._extend({name: np.asarray(columns[name], dtype=kind) for name, kind in self.types.items()})


def check_sink(path: Any) -> None:
    """Raise `WrongInput` unless tables are written to files with this suffix."""
    if Path(str(path)).suffix not in SINKS:
        raise WrongInput(
            f"{path}: tables are written to {' and '.join(SINKS)} files, not to {Path(str(path)).suffix!r}"
        )


def column_types(table: Any, wanted: list[str]) -> dict[str, np.dtype[Any]]:
    """Return the NumPy type of columns of a `Table`, from its first rows.

    Raises:
        WrongInput: for a column that is missing or not one number per row.
    """
    for piece in table.pieces(wanted, rows=1):
        return {name: piece[name].dtype for name in wanted}
    return {name: np.dtype(np.float64) for name in wanted}


def flat_columns(table: Any) -> list[str]:
    """Return the columns of a `Table` that are one number per row, in its order."""
    flat = []
    for name in table.columns:
        for piece in _first(table, name):
            if piece.ndim == 1 and piece.dtype.kind in "biuf":
                flat.append(name)
    return flat if table.entries else list(table.columns)


def _first(table: Any, name: str) -> list[np.ndarray]:
    try:
        return [next(iter(table.pieces([name], rows=1)))[name]]
    except (WrongInput, StopIteration):
        return []
