"""Ratios that the sentence defines (`scale factor data / simulation`), recomputed from what stands beside them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.names import pieces
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions

_RATIO = re.compile(r"((?:[A-Za-z]+[ _-]){0,3}[A-Za-z]+)`?[ :=(]+`?([A-Za-z]\w*)`?\s*/\s*`?([A-Za-z]\w*)`?(?!\s*/)")
_SAME_WORDS = (
    frozenset({"mc", "sim", "simulation", "simulated", "simu", "montecarlo"}),
    frozenset({"data", "observed", "obs"}),
    frozenset({"passed", "pass", "passing"}),
    frozenset({"total", "all"}),
)
_EMPTY = r"\b(1|one|unity)\b[^.;]{0,40}\b(where|if|when|without|empty)|empty bins?"
SAME = 1e-6
APART = 1e-3


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A ratio in a document, by key and value, with what it is the ratio of."""

    place: Place
    key: str
    value: float
    above: tuple[str, float]
    below: tuple[str, float]


def ratios_as_told(case: Case) -> Iterable[Found]:
    """A ratio is what the sentence says, not its inverse, and that of nothing to nothing is no number."""
    text = " ".join(case.text.split())
    said = [(words(match[1]), words(match[2]), words(match[3]), match) for match in _RATIO.finditer(text)]
    for name, above, below, match in said:
        found = [one for place in places(case) if (one := _ratio(place, name, above, below)) is not None]
        yield from _inverted(found, f"{match[2]} / {match[3]}")
        yield from _of_nothing(case, found)


def words(text: str) -> tuple[str, ...]:
    """The words of a name or of a piece of the sentence, in small letters."""
    return tuple(word for piece in re.split(r"[ -]+", text) for word in pieces(piece))


def _ratio(place: Place, name: tuple[str, ...], above: tuple[str, ...], below: tuple[str, ...]) -> Ratio | None:
    """The ratio in a mapping whose key ends the name, and the two that stand beside it; None if one is missing."""
    numbers = {str(key): value for key, one in place.found.items() if (value := number(one)) is not None}
    key = next((key for key in numbers if pieces(key) and name[-len(pieces(key)) :] == pieces(key)), None)
    if key is None:
        return None
    for stem in dict.fromkeys(pieces(one)[:-1] for one in numbers if one != key):
        top, bottom = (_beside(numbers, stem, side) for side in (above, below))
        if top is not None and bottom is not None and key not in (top[0], bottom[0]):
            return Ratio(place=place, key=key, value=numbers[key], above=top, below=bottom)
    return None


def _beside(numbers: Mapping[str, float], stem: tuple[str, ...], side: tuple[str, ...]) -> tuple[str, float] | None:
    """The number whose name is the stem and one side of the ratio, in the same or another word for it."""
    if len(side) != 1:
        return None
    alike = next((group for group in _SAME_WORDS if side[0] in group), frozenset(side))
    found = [
        (key, value)
        for key, value in numbers.items()
        if pieces(key) and pieces(key)[:-1] == stem and pieces(key)[-1] in alike
    ]
    return found[0] if len(found) == 1 else None


def _inverted(found: list[Ratio], said: str) -> Iterator[Found]:
    """All ratios are the inverse ones, where these differ."""
    apart = [
        one for one in found if one.above[1] > 0 and one.below[1] > 0 and abs(one.above[1] / one.below[1] - 1.0) > APART
    ]
    if apart and all(math.isclose(one.value, one.below[1] / one.above[1], rel_tol=SAME) for one in apart):
        one = apart[0]
        yield Found(
            check="ratio.inverted",
            message=f"{one.place.label(one.key)} is {one.value:.6g}, which is `{one.below[0]}` / `{one.above[0]}`. The "
            f"rule says {said}: `{one.above[0]}` / `{one.below[0]}` = {one.above[1] / one.below[1]:.6g}.",
        )


def _of_nothing(case: Case, found: list[Ratio]) -> Iterator[Found]:
    """Finite ratios of two numbers that are exactly 0."""
    empty = [one for one in found if one.above[1] == one.below[1] == 0.0]
    wrong = [one for one in empty if one.value != 0 and math.isfinite(one.value)]
    if wrong:
        one = wrong[0]
        yield Found(
            check="ratio.of_nothing",
            warning=mentions(case.text, _EMPTY),
            message=f"{one.place.label(one.key)} is {one.value:g}, but `{one.above[0]}` and `{one.below[0]}` are both "
            f"0 ({len(wrong)} of {len(found)} times): that is no measurement. Why is nothing there (a cut, or edges in "
            "another unit than the column)? Write null for what cannot be told.",
        )
