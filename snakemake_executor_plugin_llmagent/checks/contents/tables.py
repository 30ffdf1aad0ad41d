"""Tables of events among files."""

from __future__ import annotations

from collections.abc import Iterable

from snakemake_executor_plugin_llmagent.checks.case import Part
from snakemake_executor_plugin_llmagent.checks.contents.flows import is_cutflow
from snakemake_executor_plugin_llmagent.data.contents import Sheet


def event_tables(parts: Iterable[Part]) -> list[tuple[Part, Sheet]]:
    """The tables among some files, but for cut flows."""
    return [
        (part, sheet)
        for part in parts
        for sheet in part.tables
        if sheet.columns and not is_cutflow(f"{part.place.stem}_{sheet.name}")
    ]
