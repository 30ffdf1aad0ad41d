"""RNTuple: the types of all fields, and the ranges of as many as can be read cheaply."""

from __future__ import annotations

import re
from typing import Any

from snakemake_executor_plugin_llmagent.formats import spending
from snakemake_executor_plugin_llmagent.formats.jagged import columns_of
from snakemake_executor_plugin_llmagent.formats.numbers import TITLE_LIMIT, bare_column, spans
from snakemake_executor_plugin_llmagent.protocols import Column, Table
from snakemake_executor_plugin_llmagent.text import clean_value

MOST_PAGE_LISTS = 32 * 1024 * 1024
"""Longer lists of pages are not read, packed [bytes]."""
_WIDEST = 8
_COLLECTION = re.compile(r"_collection\d+")
_COLUMN_KEY = re.compile(r"column-(\d+)")


def describe(ntuple: Any, name: str, budget: spending.Budget) -> Table:
    """Describe an RNTuple that uproot has opened.

    Args:
        ntuple: the RNTuple.
        name: its key.
        budget: what may be read; what is read is taken off.
    """
    # Fields of early versions appear once more inside of an anonymous collection.
    fields = [field for field in ntuple.fields if not _COLLECTION.fullmatch(field.name)]
    listed = fields[: budget.begin_tree(len(fields))]
    entries = int(ntuple.num_entries)
    ranges = spans(entries, spending.MOST_ENTRIES)
    readable = entries > 0 and _page_lists_are_short(ntuple)
    columns: dict[int, tuple[Column, ...]] = {}
    dark = shortened = 0
    for index in spending.by_worth([field.name for field in listed]):
        field = listed[index]
        affordable = _affordable(ntuple, field, ranges, budget) if readable else []
        found = _look(field, affordable) if affordable else ()
        dark += not found
        shortened += bool(found) and len(affordable) < len(ranges)
        columns[index] = found or (_bare(field),)
    notes = []
    if ntuple.description:
        notes.append(f"title {clean_value(ntuple.description, TITLE_LIMIT)!r}")
    if len(fields) > len(listed):
        notes.append(f"{len(fields) - len(listed)} of {len(fields)} fields are not listed")
    if dark and entries:
        notes.append(f"{dark} of {len(listed)} fields are listed without ranges")
    if shortened:
        notes.append(f"of {shortened} fields only the first entries were looked at")
    return Table(
        name=name,
        kind="RNTuple",
        entries=entries,
        columns=tuple(column for index in range(len(listed)) for column in columns[index]),
        looked_at=sum(stop - start for start, stop in ranges) if dark < len(listed) else 0,
        note="; ".join(notes) or None,
    )


def _page_lists_are_short(ntuple: Any) -> bool:
    groups = ntuple.footer.cluster_group_records
    return sum(int(group.page_list_link.locator.num_bytes) for group in groups) <= MOST_PAGE_LISTS


def _affordable(
    ntuple: Any, field: Any, ranges: list[tuple[int, int]], budget: spending.Budget
) -> list[tuple[int, int]]:
    """Which of the ranges can be read within the budget: all, the first, or none. A cluster is read as a whole."""
    try:
        keys = {int(number) for number in _COLUMN_KEY.findall(field.to_akform()[0].to_json())}
        costs = [_cost(ntuple, keys, start, stop) for start, stop in ranges]
    except Exception:
        # Fields of types that uproot does not know are listed without ranges.
        return []
    for number in range(len(ranges), 0, -1):
        if budget.take(sum(packed for packed, _ in costs[:number]), sum(unpacked for _, unpacked in costs[:number])):
            return ranges[:number]
    return []


def _cost(ntuple: Any, keys: set[int], start: int, stop: int) -> tuple[int, int]:
    """The packed and unpacked size of the clusters that hold a range of entries [bytes]."""
    packed = unpacked = 0
    for cluster, pages_of in zip(ntuple.cluster_summaries, ntuple.page_link_list, strict=True):
        first, last = cluster.num_first_entry, cluster.num_first_entry + cluster.num_entries
        if first < stop and last > start:
            for key in keys:
                if key < len(pages_of):
                    packed += sum(page.locator.num_bytes for page in pages_of[key].pages)
                    unpacked += sum(page.num_elements * _WIDEST for page in pages_of[key].pages)
    return packed, unpacked


def _look(field: Any, ranges: list[tuple[int, int]]) -> tuple[Column, ...]:
    try:
        pieces = [field.array(entry_start=start, entry_stop=stop) for start, stop in ranges]
        return tuple(columns_of(field.name, pieces, title=field.description))
    except Exception:
        # A field that cannot be read is still worth listing.
        return ()


def _bare(field: Any) -> Column:
    return bare_column(field.name, _type(field), title=field.description)


def _type(field: Any) -> str:
    try:
        form, _ = field.to_akform()
        return str(form.content(0).type)
    except Exception:
        return str(field.typename)
