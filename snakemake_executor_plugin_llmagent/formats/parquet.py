"""Parquet: metadata, row-group statistics and a slice of the first row group."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.formats.contents import Contents, Unreadable, need
from snakemake_executor_plugin_llmagent.formats.numbers import bare_column, column
from snakemake_executor_plugin_llmagent.protocols import Column, Table

MOST_ROWS = 10_000
MOST_COLUMNS = 2000
MOST_RANGED = 200
"""How many columns are looked into."""
MOST_BYTES = 64 * 1024 * 1024
"""How much is read of all columns, unpacked [bytes]."""
MOST_STATISTICS = 20_000
_PAGE = 1024 * 1024
_BUFFER = 256 * 1024
_DEEPEST = 6


def read(path: Path) -> Contents:
    """Describe a Parquet file.

    Raises:
        Unreadable: it is damaged.
        ReaderMissing: pyarrow is not installed.
    """
    pq = need("pyarrow.parquet", "pyarrow")
    arrow = need("pyarrow", "pyarrow")
    try:
        # Without pre-buffering and with a small buffer only the pages of the first rows are read.
        with pq.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=_BUFFER) as file:
            return Contents(tables=(_table(file),))
    except arrow.ArrowInvalid as error:
        raise Unreadable(f"is a damaged Parquet file: {error}") from error


def _table(file: Any) -> Table:
    metadata, schema = file.metadata, file.schema_arrow
    chosen, skipped = _affordable(metadata, schema)
    batch = _first_rows(file, chosen)
    statistics = _statistics(metadata)
    units = _units_of_table(schema.metadata or {})
    columns: list[Column] = []
    for field in list(schema)[:MOST_COLUMNS]:
        values = batch.column(field.name) if batch is not None and field.name in chosen else None
        columns.extend(_columns(field.name, field, values, units))
    notes = []
    if len(schema) > MOST_COLUMNS:
        notes.append(f"{len(schema) - MOST_COLUMNS} more columns are not listed")
    if skipped:
        notes.append(f"{skipped} columns were not looked into")
    if statistics:
        notes.append("least and largest values are those of the file's own statistics over all rows where it has them")
    if metadata.num_row_groups > 1:
        notes.append(f"{metadata.num_row_groups} row groups")
    return Table(
        name="",
        kind="table",
        entries=metadata.num_rows,
        columns=tuple(_widen(each, statistics.get(each.name)) for each in columns),
        looked_at=0 if batch is None else batch.num_rows,
        note="; ".join(notes) or None,
    )


def _affordable(metadata: Any, schema: Any) -> tuple[list[str], int]:
    """The columns whose first rows can be read within the limit, and how many others there are."""
    names = list(dict.fromkeys(schema.names))
    if not metadata.num_row_groups or not metadata.num_rows:
        return [], 0
    group = metadata.row_group(0)
    share = min(1.0, MOST_ROWS / max(1, group.num_rows))
    cost: dict[str, float] = {}
    for index in range(metadata.num_columns):
        chunk = group.column(index)
        size = max(chunk.total_uncompressed_size, chunk.total_compressed_size)
        top = chunk.path_in_schema.split(".")[0]
        cost[top] = cost.get(top, 0.0) + min(size, size * share + 2 * _PAGE)
    chosen: list[str] = []
    spent = 0.0
    for name in names[:MOST_COLUMNS]:
        price = cost.get(name, math.inf)
        # Names that occur twice cannot be told apart by the reader.
        if len(chosen) < MOST_RANGED and spent + price <= MOST_BYTES and schema.names.count(name) == 1:
            chosen.append(name)
            spent += price
    return chosen, len(schema.names) - len(chosen)


def _first_rows(file: Any, chosen: list[str]) -> Any:
    if not chosen:
        return None
    batches = file.iter_batches(batch_size=MOST_ROWS, row_groups=[0], columns=chosen, use_threads=False)
    return next(batches, None)


def _statistics(metadata: Any) -> Mapping[str, tuple[float, float]]:
    """Least and largest value of each flat column over all row groups, where each row group states both."""
    if metadata.num_row_groups * metadata.num_columns > MOST_STATISTICS:
        return {}
    found: dict[str, tuple[float, float]] = {}
    for index in range(metadata.num_columns):
        bounds = [_bounds(metadata.row_group(group).column(index)) for group in range(metadata.num_row_groups)]
        known = [bound for bound in bounds if bound is not None]
        if known and len(known) == len(bounds):
            name = metadata.row_group(0).column(index).path_in_schema
            found[name] = (min(low for low, _ in known), max(high for _, high in known))
    return found


def _bounds(chunk: Any) -> tuple[float, float] | None:
    statistics = chunk.statistics
    if statistics is None or not statistics.has_min_max:
        return None
    low, high = statistics.min, statistics.max
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        return None
    return (float(low), float(high)) if math.isfinite(low) and math.isfinite(high) else None


def _widen(found: Column, bounds: tuple[float, float] | None) -> Column:
    if bounds is None or found.type == "string":
        return found
    low, high = bounds
    if found.minimum is not None and found.maximum is not None:
        low, high = min(low, found.minimum), max(high, found.maximum)
    distinct = max(found.n_distinct_capped, 1 if low == high else 2)
    return replace(found, minimum=low, maximum=high, n_distinct_capped=distinct)


def _columns(name: str, field: Any, values: Any, units: Mapping[str, str], depth: int = 0) -> Iterator[Column]:
    """One column a field, or one for each member of a struct."""
    import pyarrow as pa

    metadata = {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in _items(field)}
    unit = metadata.get("unit") or metadata.get("units") or units.get(name)
    title = metadata.get("title") or metadata.get("description") or metadata.get("doc")
    if pa.types.is_struct(field.type) and depth < _DEEPEST:
        for index in range(field.type.num_fields):
            inner = None if values is None else values.field(index)
            yield from _columns(
                f"{name}.{field.type.field(index).name}", field.type.field(index), inner, units, depth + 1
            )
        return
    if values is None:
        yield bare_column(name, _type(field.type), title=title, unit=unit)
        return
    per_entry = _per_entry(values)
    leaf = values
    while _is_list(leaf.type):
        leaf = leaf.flatten()
    if pa.types.is_dictionary(leaf.type):
        leaf = leaf.dictionary_decode()
    numbers = _to_numpy(leaf.drop_null())
    if numbers is None:
        yield bare_column(name, _type(field.type), title=title, unit=unit)
        return
    missing = leaf.null_count if numbers.dtype.kind in "biuf" else 0
    yield column(name, numbers, type=_type(field.type), title=title, unit=unit, per_entry=per_entry, n_missing=missing)


def _items(field: Any) -> Any:
    return (field.metadata or {}).items()


def _to_numpy(leaf: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    kind = pa.types
    if kind.is_integer(leaf.type) or kind.is_floating(leaf.type) or kind.is_boolean(leaf.type):
        return leaf.to_numpy(zero_copy_only=False)
    if kind.is_decimal(leaf.type):
        return np.array([float(value) for value in leaf.to_pylist()], dtype=np.float64)
    if kind.is_string(leaf.type) or kind.is_large_string(leaf.type):
        return np.array(leaf.slice(0, 100).to_pylist(), dtype=str)
    return None


def _is_list(type: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_fixed_size_list(type))


def _per_entry(values: Any) -> tuple[int, int] | None:
    import pyarrow.compute as pc

    if not _is_list(values.type) or not len(values):
        return None
    lengths = pc.min_max(pc.fill_null(pc.list_value_length(values), 0)).as_py()
    return (int(lengths["min"]), int(lengths["max"]))


def _type(type: Any) -> str:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(type):
        return f"{type.list_size} * {_type(type.value_type)}"
    if _is_list(type):
        return f"var * {_type(type.value_type)}"
    if pa.types.is_dictionary(type):
        return f"category<{_type(type.value_type)}>"
    if pa.types.is_struct(type):
        return "{" + ", ".join(f"{field.name}: {_type(field.type)}" for field in type) + "}"
    names = {"float": "float32", "double": "float64", "halffloat": "float16", "large_string": "string"}
    return names.get(str(type), str(type))


def _units_of_table(metadata: Mapping[bytes, bytes]) -> Mapping[str, str]:
    """Units that the file states for all columns at once, as a JSON object under the key `units`."""
    try:
        units = json.loads(metadata.get(b"units", b"{}"))
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in units.items()} if isinstance(units, dict) else {}
