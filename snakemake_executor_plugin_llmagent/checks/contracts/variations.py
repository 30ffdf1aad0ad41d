"""The contract of systematic variations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import pieces
from snakemake_executor_plugin_llmagent.checks.contents.results import number, numbers, places
from snakemake_executor_plugin_llmagent.checks.contracts.needs import needs
from snakemake_executor_plugin_llmagent.text import one_line

NOMINAL = ("nominal", "nom", "central")
MOVED = 1e-9
CLEARLY = 1e-6
LOPSIDED, NOTICED = 20.0, 1e-4
"""Something that moves so many times as far to one side as to the other, and by so much at least, moves by accident."""
Words = tuple[str, ...]
Path = tuple[Words, ...]
"""A name as its words: of the file, of the keys in it."""
Values = np.ndarray[Any, Any]
Largest = float | dict[str, float] | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Varied:
    """A quantity under a variation, and without it as far as that is known.

    Attributes:
        nominal, up, down: values.
        centres: of the bins, if it is a histogram of one axis.
    """

    nominal: Values | None
    up: Values
    down: Values
    centres: Values | None = None

    def shifts(self) -> Iterator[tuple[str, float, float]]:
        """Of what, and by which part of it, up and down move the sum, and the mean of a histogram."""
        if self.nominal is None:
            return
        yield "sum", _shift(self.nominal, self.up), _shift(self.nominal, self.down)
        # Of what is on both sides of 0 the mean may be next to it, but not its square.
        square = self._mean(self.nominal, power=2)
        means = [self._mean(one) for one in (self.nominal, self.up, self.down)]
        known = [mean for mean in means if mean is not None]
        if len(known) == len(means) and square is not None and square > 0:
            high, low = ((mean - known[0]) / float(np.sqrt(square)) for mean in known[1:])
            yield "mean", high, low

    def sizes(self) -> tuple[float, float]:
        """By which part of all contents up and down change them, bin by bin."""
        assert self.nominal is not None
        total = float(np.nansum(np.abs(self.nominal)))
        if not total or not self.nominal.shape == self.up.shape == self.down.shape:
            return 0.0, 0.0
        high, low = (float(np.nansum(np.abs(one - self.nominal))) / total for one in (self.up, self.down))
        return high, low

    def _mean(self, values: Values, power: int = 1) -> float | None:
        total = float(np.nansum(values))
        if self.centres is None or len(self.centres) != len(values) or total <= 0:
            return None
        return float(np.nansum(self.centres**power * values)) / total


def variation_moves(
    case: Case, up: str = "up", down: str = "down", signed: bool = True, largest: float | dict[str, float] | None = None
) -> Iterator[Found]:
    """See `catalogue.variation_moves`."""
    quantities, labels, centres = _quantities(case)
    groups: dict[Path, list[Varied]] = {}
    alone: dict[Path, str] = {}
    for path, values in quantities.items():
        at = next((i for i, words in enumerate(path) if _place(words, up) is not None), None)
        if at is None:
            continue
        other = quantities.get(_put(path, at, _swapped(path[at], up, down)))
        group = path[: at + 1]
        if other is None:
            alone.setdefault(group, labels[path])
        else:
            nominal = _nominal(quantities, path, at, up)
            told = Varied(nominal=nominal, up=values, down=other, centres=centres.get(path))
            groups.setdefault(group, []).append(told)
    if not groups and not alone:
        raise needs(
            case,
            f"an up and a down variation: keys, histograms, columns or files with `{up}` and `{down}` in their names",
        )
    for group, label in alone.items():
        if group not in groups:
            yield Found(check="contract.variation_moves", message=f"{label} has no `{down}` beside its `{up}`.")
    for group, found in groups.items():
        label = ".".join("_".join(words) for words in group[1:]) or "_".join(group[0])
        for problem in (*_stuck(found, up, down, signed), *_too_far(found, label, largest)):
            yield Found(check="contract.variation_moves", message=f"The variation `{one_line(label, 100)}` {problem}.")


def _stuck(found: list[Varied], up: str, down: str, signed: bool) -> Iterator[str]:
    """What is wrong with the quantities of one variation."""
    if not any(_differ(one.up, one.down) for one in found):
        yield f"has the same numbers under `{up}` and `{down}`: was it ever applied?"
        return
    known = [(one.nominal, one.up, one.down) for one in found if one.nominal is not None]
    moving = True
    for name, which in ((up, 1), (down, 2)):
        if known and not any(_differ(three[0], three[which]) for three in known):
            moving = False
            yield f"does not move anything under `{name}`: the numbers are the nominal ones"
    if signed:
        shifts = [(_shift(nominal, high), _shift(nominal, low)) for nominal, high, low in known]
        same = sum(a * b > 0 and min(abs(a), abs(b)) > CLEARLY for a, b in shifts)
        opposite = sum(a * b < 0 and min(abs(a), abs(b)) > CLEARLY for a, b in shifts)
        if same > opposite:
            yield (
                f"moves to the same side under `{up}` and `{down}` ({shifts[0][0]:+.3%} and {shifts[0][1]:+.3%}). If "
                "that is right, use `variation_moves(signed=False)`"
            )
        elif moving:
            yield from _lopsided(found, up, down)


def _lopsided(found: list[Varied], up: str, down: str) -> Iterator[str]:
    """What moves most to one side hardly moves to the other."""
    moves = [one.sizes() for one in found if one.nominal is not None]
    high, low = max(moves, key=max, default=(0.0, 0.0))
    if max(high, low) > NOTICED and min(high, low) * LOPSIDED < max(high, low):
        yield (
            f"moves contents by {high:.3%} under `{up}` and by {low:.3%} under `{down}`: was one applied on top of the "
            "other? If that is right, use `variation_moves(signed=False)`"
        )


def _too_far(found: list[Varied], label: str, largest: Largest) -> Iterator[str]:
    """A sum or a mean that moves further than the rule allows."""
    words = {"".join(pieces(word)) for word in pieces(label)}
    sizes = largest if isinstance(largest, dict) else {"": largest}
    for name, size in sizes.items():
        if size is None or (name and not set(pieces(name)) <= words):
            continue
        for what, high, low in (move for one in found for move in one.shifts()):
            if max(abs(high), abs(low)) > size:
                yield f"moves the {what} by {high:+.3%} and {low:+.3%}, more than the {size:.3%} that the rule allows"
                return


def _differ(one: Values | None, other: Values) -> bool:
    if one is None or one.shape != other.shape:
        return True
    scale = np.maximum(np.abs(one), np.abs(other))
    return bool(np.any(np.abs(one - other) > MOVED * np.maximum(scale, 1e-300)))


def _shift(nominal: Values, varied: Values) -> float:
    """The change of the sum, relative; 0 where it cannot be told."""
    total = float(np.nansum(nominal))
    return (float(np.nansum(varied)) - total) / abs(total) if total else 0.0


# --- names ----------------------------------------------------------------------------------------------------------


def _quantities(case: Case) -> tuple[Mapping[Path, Values], Mapping[Path, str], Mapping[Path, Values]]:
    """All numbers of the outputs by name, how a message names them, and the centres of the bins of histograms."""
    found: dict[Path, Values] = {}
    labels: dict[Path, str] = {}
    centres: dict[Path, Values] = {}

    def add(part: Part, names: tuple[str, ...], values: Values, edges: tuple[Values, ...] = ()) -> None:
        path = tuple(map(pieces, (part.name or part.place.stem, *names)))
        found[path], labels[path] = values, f"`{one_line('.'.join(names), 100)}` of {part.label}"
        if len(edges) == 1:
            centres[path] = 0.5 * (edges[0][1:] + edges[0][:-1])

    for place in places(case):
        for key, value in place.found.items():
            told = number(value)
            several = numbers(value) if told is None else np.array([told])
            if several is not None:
                add(place.part, (*place.path, str(key)), several)
    for part, histogram in case.histograms():
        add(part, (histogram.name,), histogram.values.ravel(), histogram.edges)
    for part, sheet in case.tables():
        for name, array in sheet.columns.items():
            if array.numeric:
                add(part, (sheet.name, name), array.numbers())
    return found, labels, centres


def _place(words: Words, word: str) -> int | None:
    """Where a name has the word, None if it has not."""
    wanted = "".join(pieces(word)) or word
    return words.index(wanted) if wanted in words else None


def _put(path: Path, at: int, words: Words) -> Path:
    return (*path[:at], words, *path[at + 1 :]) if words else (*path[:at], *path[at + 1 :])


def _swapped(words: Words, up: str, down: str) -> Words:
    wanted, instead = ("".join(pieces(word)) or word for word in (up, down))
    return tuple(instead if word == wanted else word for word in words)


def _nominal(quantities: Mapping[Path, Values], path: Path, at: int, up: str) -> Values | None:
    """The quantity without the variation: `n` of `n_jes_up`, `nominal.n` of `up.n`, `n_nominal` of `n_up`."""
    words = path[at]
    place = _place(words, up)
    assert place is not None
    before, after = words[:place], words[place + 1 :]
    names: list[Words] = [(*before, nominal, *after) for nominal in NOMINAL]
    for length in range(place, -1, -1):
        names.append((*before[:length], *after))
        names += [(*before[:length], nominal, *after) for nominal in NOMINAL]
    names += [(nominal,) for nominal in NOMINAL]
    # The mapping of variations itself: `{"n": 1, "up": {"n": 2}}`.
    for name in names:
        found = quantities.get(_put(path, at, name))
        if found is not None:
            return found
    return None
