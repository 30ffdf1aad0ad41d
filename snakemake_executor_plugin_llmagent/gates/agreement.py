"""Whether the numbers of two scripts that do not know each other agree."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.gates.numbers import BETWEEN, error_beside
from snakemake_executor_plugin_llmagent.text import one_line

EXACT = 1e-6
"""Counts and sums agree to this [relative]."""
OF_ERROR = 0.1
"""A number with an uncertainty beside it agrees within this fraction of it."""
RELATIVE = 1e-3
"""Other numbers agree to this [relative]."""
COUNTS = frozenset({"n", "n_events", "events", "entries", "count", "counts", "yield", "ndf", "observed"})
"""Last parts of the names of counts and sums."""
OWN = frozenset({"fmin", "edm", "nfcn", "ngrad", "nfev", "n_calls", "iterations", "seed"})
"""Last parts of the names of numbers that say how a script works, and nothing of the result."""
MOST_LISTED = 10
_INDEX = re.compile(r"\[\d+\]")
_MATRIX = re.compile(r"^(.*)\[(\d+)\]\[(\d+)\]$")


@dataclass(frozen=True)
class Pair:
    """A number that two scripts have.

    Attributes:
        name: its place in the outputs.
        mine, other: its values.
        allowed: how far they may be apart.
    """

    name: str
    mine: float
    other: float
    allowed: float

    @property
    def apart(self) -> float:
        """How far the values are apart."""
        return abs(self.mine - self.other)

    @property
    def agrees(self) -> bool:
        """Whether they are no farther apart than is allowed."""
        return self.apart <= self.allowed

    @property
    def excess(self) -> float:
        """How far they are apart, in units of what is allowed."""
        if self.allowed:
            return self.apart / self.allowed
        return math.inf if self.apart else 0.0


@dataclass(frozen=True)
class Agreement:
    """Two sets of numbers compared.

    Attributes:
        pairs: the numbers of both, the worst first.
        mine, other: names that only one of them has.
    """

    pairs: tuple[Pair, ...]
    mine: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def apart(self) -> tuple[Pair, ...]:
        """The numbers that do not agree."""
        return tuple(pair for pair in self.pairs if not pair.agrees)


def compare(mine: Mapping[str, float], other: Mapping[str, float], tolerance: float | None = None) -> Agreement:
    """Compare the numbers of two scripts by name.

    Args:
        mine: those of the candidate.
        other: those of the second script.
        tolerance: how far numbers may be apart [relative]; None: what suits their kind.
    """
    mine = {name: value for name, value in mine.items() if is_result(name)}
    other = {name: value for name, value in other.items() if is_result(name)}
    pairs = [
        Pair(name, mine[name], other[name], _allowed(name, mine, other, tolerance)) for name in mine if name in other
    ]
    return Agreement(
        tuple(sorted(pairs, key=lambda pair: -pair.excess)),
        tuple(name for name in mine if name not in other),
        tuple(name for name in other if name not in mine),
    )


def is_result(name: str) -> bool:
    """Whether a number says something of the result; pixels, limits of parameters and calls of a minimiser do not."""
    inner = name.rpartition(BETWEEN)[2]
    parts = [_INDEX.sub("", part).lower() for part in inner.split(".")]
    return not inner.startswith(("pixels:", "text[")) and parts[-1] not in OWN and "limits" not in parts


def _allowed(name: str, mine: Mapping[str, float], other: Mapping[str, float], tolerance: float | None) -> float:
    size = max(abs(mine[name]), abs(other[name]))
    if matrix := _MATRIX.match(name):
        size = max(size, _of_diagonal(matrix, mine), _of_diagonal(matrix, other))
    if tolerance is not None:
        return tolerance * size
    if _is_count(name, mine[name], other[name]):
        return EXACT * size
    errors = [error for numbers in (mine, other) if (error := error_beside(name, numbers)) is not None]
    return OF_ERROR * min(errors) if errors else RELATIVE * size


def _is_count(name: str, *values: float) -> bool:
    inner = name.rpartition(BETWEEN)[2]
    if ":" in inner:
        return inner.endswith((":n", ":entries", ":sum"))
    last = _INDEX.sub("", inner.rpartition(".")[2]).lower()
    return last in COUNTS or (last != "value" and all(value.is_integer() for value in values))


def _of_diagonal(matrix: re.Match[str], numbers: Mapping[str, float]) -> float:
    """The scale of an element of a covariance or correlation, which may itself be nearly zero."""
    start, row, column = matrix.groups()
    diagonal = [numbers.get(f"{start}[{index}][{index}]", 0.0) for index in (row, column)]
    return math.sqrt(abs(diagonal[0] * diagonal[1]))


def in_words(pairs: Sequence[Pair]) -> str:
    """The worst pairs as a table."""
    rows = ["| number | yours | the other's | apart | allowed |", "|---|---|---|---|---|"]
    rows += [
        f"| {one_line(pair.name, 80)} | {pair.mine:.8g} | {pair.other:.8g} | {pair.apart:.3g} | {pair.allowed:.2g} |"
        for pair in pairs[:MOST_LISTED]
    ]
    more = len(pairs) - MOST_LISTED
    return "\n".join([*rows, *([f"and {more} more"] if more > 0 else [])])
