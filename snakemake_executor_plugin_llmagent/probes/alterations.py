"""What each probe changes of events: the plans that `alter` carries out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Array, CannotWrite, Contents, Edit, Histogram, Sheet
from snakemake_executor_plugin_llmagent.probes.tables import FEW, FEW_NAMED, is_events, mass_of, weight_of

MOST_CANDIDATES = 8
ALL_ONE = "all weights are 1, as those of data; name the input with `inputs` if it is to be altered nevertheless"
NEAR = 5.0
"""Events this many widths around a mass are the models of those that are added."""


class CannotApply(CannotWrite):
    """A probe has nothing to work on; the text says what is missing."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """An input as it was found.

    Attributes:
        path: as the rule gives it.
        name: the keyword in the rule, None for a positional entry.
        place: where it lies.
        contents: its tables, of each the first row, and histograms; None if it cannot be read as data.
        problem: why it cannot.
    """

    path: str
    name: str | None
    place: Path
    contents: Contents | None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for.

    Attributes:
        probe: its name; `copy` alters nothing, `uneven_weights` is what the usual probes do with weights.
        arguments: its parameters.
        names: what the script names.
        loose: those by which it takes no values where they stand, so that it is not clear that it uses them.
        patterns: of names that it puts together.
        text: the sentence.
        unasked: whether no rule has named the probe, so that only what is beyond doubt is altered.
        seed: of random numbers.
    """

    probe: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    names: Sequence[str] = ()
    loose: Sequence[str] = ()
    patterns: Sequence[str] = ()
    text: str = ""
    unasked: bool = False
    seed: int = 1

    def events(self, source: Source) -> list[Sheet]:
        """The tables of an input that hold events."""
        if source.contents is None:
            return []
        least = FEW if self.unasked else FEW_NAMED.get(source.contents.format, 1)
        return [sheet for sheet in source.contents.sheets if is_events(sheet, least)]


