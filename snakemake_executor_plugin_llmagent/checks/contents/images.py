"""Images on which there is nothing to be seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found

INK = 2e-4
"""Less than this share of an image is not its background: nothing is on it."""
MARGIN = 0.06
"""So far into a frame its own ticks and the ends of curves may reach [of its width]."""
TICKS, TICK = 0.04, 0.04
"""No more than this share of the margin is taken by ticks, and none is longer [of a side of the frame]."""
ENOUGH = 500_000
"""Of so many pixels the most common colour is the background."""
THICK = 0.01
"""No line of a frame is thicker [of the longer side]."""
Pixels = np.ndarray[Any, Any]


def images_show(case: Case) -> Iterable[Found]:
    """Images are not blank, and axes hold something."""
    for part in case.outputs:
        if part.format != "image" or part.contents is None or part.contents.pixels is None:
            continue
        ink = _ink(part.contents.pixels)
        share = float(ink.mean())
        if share == 0.0:
            continue  # all pixels are the same: found without us
        if share < INK:
            yield Found(
                check="image.blank",
                message=f"{part.label} is nearly blank: {share:.2%} of it is not background. Draw before you save, on "
                "the figure that is saved.",
            )
        elif _empty_axes(ink):
            yield Found(
                check="image.blank",
                message=f"The axes in {part.label} are empty: inside of the frame nothing is drawn. Look whether what "
                "is drawn is empty, lies outside of the limits, or went to other axes.",
            )


def _ink(pixels: Pixels) -> Pixels:
    """Which pixels are not of the most common colour."""
    packed = pixels[..., 0].astype(np.uint32) << 16 | pixels[..., 1].astype(np.uint32) << 8 | pixels[..., 2]
    colours, counts = np.unique(packed.ravel()[:: 1 + packed.size // ENOUGH], return_counts=True)
    return np.asarray(packed != colours[np.argmax(counts)])


def _empty_axes(ink: Pixels) -> bool:
    """Whether there is one frame, with nothing in it but the ticks at its sides."""
    across, down = _longest(ink), _longest(ink.T)
    rows, columns = np.nonzero(across > 0.4 * ink.shape[1])[0], np.nonzero(down > 0.4 * ink.shape[0])[0]
    if len(rows) < 2 or len(columns) < 2:
        return False
    top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
    # The lines of the frame are some pixels wide, and their edges are soft. What is wider is drawn at the frame.
    line = 2 + max(_first_gap(rows), _first_gap(rows[::-1]), _first_gap(columns), _first_gap(columns[::-1]))
    if line > 2 + THICK * max(ink.shape):
        return False
    inside = ink[top + line : bottom - line, left + line : right - line]
    if inside.shape[0] < 20 or inside.shape[1] < 20:
        return False
    high, wide = (max(1, int(MARGIN * size)) for size in inside.shape)
    middle = inside[high:-high, wide:-wide]
    margin = inside.size - middle.size
    if middle.any() or inside.sum() > TICKS * margin:
        return False
    # What is drawn along a side is longer than any tick.
    return bool(_longest(inside).max() < TICK * inside.shape[1] and _longest(inside.T).max() < TICK * inside.shape[0])


def _longest(ink: Pixels) -> Pixels:
    """The longest unbroken run of ink in each row."""
    best = np.zeros(len(ink), dtype=np.int64)
    run = np.zeros(len(ink), dtype=np.int64)
    for column in ink.T:
        run = (run + 1) * column
        np.maximum(best, run, out=best)
    return best


def _first_gap(places: Pixels) -> int:
    """How many neighbouring numbers there are at the beginning."""
    steps = np.abs(np.diff(places))
    gaps = np.nonzero(steps > 1)[0]
    return int(gaps[0]) + 1 if len(gaps) else len(places)
