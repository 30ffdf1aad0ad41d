"""The operation that makes altered copies of inputs, in a confined process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import CannotRead, CannotWrite, Edit, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import format_of, load, rewrite
from snakemake_executor_plugin_llmagent.probes.alterations import CannotApply, Plan, Source, Wish
from snakemake_executor_plugin_llmagent.probes.effects import plan

WRITTEN = Path("written")
LARGEST = 500 << 20
"""Longer files are altered only as far as their first entries go [bytes]."""
TABULAR = ("root", "parquet", "npz", "npy", "csv", "hdf5")
"""Formats that are hardly ever settings."""


@dataclass(frozen=True, kw_only=True)
class Take:
    """Which events are kept before anything is altered, so that a probe costs little.

    Attributes:
        least, most: how many are kept at least and at most, of a table that has so many.
        share: otherwise one in so many.
        last: from the end of the table instead of its beginning.
    """

    least: int
    most: int
    share: int
    last: bool = False

    def kept(self, entries: int) -> int:
        """How many of so many events are kept: every second one of the first (or last)."""
        return max(1, min(max(entries // self.share, self.least), self.most, entries // 2))

    def rows(self, entries: int) -> np.ndarray[Any, Any]:
        """Which."""
        rows = np.arange(0, 2 * self.kept(entries), 2)
        return entries - 1 - rows[::-1] if self.last else rows


@dataclass(kw_only=True)
class Copies:
    """What became of a wish.

    Attributes:
        what: what is different, after "With".
        column: which column it is about.
        candidates: columns that could be taken instead.
        files: path of an input as the rule gives it → name of the copy.
        left: path → why the input stays as it is although it may hold events.
        events: how many events there were, and how many are left, of the largest table.
        problem: why nothing was altered; empty if something was.
    """

    what: str = ""
    column: str = ""
    candidates: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    events: tuple[int, int] = (0, 0)
    problem: str = ""


def alter(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Make altered copies of inputs in `written`.

    Args:
        asked: `files` (`{"path", "name", "place"}` each), `names` that the script mentions, `seed`, `unasked`, and
            `probes`: `{"probe", "arguments", "take"}` each, of which `take` may be missing. For probes that choose
            columns there are `loose` (names that only stand in lists), `patterns` of names, and the sentence `text`.

    Returns:
        For each probe what `Copies` has.
    """
    sources = [_source(one) for one in asked["files"]]
    answers = []
    for number, one in enumerate(asked["probes"]):
        wish = Wish(
            probe=one["probe"], arguments=one["arguments"], names=asked["names"], unasked=asked["unasked"],
            seed=asked["seed"], loose=asked.get("loose", ()), patterns=asked.get("patterns", ()),
            text=asked.get("text", ""),
        )  # fmt: skip
        take = Take(**one["take"]) if one.get("take") else None
        answers.append(vars(_copies(wish, _chosen(sources, wish.arguments.get("inputs")), take, number)))
    return answers


def _source(one: Mapping[str, Any]) -> Source:
    place = Path(one["place"])
    try:
        return Source(path=one["path"], name=one["name"], place=place, contents=load(place, limit=1))
    except (CannotRead, OSError) as error:
        return Source(path=one["path"], name=one["name"], place=place, contents=None, problem=str(error))


def _chosen(sources: Sequence[Source], inputs: object) -> list[Source]:
    if inputs is None:
        return list(sources)
    wanted = {inputs} if isinstance(inputs, str) else set(inputs) if isinstance(inputs, list) else set()
    return [source for source in sources if source.name in wanted or source.path in wanted]


def _copies(wish: Wish, sources: Sequence[Source], take: Take | None, number: int) -> Copies:
    made = Copies()
    try:
        planned = plan(wish, sources)
    except CannotApply as error:
        made.problem = str(error)
        return made
    made.what, made.column, made.candidates = planned.what, planned.column, planned.candidates
    altered = False
    for place, source in enumerate(sources):
        work = _Work(wish, planned, take, source)
        if source.contents is None:
            if format_of(source.place) in TABULAR:
                made.left[source.path] = source.problem
            continue
        if not work.wanted:
            continue
        target = WRITTEN / f"{number}-{place}-{source.place.name}"
        try:
            if take is None and source.place.stat().st_size > LARGEST:
                raise CannotWrite("it is too large; let `slice` give its first entries to probes")
            limit = None if take is None or take.last else 2 * take.most
            rewrite(source.place, target, work.change, work.rebin, limit=limit)
        except (CannotRead, CannotWrite, OSError) as error:
            made.left[source.path] = str(error)
            continue
        if take is None and not work.altered:
            target.unlink()
            continue
        made.files[source.path] = target.name
        made.events = max(made.events, work.events)
        altered = altered or work.altered
    if not altered:
        made.problem = "; ".join(dict.fromkeys(made.left.values())) or planned.if_nothing
    return made


class _Work:
    """What is done to one input."""

    def __init__(self, wish: Wish, planned: Plan, take: Take | None, source: Source) -> None:
        self._planned = planned
        self._take = take
        self._names = {sheet.name for sheet in wish.events(source)}
        self.wanted = bool(self._names) or bool(
            planned.rebin is not None and source.contents and source.contents.histograms
        )
        self.altered = False
        self.events = (0, 0)

    def change(self, sheet: Sheet) -> Edit | None:
        """What to change of a table: rows are chosen first, then the plan is followed."""
        if sheet.name not in self._names:
            return None
        rows = None if self._take is None else self._take.rows(sheet.entries)
        shown = sheet if rows is None else Edit(rows=rows).applied(sheet)
        edit = self._planned.change(shown)
        self.altered = self.altered or edit is not None
        if edit is None:
            kept = shown.shown
            edit = Edit()
        else:
            kept = shown.shown if edit.rows is None else len(edit.rows)
        self.events = max(self.events, (sheet.entries, kept))
        if rows is not None:
            together = rows if edit.rows is None else rows[edit.rows]
            edit = Edit(rows=together, columns=edit.columns, drop=edit.drop)
        return edit

    def rebin(self, histogram: Histogram) -> Histogram | None:
        """What stands in the place of a histogram."""
        instead = None if self._planned.rebin is None else self._planned.rebin(histogram)
        self.altered = self.altered or instead is not None
        return instead
