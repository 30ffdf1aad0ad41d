"""Outputs that are the same as those of another job of the rule."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import MOST_ENTRIES, TABLES, Case, Found, Part, Sibling
from snakemake_executor_plugin_llmagent.data.contents import Array, CannotRead, Contents
from snakemake_executor_plugin_llmagent.data.load import load

CHUNK = 1 << 20
FEW = 20


def not_identical(case: Case) -> Iterable[Found]:
    """No output is the same as that of a job with other wildcards."""
    own = {part.path: part for part in case.outputs}
    told = set()
    for sibling in case.siblings:
        part = own.get(sibling.own)
        if part is not None and part.path not in told and same(part.place, sibling.place):
            told.add(part.path)
            values = ", ".join(f"{name}={value}" for name, value in sibling.wildcards.items())
            yield Found(
                check="output.identical",
                warning=not (_is_data(part) and _other_inputs(sibling)),
                message=f"{part.label} is the same as `{sibling.path}` of the job with {values}. What depends on "
                "wildcards is taken from `snakemake.wildcards`, `snakemake.input` and `snakemake.params`.",
            )


def _is_data(part: Part) -> bool:
    return part.format in TABLES and any(sheet.entries >= FEW for sheet in part.tables)


def _other_inputs(sibling: Sibling) -> bool:
    """Whether the other job is known to have read something else."""
    return any(not same(here, there) for here, there in sibling.inputs)


def same(one: Path, other: Path) -> bool:
    """Whether two files are the same byte for byte; ROOT files, which hold dates, whether they hold the same."""
    if not one.is_file() or not other.is_file():
        return False
    if one.suffix == ".root" and other.suffix == ".root":
        try:
            return _hold_the_same(load(one, limit=MOST_ENTRIES), load(other, limit=MOST_ENTRIES))
        except CannotRead:
            return False
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while chunk := left.read(CHUNK):
            if chunk != right.read(CHUNK):
                return False
    return True


def _hold_the_same(one: Contents, other: Contents) -> bool:
    left, right = {s.name: s for s in one.sheets}, {s.name: s for s in other.sheets}
    if left.keys() != right.keys() or len(one.histograms) != len(other.histograms):
        return False
    tables = all(
        sheet.entries == right[name].entries
        and sheet.columns.keys() == right[name].columns.keys()
        and all(_equal(array, right[name].columns[column]) for column, array in sheet.columns.items())
        for name, sheet in left.items()
    )
    return tables and all(
        a.name == b.name and a.values.shape == b.values.shape and np.array_equal(a.values, b.values, equal_nan=True)
        for a, b in zip(one.histograms, other.histograms, strict=True)
    )


def _equal(one: Array, other: Array) -> bool:
    if (one.offsets is None) != (other.offsets is None) or one.values.shape != other.values.shape:
        return False
    if one.offsets is not None and other.offsets is not None and not np.array_equal(one.offsets, other.offsets):
        return False
    return np.array_equal(one.values, other.values, equal_nan=one.values.dtype.kind == "f")
