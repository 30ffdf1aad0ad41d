"""Backgrounds from sidebands, counted again where the sentence gives them with their bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.names import flat
from snakemake_executor_plugin_llmagent.checks.contents.regions import conditions
from snakemake_executor_plugin_llmagent.checks.contents.results import number, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions

_NUMBER = r"(\d+(?:\.\d+)?)"
_PAIR = rf"{_NUMBER}\s*(?:to|-|–)\s*{_NUMBER}"
_SIDEBANDS = re.compile(
    rf"side-?bands?\s*(?:of|are|at|from|:|\()?\s*{_PAIR}\s*(?:GeV)?\s*(?:and|,)\s*{_PAIR}", re.IGNORECASE
)
_WIDTHS = r"\bwidths?\b"
_OTHERWISE = r"\bfit|interpolat|polynom|exponential|linear|slope|transfer|contaminat|subtract"
SAME = 1e-6
FEWEST = 20
Values = np.ndarray[Any, Any]


def sidebands_counted(case: Case) -> Iterable[Found]:
    """A background from sidebands is their events times the width of the window over theirs.

    b = n_sidebands * w_window / w_sidebands, as for a background that is linear in the mass, with sidebands as far away
    on both sides (the on and off regions of T.-P. Li, Y.-Q. Ma, ApJ 272 (1983) 317). Events on the ends may count or
    not.
    """
    said = _SIDEBANDS.search(" ".join(case.text.split()))
    if said is None or not mentions(case.text, _WIDTHS) or mentions(case.text, _OTHERWISE):
        return
    bands = [(float(said[1]), float(said[2])), (float(said[3]), float(said[4]))]
    for place in places(case):
        background, observed = number(place.found.get("background")), number(place.found.get("observed"))
        told = list(_counted(case, bands, observed)) if background is not None and observed is not None else []
        if background is not None and told and not any(low <= background <= high for low, high, _ in told):
            low, high, counted = told[0]
            yield Found(
                check="counts.sidebands",
                message=f"{place.label('background')} is {background:.6g}, but the {counted} events in the sidebands "
                f"{said[1]} to {said[2]} and {said[3]} to {said[4]}, times the width of the window over theirs, are "
                f"{low / (1 - SAME):.6g}" + ("." if high - low < 0.01 else f" to {high:.6g}."),
            )


def _counted(case: Case, bands: list[tuple[float, float]], observed: float) -> Iterator[tuple[float, float, int]]:
    """The least and the largest background, and the events, of each input and window in which so many were observed."""
    for part in case.inputs:
        for sheet in part.tables:
            for window in conditions(case):
                if window.column not in flat(sheet) or not np.isfinite(window.high - window.low):
                    continue
                values = flat(sheet)[window.column].astype(np.float64)
                between = all(high <= window.low or low >= window.high for low, high in bands)
                if not between or sheet.entries != len(values) or np.count_nonzero(window.rows(sheet)) != observed:
                    continue
                widths = sum(high - low for low, high in bands)
                scale = (window.high - window.low) / widths
                least, most = (sum(_inside(values, *band, ends=ends) for band in bands) for ends in (False, True))
                if least >= FEWEST:
                    yield least * scale * (1 - SAME), most * scale * (1 + SAME), least


def _inside(values: Values, low: float, high: float, *, ends: bool) -> int:
    inside = (values >= low) & (values <= high) if ends else (values > low) & (values < high)
    return int(np.count_nonzero(inside))
