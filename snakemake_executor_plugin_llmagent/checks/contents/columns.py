"""Columns in which nothing happens, and arrays that do not fit together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.names import (
    continuous,
    flat,
    is_event,
    is_weight,
    pieces,
    shown,
)
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.data.contents import Array, Sheet

FEW, MANY = 20, 100
"""From so many rows on, a column that does not vary is strange: one of the input, one that was computed [rows]."""
PADDING = (0.0, -1.0, -9.0, -10.0, -99.0, -100.0, -999.0, -9999.0, -99999.0)
"""What stands for a value that an event does not have."""
_CONSTANT = frozenset(
    {
        "lumi", "luminosity", "xsec", "xs", "cross", "section", "norm", "scale", "factor", "label", "target", "year",
        "kfac", "kfactor", "filteff", "sum", "sumw", "br", "sqrts", "energy", "hypothesis", "mc", "true", "truth",
        "gen", "is", "has", "pass", "sf", "systematic", "variation", "version", "unit",
        "category", "class", "sample", "hash",
    }
)  # fmt: skip


def columns_vary(case: Case) -> Iterable[Found]:
    """What varies in the input varies in the output, and what was computed varies too."""
    for part, sheet in case.tables():
        if sheet.entries < FEW:
            continue
        still = {name: values for name, values in flat(sheet).items() if values.dtype.kind == "f" and _constant(values)}
        # A table in which everything stands still is found without us.
        if still and len(still) < len(sheet.columns):
            for name, values in still.items():
                if not is_weight(name) and not is_event(name):
                    yield from _still(case, part, name, float(values[0]), sheet.entries)


def _constant(values: np.ndarray[Any, Any]) -> bool:
    return len(values) > 0 and bool(np.isfinite(values[0])) and bool((values == values[0]).all())


def _still(case: Case, part: Part, name: str, value: float, rows: int) -> Iterator[Found]:
    before = sources.column(case, name)
    if before is not None:
        if continuous(before):
            finite = before[np.isfinite(before)]
            yield Found(
                check="output.column_constant",
                warning=value in PADDING,
                message=f"{shown(name)} of {part.label} is {value:.6g} in all {rows} rows, but in the input it runs "
                f"from {finite.min():.6g} to {finite.max():.6g}. Take the value of each row.",
            )
    elif rows >= MANY and (value == 0.0 or not value.is_integer()) and not set(pieces(name)) & _CONSTANT:
        yield Found(
            check="output.column_constant",
            warning=True,
            message=f"{shown(name)} of {part.label} is {value:.6g} in all {rows} rows. Is it computed from the columns "
            "of each row?",
        )


def arrays_aligned(case: Case) -> Iterable[Found]:
    """Arrays of an archive that belong to the same events are equally long."""
    for part in case.outputs:
        if part.format in ("npz", "hdf5"):
            groups: dict[str, dict[str, Array]] = {}
            for sheet in part.tables:
                for name, array in sheet.columns.items():
                    groups.setdefault(name.rpartition("/")[0], {})[name] = array
            for arrays in groups.values():
                yield from _aligned(case, part, arrays)


def _aligned(case: Case, part: Part, arrays: Mapping[str, Array]) -> Iterator[Found]:
    lengths = _lengths(part.tables, arrays)
    counts = list(lengths.values())
    usual = max(counts, key=counts.count, default=0)
    if usual < FEW or counts.count(usual) < 3 or counts.count(usual) <= len(counts) // 2:
        return
    odd = [
        name
        for name, length in lengths.items()
        if length != usual
        and abs(length - usual) <= max(2, usual // 100)
        and not _tells_lengths(name, arrays, usual, length)
    ]
    if odd:
        name = odd[0]
        yield Found(
            check="output.misaligned",
            warning=not mentions(
                case.text, r"(equal|same|identical)(ly)? (in )?(length|long)|per event|each event|as long"
            ),
            message=f"{shown(name)} of {part.label} has {lengths[name]} entries, the other arrays have {usual}: they "
            "do not belong to the same events any more. Apply every cut to all arrays, at the same place.",
        )


def _lengths(sheets: tuple[Sheet, ...], arrays: Mapping[str, Array]) -> dict[str, int]:
    """Array → its whole length, also where only the first entries were read."""
    return {name: sheet.entries for sheet in sheets for name in sheet.columns if name in arrays}


def _tells_lengths(name: str, arrays: Mapping[str, Array], usual: int, length: int) -> bool:
    """Whether an array is another kind of thing: edges of bins, offsets of lists, or the members of lists."""
    values = arrays[name].values
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        return True
    if length == usual + 1 and bool((np.diff(values.astype(np.float64)) >= 0).all()):
        return True
    counts = [one.values for one in arrays.values() if one.values.ndim == 1 and one.values.dtype.kind in "iu"]
    return any(len(one) and length in (int(one.sum()), int(one[-1])) for one in counts)
