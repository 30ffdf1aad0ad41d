"""TTree: the types of all branches, and the ranges of as many as can be read cheaply."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from snakemake_executor_plugin_llmagent.formats import spending
from snakemake_executor_plugin_llmagent.formats.jagged import columns_of
from snakemake_executor_plugin_llmagent.formats.numbers import TITLE_LIMIT, bare_column, spans, type_name
from snakemake_executor_plugin_llmagent.protocols import Column, Table
from snakemake_executor_plugin_llmagent.text import clean_value

_LEAF_LIST = re.compile(r"^[\w.]+(\[[^\]]*\])*(/[A-Za-z])?(:[\w.]+(\[[^\]]*\])*(/[A-Za-z])?)*$")


def describe(tree: Any, name: str, kind: str, budget: spending.Budget) -> Table:
    """Describe a tree that uproot has opened.

    Args:
        tree: the tree.
        name: its key.
        kind: its class.
        budget: what may be read; what is read is taken off.
    """
    branches = list(tree.iteritems(recursive=True))
    granted = budget.begin_tree(len(branches))
    listed = [(key, branch) for key, branch in branches[:granted] if not _is_group(branch)]
    entries = int(tree.num_entries)
    ranges = spans(entries, spending.MOST_ENTRIES)
    columns: dict[int, tuple[Column, ...]] = {}
    dark = shortened = 0
    for index in spending.by_worth([key for key, _ in listed]):
        key, branch = listed[index]
        affordable = _affordable(branch, ranges, budget) if entries else []
        found = _look(key, branch, affordable) if affordable else ()
        dark += not found
        shortened += bool(found) and len(affordable) < len(ranges)
        columns[index] = found or (_bare(key, branch),)
    notes = []
    title = tree.title
    if title and title != name:
        notes.append(f"title {clean_value(title, TITLE_LIMIT)!r}")
    if len(branches) > granted:
        notes.append(f"{len(branches) - granted} of {len(branches)} branches are not listed")
    if dark and entries:
        notes.append(f"{dark} of {len(listed)} branches are listed without ranges")
    if shortened:
        notes.append(f"of {shortened} branches only the first entries were looked at")
    return Table(
        name=name,
        kind=kind,
        entries=entries,
        columns=tuple(column for index in range(len(listed)) for column in columns[index]),
        looked_at=sum(stop - start for start, stop in ranges) if dark < len(listed) else 0,
        note="; ".join(notes) or None,
    )


def _is_group(branch: Any) -> bool:
    """Whether a branch only holds other branches."""
    return bool(branch.branches) and type(branch.interpretation).__name__ in ("AsGrouped", "UnknownInterpretation")


def _affordable(branch: Any, ranges: list[tuple[int, int]], budget: spending.Budget) -> list[tuple[int, int]]:
    """Which of the ranges can be read within the budget: all, the first, or none. A basket is read as a whole."""
    ratio = max(1.0, branch.uncompressed_bytes / max(1, branch.compressed_bytes))
    costs = [_cost(branch, start, stop) for start, stop in ranges]
    for number in range(len(ranges), 0, -1):
        packed, normal = sum(cost for cost, _ in costs[:number]), [n for _, ns in costs[:number] for n in ns]
        # Headers state what a basket unpacks to; the tree only states the total, which an odd file may get wrong.
        if packed > spending.MOST_EACH or packed * ratio > spending.MOST_UNPACKED:
            continue
        unpacked = sum(branch.basket_uncompressed_bytes(basket) for basket in normal)
        if budget.take(packed, unpacked):
            return ranges[:number]
    return []


def _cost(branch: Any, start: int, stop: int) -> tuple[int, list[int]]:
    """The packed size of the baskets that hold a range of entries [bytes], and their numbers."""
    offsets = branch.entry_offsets
    baskets = [number for number, (first, last) in enumerate(pairwise(offsets)) if first < stop and last > start]
    return sum(int(branch.basket_compressed_bytes(number)) for number in baskets), baskets


def _look(key: str, branch: Any, ranges: list[tuple[int, int]]) -> tuple[Column, ...]:
    try:
        pieces = [
            branch.array(entry_start=start, entry_stop=stop, library="ak", array_cache=None) for start, stop in ranges
        ]
        return tuple(columns_of(key, pieces, title=_title(branch)))
    except Exception:
        # Branches of classes without a dictionary are common; their type is still worth listing.
        return ()


def _bare(key: str, branch: Any) -> Column:
    return bare_column(key, _type(branch), title=_title(branch))


def _title(branch: Any) -> str | None:
    """The title, unless it only repeats the name or lists the leaves, as in `pt[n]/F`."""
    title = str(branch.title or "")
    if title == branch.name or (_LEAF_LIST.match(title) and ("/" in title or title.startswith(branch.name))):
        return None
    return title or None


def _type(branch: Any) -> str:
    interpretation = branch.interpretation
    match type(interpretation).__name__:
        case "AsDtype":
            return _dtype_name(interpretation.to_dtype)
        case "AsJagged":
            return f"var * {_dtype_name(interpretation.content.to_dtype)}"
        case "AsStrings":
            return "string"
        case "UnknownInterpretation":
            return f"{branch.typename or 'unknown'} (cannot be read by uproot)"
        case _:
            return str(branch.typename)


def _dtype_name(dtype: Any) -> str:
    if dtype.names is not None:
        return "{" + ", ".join(f"{name}: {type_name(dtype.fields[name][0])}" for name in dtype.names) + "}"
    return type_name(dtype)
