"""Plots as shapes that a page draws in SVG: attempts, tokens, cost, and the timeline of sessions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

ROW, BAR, LEFT, RIGHT, WIDTH = 24, 14, 190, 64, 760
"""Sizes [px]: of a row and a bar in it, of the margins, and of the whole."""
FOOT = 26
LABEL = 26
"""Longest label of a row [characters]."""
CELL, STEP, APART = 14, 18, 8
"""Sizes [px]: of an attempt in a row of attempts, from one to the next, and between sessions."""
PAUSE = 3600.0
"""A pause without sessions that is longer than this begins another drawing of the timeline [s]."""
NARROWEST = 3.0
MOST_DRAWINGS = 8


@dataclass(frozen=True)
class Mark:
    """A rectangle of a class, with what a pointer that rests on it is told."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str = ""


@dataclass(frozen=True)
class Label:
    """A text; `anchor` says which of its ends is at x."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing.

    Attributes:
        title: what it shows, in a few words.
        about: what can be seen in it, in a sentence.
        width, height: its size [px].
        marks, labels: what is in it.
        grid: where vertical lines stand.
    """

    title: str
    about: str
    width: float
    height: float
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    grid: tuple[float, ...] = ()

    @property
    def floor(self) -> float:
        """Where vertical lines end."""
        return self.height - FOOT + 4


@dataclass(frozen=True)
class Part:
    """Part of a bar: how long, of which class, and what it is."""

    size: float
    kind: str
    title: str


@dataclass(frozen=True)
class Step:
    """An attempt: what became of it (`accepted`, `found`, `revised`), in words, and when [s since the epoch]."""

    kind: str
    title: str
    begun: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Lane:
    """A session of a rule: its attempts in order."""

    rule: str
    steps: tuple[Step, ...]
    begun: float | None
    ended: float | None


def bars(title: str, about: str, rows: Sequence[tuple[str, Sequence[Part]]], unit: str) -> Chart:
    """Bars of parts, one a row, on a common scale; `unit` is written before (`$`) or after the numbers."""
    totals = [sum(part.size for part in parts) for _, parts in rows]
    ticks = _ticks(max(totals, default=0.0))
    scale = (WIDTH - LEFT - RIGHT) / ticks[-1]
    marks: list[Mark] = []
    labels: list[Label] = []
    for number, ((name, parts), total) in enumerate(zip(rows, totals, strict=True)):
        y, x = number * ROW + (ROW - BAR) / 2, float(LEFT)
        for part in parts:
            width = part.size * scale
            if width > 0:
                marks.append(Mark(_r(x), y, _r(width), BAR, part.kind, part.title))
            x += width
        labels += [_name(name, number), Label(_r(x + 6), y + BAR - 3, amount(total, unit), kind="value")]
    height = len(rows) * ROW + FOOT
    labels += [Label(_r(LEFT + tick * scale), height - 8, amount(tick, unit), "middle", "tick") for tick in ticks]
    grid = tuple(_r(LEFT + tick * scale) for tick in ticks)
    return Chart(title=title, about=about, width=WIDTH, height=height, marks=tuple(marks), labels=tuple(labels),
                 grid=grid)  # fmt: skip


def attempts(title: str, about: str, lanes: Sequence[Lane]) -> Chart:
    """A square for each attempt, a row for each rule, with room between sessions."""
    rows: dict[str, list[Lane]] = {}
    for lane in lanes:
        rows.setdefault(lane.rule, []).append(lane)
    marks: list[Mark] = []
    widest = float(WIDTH)
    for number, sessions in enumerate(rows.values()):
        x, y = float(LEFT), number * ROW + (ROW - CELL) / 2
        for session in sessions:
            for step in session.steps:
                marks.append(Mark(x, y, CELL, CELL, step.kind, step.title))
                x += STEP
            x += APART
        widest = max(widest, x)
    labels = tuple(_name(name, number) for number, name in enumerate(rows))
    return Chart(title=title, about=about, width=widest, height=len(rows) * ROW + 6, marks=tuple(marks), labels=labels)