Change = Callable[[Sheet], Edit | None]
Rebin = Callable[[Histogram], Histogram | None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """How a probe alters inputs.

    Attributes:
        what: what is different then, after "With": `all weights (`weight`) doubled`.
        change: of each table of events; None: it stays.
        rebin: of each histogram, if histograms are altered.
        column: which column it is about.
        candidates: columns that could be taken instead.
        if_nothing: why nothing was altered, if it turns out that nothing is.
    """

    what: str
    change: Change
    rebin: Rebin | None = None
    column: str = ""
    candidates: tuple[str, ...] = ()
    if_nothing: str = "nothing in the inputs is altered by it"


def _with_events(wish: Wish, sources: Sequence[Source]) -> list[Sheet]:
    found = [sheet for source in sources for sheet in wish.events(source)]
    if not found:
        raise CannotApply("no input has a table of events")
    return found


def _copy(wish: Wish, sources: Sequence[Source]) -> Plan:
    _with_events(wish, sources)
    return Plan(what="nothing changed", change=lambda _: Edit())


# --- weights --------------------------------------------------------------------------------------------------------


def _scale(wish: Wish, sources: Sequence[Source]) -> Plan:
    factor, wanted = float(wish.arguments.get("factor", 2.0)), wish.arguments.get("column")

    def column_of(sheet: Sheet) -> str | None:
        return weight_of(sheet, wish.names, wanted, must_be_named=wish.unasked)

    columns = [column for source in sources for sheet in wish.events(source) if (column := column_of(sheet))]
    if columns:
        listed = ", ".join(f"`{name}`" for name in dict.fromkeys(columns))
        return Plan(
            what=f"all weights ({listed}) {times(factor)}", column=columns[0],
            change=lambda sheet: _scaled(sheet, column_of(sheet), factor, wish), if_nothing=ALL_ONE,
        )  # fmt: skip
    weighted = [h.name for s in sources if s.contents for h in s.contents.histograms if h.variances is not None]
    weighted = [name for name in weighted if wanted in (None, name)]
    if wish.unasked or not weighted:
        raise CannotApply("no input has a column of weights" + (f" `{wanted}`" if wanted else ""))
    return Plan(
        what=f"all weighted histograms {times(factor)}", change=lambda _: None,
        rebin=lambda histogram: _scaled_bins(histogram, factor) if histogram.name in weighted else None,
    )  # fmt: skip


def _uneven(wish: Wish, sources: Sequence[Source]) -> Plan:
    """Weights of every second event: unlike a factor for all, that also changes fractions and means of weights."""

    def column_of(sheet: Sheet) -> str | None:
        return weight_of(sheet, wish.names, None, must_be_named=wish.unasked)

    def change(sheet: Sheet) -> Edit | None:
        column = column_of(sheet)
        if column is None or _is_data(sheet, column, wish):
            return None
        values = sheet.columns[column].values.copy()
        values[1::2] *= 2
        return Edit(columns={column: Array(values=values)})

    columns = [column for source in sources for sheet in wish.events(source) if (column := column_of(sheet))]
    if not columns:
        raise CannotApply("no input has a column of weights that the script names")
    listed = ", ".join(f"`{name}`" for name in dict.fromkeys(columns))
    return Plan(
        what=f"the weights ({listed}) of every second event doubled",
        column=columns[0],
        change=change,
        if_nothing=ALL_ONE,
    )


def _is_data(sheet: Sheet, column: str, wish: Wish) -> bool:
    """Whether weights are all 1, as those of data: scripts rightly refuse other ones there."""
    return "inputs" not in wish.arguments and bool((sheet.columns[column].values == 1).all())


def times(factor: float) -> str:
    """A factor in words: `doubled`, `halved`, `times 3`."""
    return {2.0: "doubled", 0.5: "halved"}.get(factor, f"times {factor:g}")


def _scaled(sheet: Sheet, column: str | None, factor: float, wish: Wish) -> Edit | None:
    if column is None or _is_data(sheet, column, wish):
        return None
    values = sheet.columns[column].values
    scaled = values * factor
    if values.dtype.kind in "iu" and not np.array_equal(scaled, np.floor(scaled)):
        raise CannotApply(f"the weights `{column}` are whole numbers, and would not be any more with {factor:g}")
    return Edit(columns={column: Array(values=scaled.astype(values.dtype))})


def _scaled_bins(histogram: Histogram, factor: float) -> Histogram:
    variances = None if histogram.variances is None else histogram.variances * factor**2
    return _refilled(histogram, histogram.values * factor, variances)


def _refilled(histogram: Histogram, values: np.ndarray[Any, Any], variances: np.ndarray[Any, Any] | None) -> Histogram:
    return Histogram(
        name=histogram.name, edges=histogram.edges, values=values, variances=variances, labels=histogram.labels
    )


# --- rows -----------------------------------------------------------------------------------------------------------


def _shuffle(wish: Wish, sources: Sequence[Source]) -> Plan:
    _with_events(wish, sources)

    def change(sheet: Sheet) -> Edit:
        # Tables of one length may belong together, row by row, in one file or in several.
        generator = np.random.default_rng((wish.seed, sheet.shown))
        return Edit(rows=generator.permutation(sheet.shown))

    return Plan(what="the events in another order", change=change)


def _half(wish: Wish, sources: Sequence[Source]) -> Plan:
    if all(sheet.entries < 2 for sheet in _with_events(wish, sources)):
        raise CannotApply("there is one event only")
    return Plan(what="every second event only", change=lambda sheet: Edit(rows=np.arange(0, sheet.shown, 2)))


def _empty(wish: Wish, sources: Sequence[Source]) -> Plan:
    _with_events(wish, sources)
    return Plan(what="no events at all", change=lambda _: Edit(rows=np.arange(0)))


def _inject(wish: Wish, sources: Sequence[Source]) -> Plan:
    arguments = wish.arguments
    mass, number, width = float(arguments["mass"]), int(arguments["n"]), float(arguments.get("width", 1.7))
    if number < 1 or width <= 0:
        raise CannotApply(f"{number} events of a width of {width:g} cannot be added")
    wanted = arguments.get("column")
    generator = np.random.default_rng(wish.seed)

    def change(sheet: Sheet) -> Edit | None:
        column = mass_of(sheet, wish.names, wanted)
        if column is None or not sheet.shown:
            return None
        values = sheet.columns[column].values
        near = np.flatnonzero(np.abs(values - mass) < NEAR * width)
        models = generator.choice(near if len(near) else np.arange(len(values)), size=number)
        added = generator.normal(mass, width, size=number)
        added = np.rint(added) if values.dtype.kind in "iu" else added
        together = np.concatenate([values, added.astype(values.dtype)])
        return Edit(rows=np.concatenate([np.arange(len(values)), models]), columns={column: Array(values=together)})

    found = [column for s in sources for sheet in wish.events(s) if (column := mass_of(sheet, wish.names, wanted))]
    if found:
        return Plan(what=f"{number} events added around `{found[0]}` = {mass:g}", change=change, column=found[0])
    bins = [h.name for s in sources if s.contents for h in s.contents.histograms if _covers(h, mass)]
    bins = [name for name in bins if wanted in (None, name)]
    if not bins:
        raise CannotApply("no input has a column of a mass, or a histogram that covers it; name one with `column`")
    return Plan(
        what=f"{number} events added around {mass:g} in {', '.join(f'`{name}`' for name in bins)}",
        change=lambda _: None,
        rebin=lambda histogram: _bumped(histogram, mass, width, number) if histogram.name in bins else None,
    )


def _covers(histogram: Histogram, mass: float) -> bool:
    return len(histogram.edges) == 1 and bool(histogram.edges[0][0] < mass < histogram.edges[0][-1])


def _bumped(histogram: Histogram, mass: float, width: float, number: int) -> Histogram:
    edges = histogram.edges[0]
    below = np.array([0.5 * (1.0 + math.erf((edge - mass) / (width * math.sqrt(2.0)))) for edge in edges])
    added = number * np.diff(below)
    if np.array_equal(histogram.values, np.rint(histogram.values)):
        added = np.diff(np.rint(number * below))
    variances = None if histogram.variances is None else histogram.variances + added
    return _refilled(histogram, histogram.values + added, variances)


# --- columns --------------------------------------------------------------------------------------------------------


def _drop(wish: Wish, sources: Sequence[Source]) -> Plan:
    sheets = _with_events(wish, sources)
    wanted = wish.arguments.get("name")
    columns = {name for sheet in sheets for name in (*sheet.columns, *sheet.opaque)}
    if wanted is not None:
        if wanted not in columns:
            raise CannotApply(f"no input has a column `{wanted}`")
        candidates = [wanted]
    else:
        weights = [weight_of(sheet, wish.names, None, must_be_named=True) for sheet in sheets]
        candidates = list(dict.fromkeys((*filter(None, weights), *(name for name in wish.names if name in columns))))
    # A table without any column would be no table.
    alone = {name for sheet in sheets if len(sheet.columns) == 1 for name in sheet.columns}
    candidates = [name for name in candidates if name not in alone]
    if not candidates:
        raise CannotApply("the script names no column of its inputs")
    chosen = candidates[0]

    def change(sheet: Sheet) -> Edit | None:
        return Edit(drop=frozenset({chosen})) if chosen in (*sheet.columns, *sheet.opaque) else None

    return Plan(
        what=f"`{chosen}` taken out", change=change, column=chosen, candidates=tuple(candidates[1:MOST_CANDIDATES])
    )


PLANS: Mapping[str, Callable[[Wish, Sequence[Source]], Plan]] = {
    "copy": _copy, "uneven_weights": _uneven, "scale_weights": _scale, "shuffle_events": _shuffle, "half_events": _half,
    "inject_signal": _inject, "empty_input": _empty, "drop_branch": _drop,
}  # fmt: skip
