"""Arrays → columns: ranges, means, odd values and units.

numpy is imported inside the functions, because importing this package must stay cheap.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from snakemake_executor_plugin_llmagent.protocols import Column
from snakemake_executor_plugin_llmagent.text import clean_value

NAME_LIMIT = 120
"""Longest name of a column or an object that is shown [characters]."""
TITLE_LIMIT = 160
"""Longest title that is shown [characters]."""
EXAMPLE_LIMIT = 40
"""Longest example of a string that is shown [characters]."""
N_EXAMPLES = 3

_UNITS = frozenset(
    re.findall(
        r"\S+",
        "eV keV MeV GeV TeV PeV c m mm cm um nm km µm fm s ms us ns ps µs h Hz kHz MHz GHz rad mrad deg degree degrees "
        "° % b mb nb pb fb ab V kV mV A mA C K T G kg g N J W sr",
    )
)
_BRACKETS = re.compile(r"\[([^\[\]()]{1,24})\]|\(([^\[\]()]{2,24})\)")


def unit_in(title: str | None) -> str | None:
    """The unit at the end of a title such as `photon pt [MeV]` or `E_{T} (GeV)`, or None.

    Only well-known units count, because brackets also hold array lengths and remarks; and a single letter in round
    ones is more often a symbol.
    """
    for square, round_ in reversed(_BRACKETS.findall(title or "")):
        content = square or round_
        parts = [part for part in re.split(r"[\s/*^·.{}0-9+-]+", content) if part]
        if parts and all(part in _UNITS for part in parts):
            return str(content.strip())
    return None


def type_name(dtype: Any) -> str:
    """A numpy type as a person writes it: `float32`, `3 * int64`, `string`."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return " * ".join([*map(str, shape), type_name(base)])
    if dtype.kind in "SU":
        return "string"
    return str(dtype.newbyteorder("=").name)


def column(
    name: str,
    values: Any,
    *,
    type: str | None = None,
    title: str | None = None,
    unit: str | None = None,
    per_entry: tuple[int, int] | None = None,
    n_missing: int = 0,
) -> Column:
    """A column, with what its values say.

    Args:
        name: its name in the file.
        values: numpy array of numbers, booleans or strings, of any shape.
        type: its type where that says more than the array's.
        title: free text stored with it.
        unit: its unit where the file states one; else it is sought in the title.
        per_entry: fewest and most values per entry.
        n_missing: how many values were missing besides; they count as not finite.
    """
    import numpy as np

    array = np.asarray(values).reshape(-1)
    bare = replace(bare_column(name, type or type_name(array.dtype), title=title, unit=unit), per_entry=per_entry)
    if array.dtype.kind not in "biuf":
        return replace(bare, examples=examples(array[: 50 * N_EXAMPLES].tolist()))
    # A half would lose its range in the sums; a long double beyond the range of a double counts as infinite.
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    bare = replace(
        bare,
        n_values=int(array.size) + n_missing,
        n_nonfinite=int(array.size - finite.size) + n_missing,
    )
    if not finite.size:
        return bare
    # The sum of the largest numbers overflows; then there is no mean.
    with np.errstate(over="ignore"):
        mean = float(np.mean(finite, dtype=np.float64))
    return replace(
        bare,
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        mean=mean if math.isfinite(mean) else None,
        n_distinct_capped=min(3, len(np.unique(finite))),
    )


def bare_column(name: str, type: str, *, title: str | None = None, unit: str | None = None) -> Column:
    """A column whose values were not looked at."""
    title = clean_value(title, TITLE_LIMIT) if title else None
    return Column(
        name=clean_value(name, NAME_LIMIT),
        type=clean_value(type, NAME_LIMIT),
        title=title,
        unit=clean_value(unit, EXAMPLE_LIMIT) if unit else unit_in(title),
    )


def examples(values: Sequence[object]) -> tuple[str, ...]:
    """The first few different values as text."""
    seen: dict[str, None] = {}
    for value in values:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        seen.setdefault(clean_value(text, EXAMPLE_LIMIT))
        if len(seen) == N_EXAMPLES:
            break
    return tuple(seen)


def spans(entries: int, most: int) -> list[tuple[int, int]]:
    """Which entries to look at: all if they are few, else the first ones and as many from the middle.

    Args:
        entries: how many there are.
        most: how many to look at.
    """
    if entries <= most:
        return [(0, entries)]
    half = most // 2
    return [(0, half), (entries // 2, entries // 2 + half)]