def timeline(lanes: Sequence[Lane]) -> tuple[Chart, ...]:
    """The sessions in their time, newest last; those after a long pause in a drawing of their own."""
    known = sorted((lane for lane in lanes if lane.begun is not None), key=lambda lane: lane.begun or 0.0)
    groups: list[list[Lane]] = []
    last = -math.inf
    for lane in known:
        if (lane.begun or 0.0) - last > PAUSE:
            groups.append([])
        groups[-1].append(lane)
        last = max(last, lane.ended or lane.begun or 0.0)
    return tuple(map(_drawing, groups[-MOST_DRAWINGS:]))


def _drawing(lanes: Sequence[Lane]) -> Chart:
    begun = min(lane.begun or 0.0 for lane in lanes)
    span = max(max(lane.ended or 0.0 for lane in lanes) - begun, 1.0)
    scale = (WIDTH - LEFT - RIGHT) / span
    marks: list[Mark] = []
    for number, lane in enumerate(lanes):
        y, start = number * ROW + (ROW - BAR) / 2, lane.begun or begun
        whole = max(((lane.ended or start) - start) * scale, NARROWEST)
        title = f"{lane.rule}: {duration((lane.ended or start) - start)}"
        marks.append(Mark(_r(LEFT + (start - begun) * scale), y, _r(whole), BAR, "session", title))
        for step in lane.steps:
            if step.begun is not None and step.ended is not None:
                width = max((step.ended - step.begun) * scale - 1, NARROWEST)
                marks.append(Mark(_r(LEFT + (step.begun - begun) * scale), y, _r(width), BAR, step.kind, step.title))
    height = len(lanes) * ROW + FOOT
    seconds = _time_ticks(span)
    labels = [_name(lane.rule, number) for number, lane in enumerate(lanes)]
    labels += [Label(_r(LEFT + tick * scale), height - 8, clock(begun + tick), "middle", "tick") for tick in seconds]
    grid = tuple(_r(LEFT + tick * scale) for tick in seconds)
    count = f"{len(lanes)} session{'s' * (len(lanes) != 1)}"
    return Chart(
        title=f"{day(begun)}, {count} in {duration(span)}",
        about="Each row is a session, each block in it an attempt; times are UTC.",
        width=WIDTH, height=height, marks=tuple(marks), labels=tuple(labels), grid=grid,
    )  # fmt: skip


def _name(name: str, row: int) -> Label:
    shown = name if len(name) <= LABEL else f"{name[: LABEL - 1]}…"
    return Label(LEFT - 10, row * ROW + ROW / 2 + 4, shown, "end", "name")


def _ticks(largest: float) -> list[float]:
    """Round numbers from 0 to at least the largest."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [step * number for number in range(math.ceil(largest / step - 1e-9) + 1)]


_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def _time_ticks(span: float) -> list[float]:
    step = next((step for step in _STEPS if span / step <= 6), math.ceil(span / 6))
    return [float(step * number) for number in range(int(span / step) + 1)]


def amount(value: float, unit: str) -> str:
    """A number as the plots write it: `12.5k`, `$0.31`."""
    if unit == "$":
        return f"${value:.2f}" if value >= 0.1 or not value else f"${value:.3f}"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}{unit}"
    return f"{value:.3g}{unit}"


def duration(seconds: float) -> str:
    """A time span in words, such as `2 min 5 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.2g} s" if 0 < seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def day(time: float) -> str:
    """The day of a time, such as `27 Nov 2026`."""
    moment = datetime.fromtimestamp(time, UTC)
    return f"{moment.day} {moment:%b %Y}"


def clock(time: float) -> str:
    """The time of the day."""
    return f"{datetime.fromtimestamp(time, UTC):%H:%M:%S}"


def _r(value: float) -> float:
    return round(value, 1)
