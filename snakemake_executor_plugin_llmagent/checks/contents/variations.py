"""Varied histograms that were not made with the columns and factors that are there for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, is_weight, pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.results import number
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.data.contents import Histogram, Sheet

SIDES = {"up": "down", "down": "up"}
SIGNS = {"up": 1.0, "down": -1.0}
NOMINAL = ("nominal", "nom", "central")
MOST_COLUMNS = 40
TOTAL, EFFECT = 0.02, 0.2
"""So much of the content, and so much of what the variation moves, have to lie elsewhere."""
_SYMMETRISED = r"symmetri|mirror|one.sided|2 ?\*? ?nominal"
_MULTIPLIED = re.compile(r"multipl\w+\s+`?([A-Za-z_]\w*)`?\s+by\s+`?\(?\s*1\s*(?:±|\+\s*/?\s*-)", re.IGNORECASE)
_PARAM = re.compile(r"params\.([A-Za-z_]\w*)")
Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Varied:
    """A varied histogram of one axis.

    Attributes:
        part, histogram: where it is.
        side: `up` or `down`.
        words: the rest of its name.
        nominal, other: the same without variation, and on the other side.
    """

    part: Part
    histogram: Histogram
    side: str
    words: frozenset[str]
    nominal: Histogram
    other: Histogram

    @property
    def label(self) -> str:
        """How a message names it."""
        return f"{shown(self.histogram.name)} of {self.part.label}"


def variations_filled(case: Case) -> Iterable[Found]:
    """Varied histograms hold what columns of weights, or factors, of their names make of the input."""
    found = list(_varied(case))
    for part in case.inputs if found else ():
        for sheet in part.tables:
            if sheet.entries == sheet.shown:
                yield from _with_weights(case, sheet, found)
                yield from _multiplied(case, sheet, found)


def _varied(case: Case) -> Iterator[Varied]:
    """The histograms with `up` or `down` in their names that have another side and a nominal one on the same axis."""
    every = {(part.path, pieces(one.name)): (part, one) for part, one in case.histograms() if len(one.edges) == 1}
    for (path, words), (part, histogram) in every.items():
        side = next((word for word in words if word in SIDES), None)
        if side is None:
            continue
        rest = tuple(word for word in words if word not in SIDES)
        other = every.get((path, tuple(SIDES.get(word, word) for word in words)))
        plain = [one for (where, name), (_, one) in every.items() if where == path and _is_nominal(name, rest)]
        if other is not None and len(plain) == 1 and _same_axis(histogram, other[1], plain[0]):
            yield Varied(
                part=part, histogram=histogram, side=side, words=frozenset(rest), nominal=plain[0], other=other[1]
            )


def _is_nominal(name: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Whether a histogram is that without variation: `nominal`, or `m_yy_nominal` of `m_yy_pileup_up`."""
    return any(word in NOMINAL for word in name) and {word for word in name if word not in NOMINAL} <= set(words)


def _same_axis(*histograms: Histogram) -> bool:
    first = histograms[0].edges[0]
    return all(np.array_equal(one.edges[0], first) and one.values.shape == (len(first) - 1,) for one in histograms)


# --- columns of weights ---------------------------------------------------------------------------------------------


def _with_weights(case: Case, sheet: Sheet, found: list[Varied]) -> Iterator[Found]:
    for one in found:
        columns = _columns(sheet, one)
        if columns is None:
            continue
        own, other, plain = columns
        name = next(iter(_axes(sheet, one.nominal, plain)), None)
        if name is None:
            continue
        edges = one.histogram.edges[0]
        right, wrong = (_fill(sheet, name, weight, edges) for weight in (own, other))
        if _alike(one.histogram.values, right):
            continue
        if _alike(one.histogram.values, wrong):
            yield Found(
                check="variation.exchanged",
                message=f"{one.label} is filled with {shown(other)}, not with {shown(own)}: up and down are exchanged.",
            )
        elif _alike(one.histogram.values, 2.0 * one.nominal.values - one.other.values):
            yield Found(
                check="variation.mirrored",
                warning=mentions(case.text, _SYMMETRISED),
                message=f"{one.label} is 2 nominal - {shown(one.other.name)} in every bin, but the input has "
                f"{shown(own)} for it, which gives something else. Fill it with that column.",
            )


