"""Histograms of the outputs that are nearly, and not quite, what filling them from the inputs gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import TABLES, Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.names import shown
from snakemake_executor_plugin_llmagent.checks.contents.refill import Filled, Filler, binned, fillable, groups, same
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.data.contents import Histogram

MOST_HISTOGRAMS = 24
"""So many first histograms are filled again."""
FEW = 4
"""So many bins have to hold something, or any two histograms are alike."""
_INTO_THE_LAST = (
    r"(add|merg|fold|put|includ|contain|hold|collect|absorb|clip|fill|count|gather)\w*\b[^.;]{0,60}\b(over|under)-?flow"
    r"|(over|under)-?flow\w*[^.;]{0,40}\b(in|into|to|with)\b[^.;]{0,20}\b(last|first|outer\w*|edge|end|bound\w+)"
    r"|(last|first|outermost|highest|lowest|end) bins?[^.;]{0,40}(includ|hold|contain|collect|open|above|beyond|all )"
    r"|\bclip|everything (above|beyond|below|from)|or more\b|and more\b|inclusive|≥ ?\d+ (jets|photons)"
)
_TO_DATA = (
    r"(scal|normali[sz])\w*( \w+){0,3} (to|by|with|onto|as) (the |their |its )*"
    r"((total|integral|area|yield|number|sum|event)s?( \w+)? (of|in) )?(the )?"
    r"(data|observ\w+|unit|unity|one|1|same|each)\b"
    r"|same (area|integral|number of events|yield|normali[sz]ation)|shapes? (only|comparison)"
    r"|compare (the |their )?shapes|\bfit"
)
_FACTOR = (
    r"scal\w+|normali[sz]\w+|unit area|densit\w+|shapes?\b|lumi|cross.?section|xsec|divid\w+|per \w+|averag\w+"
    r"|multipl\w+|factor|fraction|prescal\w+|efficienc\w+|widths?\b|\bfit|template|subtract|times\b|reweight|smooth|toys?\b"
    r"|pseudo|expect|extrapolat|project|area|twice|\b[fap]b\b|yields?\b|asimov|inject|strength|\bmu\b"
)
Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """A histogram of the outputs, and what the inputs give for it.

    Attributes:
        label: how a message names it.
        values: its contents.
        filled: what the inputs give.
        factor: its contents over those; 1 where they are the same.
    """

    label: str
    values: Numbers
    filled: Filled
    factor: float


def histograms_refilled(case: Case) -> Iterable[Found]:
    """Histograms hold neither what lies beyond their ends, nor a multiple of what was filled."""
    filler = Filler()
    known: list[Known] = []
    for label, histogram in islice(binned(case), MOST_HISTOGRAMS):
        if not fillable(histogram) or np.count_nonzero(histogram.values) < FEW:
            continue
        found = list(_fillings(case, filler, histogram))
        right = next((one for one in found if one.gives(histogram.values)), None)
        if right is not None:
            known.append(Known(label=label, values=histogram.values, filled=right, factor=1.0))
            continue
        yield from _with_overflow(case, label, histogram, found)
        known += _scaled(label, histogram, found)
    yield from _by_a_factor(case, known)


def _fillings(case: Case, filler: Filler, histogram: Histogram) -> Iterator[Filled]:
    for tables in groups(case.inputs):
        for name in filler.called(tables, histogram, case.text):
            yield from filler.fill(tables, name, histogram.edges[0])


def _with_overflow(case: Case, label: str, histogram: Histogram, found: list[Filled]) -> Iterator[Found]:
    """All bins are right but an outermost one, and that by just what lies beyond it."""
    values = histogram.values
    for one in found:
        if not same(one.contents[1:-1], values[1:-1]) or np.count_nonzero(values[1:-1]) < FEW:
            continue
        sides = [
            (name, beyond)
            for name, beyond, at in (("underflow", one.below, 0), ("overflow", one.above, -1))
            if not _close(values[at], one.contents[at]) and _close(values[at], one.contents[at] + beyond)
        ]
        if sides and all(_close(values[at], one.contents[at]) or len(sides) == 2 for at in _others(sides)):
            which = " and ".join(name for name, _ in sides)
            yield Found(
                check="histogram.overflow",
                warning=mentions(case.text, _INTO_THE_LAST) or _whole_numbers(one),
                message=f"{label} has the {which} ({', '.join(f'{beyond:.6g}' for _, beyond in sides)}) in its "
                f"{'outermost bins' if len(sides) == 2 else 'last bin' if which == 'overflow' else 'first bin'}: all "
                f"other bins are what {shown(one.column)} of the inputs gives. Do not clip values into the axis.",
            )
            return


def _others(sides: list[tuple[str, float]]) -> list[int]:
    """The ends that have to be right."""
    names = {name for name, _ in sides}
    return [at for name, at in (("underflow", 0), ("overflow", -1)) if name not in names]


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-5 * max(abs(one), abs(other))


def _whole_numbers(one: Filled) -> bool:
    """Whether a column counts something: its last bin may well stand for all that is more."""
    columns = [sheet.columns[one.column].numbers() for _, sheet in one.tables]
    return all(bool(np.array_equal(values, np.round(values))) for values in columns)


def _scaled(label: str, histogram: Histogram, found: list[Filled]) -> Iterator[Known]:
    """The input of the same name, if it gives the histogram but for one factor."""
    name = histogram.name.rpartition(".")[2].rpartition("/")[2]
    for one in found:
        called = {part.name for part, _ in one.tables} | {part.place.stem for part, _ in one.tables}
        if not name or name not in called or len({part.name for part, _ in one.tables}) > 1:
            continue
        square = float(np.dot(one.contents, one.contents))
        factor = float(np.dot(one.contents, histogram.values)) / square if square > 0 else 0.0
        if factor > 0 and abs(factor - 1) > 1e-4 and same(factor * one.contents, histogram.values):
            yield Known(label=label, values=histogram.values, filled=one, factor=factor)
            return


def _by_a_factor(case: Case, known: list[Known]) -> Iterator[Found]:
    scaled = [one for one in known if one.factor != 1.0]
    if not scaled:
        return
    factor = scaled[0].factor
    alike = [one for one in scaled if abs(one.factor / factor - 1) < 1e-5]
    reference = _total_of(alike, [one for one in known if one.factor == 1.0])
    if reference is not None:
        asked = mentions(case.text, _TO_DATA)
        how = f", such that together they hold as much as {reference.label}"
        certain = True
    else:
        words = " ".join((case.text, *case.params))
        # What a document among the inputs gives may be just that factor.
        asked = mentions(words, _FACTOR) or any(part.format not in TABLES for part in case.inputs)
        how, certain = "", False
    if not asked:
        yield Found(
            check="histogram.scaled",
            warning=not certain,
            message=f"{', '.join(one.label for one in alike)}: contents are {factor:.6g} times what the input of that "
            f"name gives{how}. The rule asks for no such factor: draw what the weights say.",
        )


def _total_of(scaled: list[Known], others: list[Known]) -> Known | None:
    """A histogram that was not scaled, and holds as much as those that were."""
    total = sum(float(one.values.sum()) for one in scaled)
    return next((one for one in others if _close(total, float(one.values.sum()))), None)
