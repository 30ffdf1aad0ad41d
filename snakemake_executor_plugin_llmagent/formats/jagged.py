"""Awkward arrays → columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snakemake_executor_plugin_llmagent.formats.numbers import bare_column, column
from snakemake_executor_plugin_llmagent.protocols import Column

_MOST_FIELDS = 100
_MOST_TEXTS = 50


def columns_of(name: str, pieces: list[Any], *, title: str | None = None) -> Iterator[Column]:
    """The columns of awkward arrays that hold some entries of one branch or field; several if these are records.

    Args:
        name: its name in the file.
        pieces: arrays of one type, at least one.
        title: free text stored with it.
    """
    import awkward as ak

    fields = ak.fields(pieces[0])
    if fields and not ak.is_tuple(pieces[0]):
        for field in fields[:_MOST_FIELDS]:
            yield from columns_of(f"{name}.{field}", [piece[field] for piece in pieces])
        return
    yield _column(name, str(ak.type(pieces[0]).content), pieces, title)


def _column(name: str, type: str, pieces: list[Any], title: str | None) -> Column:
    import awkward as ak
    import numpy as np

    if "string" in type or "bytes" in type:
        texts = [str(value) for piece in pieces for value in ak.flatten(piece[:_MOST_TEXTS], axis=None).to_list()]
        return column(name, np.array(texts, dtype=str), type=type, title=title)
    if "{" in type or "union[" in type or "(" in type:
        return bare_column(name, type, title=title)
    # Flattening drops missing values, which count as not finite.
    missing = sum(int(ak.sum(ak.is_none(piece, axis=-1), axis=None)) for piece in pieces) if "?" in type else 0
    flat = [ak.to_numpy(ak.flatten(piece, axis=None)) for piece in pieces]
    return column(
        name, np.concatenate(flat), type=type, title=title, per_entry=_per_entry(type, pieces), n_missing=missing
    )


def _per_entry(type: str, pieces: list[Any]) -> tuple[int, int] | None:
    import awkward as ak

    if not type.startswith("var *"):
        return None
    lengths = [ak.num(piece, axis=1) for piece in pieces if len(piece)]
    if not lengths:
        return None
    return (min(int(ak.min(each)) for each in lengths), max(int(ak.max(each)) for each in lengths))
