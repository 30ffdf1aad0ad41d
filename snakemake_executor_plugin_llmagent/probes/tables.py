"""Which tables hold events, and which of their columns is a weight or a mass."""

from __future__ import annotations

import re
from collections.abc import Sequence

from snakemake_executor_plugin_llmagent.data.contents import Sheet

FEW = 50
"""A table with fewer rows is rather a list of settings than one of events."""
FEW_NAMED = {"json": 10}
"""The same where a rule names the probe, by format; 1 for all others."""
BINNED = frozenset(
    {
        "bin", "bins", "bin_edges", "edges", "edge", "bin_low", "bin_high", "low_edge", "high_edge", "low", "high",
        "lower", "upper", "bin_center", "bin_centre", "bin_centers", "bin_centres", "center", "centre", "centers",
        "centres", "xlow", "xhigh", "x_low", "x_high",
    }
)  # fmt: skip
"""A table with such a column is a histogram, or one of limits; its rows are no events."""
WEIGHTS = (
    "weight", "weights", "total_weight", "event_weight", "eventweight", "evt_weight", "w", "wt", "wgt", "mcweight",
    "mc_weight", "genweight", "gen_weight", "nominal_weight", "weight_nominal", "sample_weight",
)  # fmt: skip
"""Usual names of weights, what holds the whole weight first."""
_NO_WEIGHT = re.compile(r"sum|total_events|norm|variation|up$|down$|squared|weighted", re.IGNORECASE)
_MASS = re.compile(
    r"m|mass|inv_?mass|m_?inv|invariant_mass|.*_mass|mass_.*|.*mass|.*_?m_?(yy|gg|gamgam|jj|ll|ee|mumu|bb|tt|4l|zz|ww)",
    re.IGNORECASE,
)


def is_events(sheet: Sheet, least: int) -> bool:
    """Whether the rows of a table may be taken for events."""
    return sheet.entries >= least and bool(sheet.columns) and not BINNED & {name.lower() for name in sheet.columns}


def plain_columns(sheet: Sheet) -> list[str]:
    """Columns with one number per row."""
    return [
        name
        for name, array in sheet.columns.items()
        if array.offsets is None and array.values.ndim == 1 and array.values.dtype.kind in "iuf"
    ]


def weight_of(sheet: Sheet, names: Sequence[str], wanted: str | None, *, must_be_named: bool) -> str | None:
    """The column that holds the weight of an event.

    Args:
        sheet: a table.
        names: what the script names.
        wanted: the column that the rule names.
        must_be_named: whether a column that the script does not name is none.
    """
    columns = plain_columns(sheet)
    if wanted is not None:
        return wanted if wanted in columns else None
    known = [name for name in columns if name.lower() in WEIGHTS]
    known.sort(key=lambda name: WEIGHTS.index(name.lower()))
    others = [name for name in columns if "weight" in name.lower() and not _NO_WEIGHT.search(name)]
    candidates = list(dict.fromkeys((*known, *others)))
    named = [name for name in candidates if name in names]
    return next(iter(named if must_be_named else (*named, *candidates)), None)


def mass_of(sheet: Sheet, names: Sequence[str], wanted: str | None) -> str | None:
    """The column that holds a mass: the one that the rule names, one that the script names, or the only likely one."""
    columns = plain_columns(sheet)
    if wanted is not None:
        return wanted if wanted in columns else None
    likely = [name for name in columns if _MASS.fullmatch(name)]
    return next((name for name in names if name in likely), likely[0] if len(likely) == 1 else None)