def _columns(sheet: Sheet, one: Varied) -> tuple[str, str, str] | None:
    """The weights of a variation, those of the other side, and the nominal ones; None if they cannot be told."""
    weights = [name for name in flat(sheet) if is_weight(name)]
    told = {name: frozenset(pieces(name)) - {"weight", "weights", "w", "wgt", "event"} for name in weights}
    own, other = (
        [name for name, words in told.items() if side in words and len(words) > 1 and words - {side} <= one.words]
        for side in (one.side, SIDES[one.side])
    )
    plain = [name for name, words in told.items() if not words or words & set(NOMINAL)]
    return (own[0], other[0], plain[0]) if len(own) == len(other) == len(plain) == 1 else None


def _axes(sheet: Sheet, histogram: Histogram, weight: str) -> Iterator[str]:
    """The columns that fill a histogram with these weights just as it is: then nothing else was selected."""
    columns = flat(sheet)
    if not np.any(histogram.values):
        return
    for name in [name for name in columns if not is_weight(name)][:MOST_COLUMNS]:
        if _alike(histogram.values, _fill(sheet, name, weight, histogram.edges[0])):
            yield name


def _fill(sheet: Sheet, name: str, weight: str, edges: Numbers, factor: float = 1.0) -> Numbers:
    columns = flat(sheet)
    values = columns[name].astype(np.float64) * factor
    return np.histogram(values, edges, weights=columns[weight].astype(np.float64))[0]


def _alike(one: Numbers, other: Numbers) -> bool:
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-9 * float(np.abs(one).max(initial=0.0))))


# --- factors --------------------------------------------------------------------------------------------------------


def _multiplied(case: Case, sheet: Sheet, found: list[Varied]) -> Iterator[Found]:
    """Columns that the sentence has multiplied by 1 +- a param, where the nominal histogram is all of the table."""
    for column, name, size in _factors(case):
        for one in found:
            if column not in flat(sheet) or not one.words & (set(pieces(name)) - {"uncertainty", "error"}):
                continue
            weight = next((w for w in flat(sheet) if is_weight(w) and column in _axes(sheet, one.nominal, w)), None)
            if weight is None:
                continue
            edges = one.histogram.edges[0]
            right = _fill(sheet, column, weight, edges, 1.0 + SIGNS[one.side] * size)
            if _apart(one.histogram.values, right, one.nominal.values):
                yield Found(
                    check="variation.size",
                    message=f"{one.label} is not what {shown(column)} times 1 {'+-'[one.side == 'down']} {size:g} "
                    f"(`params.{name}`) gives: it has the mean {_mean(one.histogram.values, edges):.6g}, that "
                    f"{_mean(right, edges):.6g}, the nominal one {_mean(one.nominal.values, edges):.6g}.",
                )


def _apart(values: Numbers, right: Numbers, nominal: Numbers) -> bool:
    """Whether a varied histogram is another one: by more than a few events at the ends of a window explain."""
    difference, effect = (float(np.abs(one - right).sum()) for one in (values, nominal))
    return difference > TOTAL * float(np.abs(right).sum()) and difference > EFFECT * effect


def _factors(case: Case) -> Iterator[tuple[str, str, float]]:
    """Column, name and value of the param of what the sentence has multiplied by 1 +- it."""
    for said in re.split(r"[.;](?:\s|$)", " ".join(case.text.split())):
        names = list(dict.fromkeys(_PARAM.findall(said)))
        match = _MULTIPLIED.search(said)
        if match is not None and len(names) == 1 and not mentions(said, r"per ?cent|%|per ?mil"):
            size = number(case.params.get(names[0]))
            if size is not None and 0.0 < size < 1.0:
                yield match[1], names[0], size


def _mean(values: Numbers, edges: Numbers) -> float:
    total = float(values.sum())
    return float((0.5 * (edges[1:] + edges[:-1]) * values).sum()) / total if total else float("nan")
