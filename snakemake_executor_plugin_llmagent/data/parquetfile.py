"""Parquet files as tables of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotWrite, Contents, Sheet
from snakemake_executor_plugin_llmagent.data.load import Change


def load(path: Path, limit: int | None) -> Contents:
    """Read a table, or its first rows."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        total = file.metadata.num_rows
        table = file.read() if limit is None or limit >= total else _first(file, limit)
    return Contents(path=path, format="parquet", sheets=(_sheet(table, total),))


def _first(file: Any, limit: int) -> Any:
    import pyarrow as pa

    batches, seen = [], 0
    for batch in file.iter_batches(batch_size=min(limit, 65_536)) if limit else ():
        batches.append(batch.slice(0, limit - seen))
        seen += len(batches[-1])
        if seen >= limit:
            break
    return pa.Table.from_batches(batches, schema=file.schema_arrow)


def _sheet(table: Any, total: int) -> Sheet:
    columns: dict[str, Array] = {}
    opaque = []
    for name in table.column_names:
        array = _array(table.column(name))
        if array is None:
            opaque.append(name)
        else:
            columns[name] = array
    return Sheet(name="", columns=columns, entries=total, opaque=tuple(opaque))


def _array(column: Any) -> Array | None:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        whole = column.combine_chunks()
        whole = whole if not isinstance(whole, pa.ChunkedArray) else pa.concat_arrays(whole.chunks)
        if pa.types.is_nested(kind.value_type):
            return None
        offsets = np.concatenate([[0], np.cumsum(np.nan_to_num(np.asarray(_lengths(whole), dtype=float)))])
        return Array(
            values=np.asarray(whole.flatten().to_numpy(zero_copy_only=False)), offsets=offsets.astype(np.int64)
        )
    if pa.types.is_nested(kind):
        return None
    return Array(values=np.asarray(column.to_numpy()))


def _lengths(whole: Any) -> Any:
    import pyarrow.compute as pc

    return pc.list_value_length(whole).to_numpy(zero_copy_only=False)


def rewrite(source: Path, target: Path, change: Change, limit: int | None) -> tuple[str, ...]:
    """Write the table again, altered; schema, metadata and compression stay."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        total = file.metadata.num_rows
        table = file.read() if limit is None or limit >= total else _first(file, limit)
        compression = _compression(file.metadata)
    edit = change(_sheet(table, total))
    if edit is not None:
        if edit.rows is not None:
            table = table.take(edit.rows)
        for name, array in edit.columns.items():
            place = table.column_names.index(name)
            field, nulls = table.schema.field(place), table.column(place).null_count > 0
            table = table.set_column(place, field, _column(array, field.type, nulls))
        table = table.drop_columns([name for name in table.column_names if name in edit.drop])
    pq.write_table(table, target, compression=compression)
    return () if edit is None else ("table",)


def _compression(metadata: Any) -> str:
    if not metadata.num_row_groups or not metadata.num_columns:
        return "snappy"
    used = str(metadata.row_group(0).column(0).compression).lower()
    return "none" if used == "uncompressed" else used


def _column(array: Array, kind: Any, nulls: bool) -> Any:
    """An array of Arrow; in a column with nulls, what is no number is null, as it was when the column was read."""
    import pyarrow as pa

    if array.offsets is None:
        return pa.array(array.values, from_pandas=nulls).cast(kind, safe=False)
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise CannotWrite(f"lists cannot be written into a column of {kind}")
    whole = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    values = pa.array(array.values, from_pandas=nulls).cast(kind.value_type, safe=False)
    return whole.from_arrays(array.offsets.astype("int64" if pa.types.is_large_list(kind) else "int32"), values)
