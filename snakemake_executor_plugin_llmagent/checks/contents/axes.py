"""Axes of histograms that are not binned as the sentence says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.binnings import Binning, binnings
from snakemake_executor_plugin_llmagent.checks.contents.names import pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.results import numbers, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import units

UNITS = (1.0, 1e-3, 1e3)
"""An axis may be in MeV, or in TeV, where the sentence says GeV, or without a unit."""
NEAR = 1e-3
"""Ends of bins this near to each other are the same [of the width of a bin]."""
Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of a histogram among the outputs.

    Attributes:
        label: how a message names it.
        edges: finite and rising, shape (bins + 1,).
    """

    label: str
    edges: Numbers

    @property
    def low(self) -> float:
        """Where it begins."""
        return float(self.edges[0])

    @property
    def high(self) -> float:
        """Where it ends."""
        return float(self.edges[-1])

    @property
    def bins(self) -> int:
        """How many."""
        return len(self.edges) - 1

    @property
    def width(self) -> float | None:
        """Of each bin; None if they are not of equal width."""
        widths = np.diff(self.edges)
        return float(widths.mean()) if np.ptp(widths) <= 2 * NEAR * widths.mean() else None


def axes_as_told(case: Case) -> Iterable[Found]:
    """For each binning of the sentence there is an axis that has it, if one comes near to it."""
    told, certain = binnings(case.text, case.params)
    if not told:
        return
    found = list(axes(case))
    for binning in told:
        if any(_same(axis, binning) for axis in found):
            continue
        elsewhere = next((axis for axis in found if any(_same(axis, binning, by) for by in UNITS)), None)
        if elsewhere is not None:
            if binning.in_gev:
                yield _in_another_unit(case, elsewhere, binning)
            continue
        others = [one for one in told if one is not binning]
        near = [axis for axis in found if _near(axis, binning) and not any(_same(axis, one) for one in others)]
        if near:
            yield Found(
                check="histogram.binning",
                warning=not certain,
                message=f"{near[0].label} has {_described(near[0])}, but the rule says `{binning.said}`: "
                f"{binning.bins} bins of {binning.width:g} from {binning.low:g} to {binning.high:g}. N bins have N + 1 "
                f"edges: np.linspace({binning.low:g}, {binning.high:g}, {binning.bins + 1}).",
            )


def axes(case: Case) -> Iterator[Axis]:
    """The axes of all histograms in the outputs, also of lists of edges and of tables with `low` and `high`."""
    for part, histogram in case.histograms():
        name = f"{shown(histogram.name)} of {part.label}" if histogram.name else part.label
        yield from _axes((f"The axis of {name}", edges) for edges in histogram.edges)
    for place in places(case):
        yield from _axes(
            (f"The axis of {place.label()}", edges)
            for key, found in place.found.items()
            if _is_edges(str(key)) and (edges := numbers(found)) is not None
        )
    for part in case.outputs:
        for sheet in part.contents.sheets if part.contents is not None else ():
            columns = {
                name: array.values.astype(np.float64)
                for name, array in sheet.columns.items()
                if array.offsets is None and array.values.ndim == 1 and array.values.dtype.kind in "iuf"
            }
            yield from _axes(
                (f"The axis {shown(name)} of {part.label}", values)
                for name, values in columns.items()
                if _is_edges(name)
            )
            low, high = columns.get("low"), columns.get("high")
            if low is not None and high is not None and len(low) and np.allclose(low[1:], high[:-1]):
                yield from _axes([(f"The axis of {part.label}", np.append(low, high[-1]))])


def _is_edges(name: str) -> bool:
    return pieces(name)[-1:] == ("edges",) and len(pieces(name)) <= 3


def _axes(found: Iterable[tuple[str, Numbers]]) -> Iterator[Axis]:
    """Those of several bins, without flow bins that are given infinite ends."""
    for label, edges in found:
        finite = edges[np.isfinite(edges)]
        if len(finite) > 2 and np.all(np.diff(finite) > 0):
            yield Axis(label=label, edges=finite)


def _in_another_unit(case: Case, axis: Axis, binning: Binning) -> Found:
    return Found(
        check="histogram.binning",
        # A sentence that names two units may want the axis in the other one.
        warning=units(case.text) != {"GeV"},
        message=f"{axis.label} runs from {axis.low:g} to {axis.high:g}, but the rule says `{binning.said}`. Fill, and "
        "label, it in the unit of the rule.",
    )


def _same(axis: Axis, binning: Binning, by: float = 1.0) -> bool:
    return axis.bins == binning.bins and np.allclose(axis.edges * by, binning.edges, rtol=0, atol=NEAR * binning.width)


def _near(axis: Axis, binning: Binning) -> bool:
    """Whether an axis has so much of a binning that nothing else can be meant: both ends, or one end and the bins."""
    for by in UNITS:
        slack = NEAR * binning.width
        ends = [abs(axis.low * by - binning.low) <= slack, abs(axis.high * by - binning.high) <= slack]
        wide = axis.width is not None and abs(axis.width * by - binning.width) <= slack
        if all(ends) or (any(ends) and (wide or axis.bins == binning.bins) and _overlap(axis, binning, by) > 0.5):
            return True
    return False


def _overlap(axis: Axis, binning: Binning, by: float) -> float:
    """Which share of both ranges is common to them."""
    common = min(axis.high * by, binning.high) - max(axis.low * by, binning.low)
    return common / (max(axis.high * by, binning.high) - min(axis.low * by, binning.low))


def _described(axis: Axis) -> str:
    of_width = f"{axis.bins} bins of {axis.width:.6g}" if axis.width is not None else f"{axis.bins} bins"
    return f"{of_width} from {axis.low:.6g} to {axis.high:.6g}"
