"""How far results spread over the variations of a script."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from snakemake_executor_plugin_llmagent.gates.numbers import BETWEEN, ERRORS, error_beside
from snakemake_executor_plugin_llmagent.variations.runs import Run

RESULTS = frozenset(
    {"value", "yield", "z_obs", "z_exp", "p0", "observed", "significance", "mu", "mass", "limit", "signal"}
)
"""Last parts of the names of results."""
SAME = 1e-12
"""Numbers that differ by less are the same, relative to their size."""
_BIN = re.compile(r"\[\d+\]$")


@dataclass(frozen=True)
class Quantity:
    """A number over all runs.

    Attributes:
        name: its place in the outputs.
        nominal: in the run of the script as it is; None if it is not there.
        error: the uncertainty that stands beside it, if one does.
        values: in the other runs, in their order; None where it is not there.
        errors: its uncertainty there.
    """

    name: str
    nominal: float | None
    error: float | None
    values: tuple[float | None, ...]
    errors: tuple[float | None, ...]

    @cached_property
    def known(self) -> tuple[float, ...]:
        """All values that there are."""
        return tuple(value for value in (self.nominal, *self.values) if value is not None)

    @property
    def spread(self) -> float:
        """Largest minus smallest value, the nominal one among them."""
        return max(self.known) - min(self.known)

    @property
    def deviation(self) -> float:
        """Standard deviation of the values (of n-1), the nominal one among them."""
        return statistics.stdev(self.known) if len(self.known) > 1 else 0.0

    @property
    def changes(self) -> bool:
        """Whether any run came to another number."""
        return self.spread > SAME * max(map(abs, self.known))

    def difference(self, value: float | None) -> float | None:
        """A value minus the nominal one."""
        return None if value is None or self.nominal is None else value - self.nominal

    @cached_property
    def rank(self) -> int:
        """0 for results; 1 for uncertainties; 2 for other numbers of documents; 3 for sums; 4 for the rest."""
        inner = self.name.rpartition(BETWEEN)[2]
        last = re.split(r"[./]", inner)[-1].lower()
        if ":" in last:
            return 3 if last.endswith((":sum", ":entries", ":mean")) else 4
        if _BIN.search(last) or inner.startswith("text["):
            return 4
        if self.error is not None or last in RESULTS:
            return 0
        return 1 if last in ERRORS or last.endswith(tuple(f"_{word}" for word in ERRORS)) else 2


def quantities(nominal: Run, others: Sequence[Run]) -> tuple[Quantity, ...]:
    """All numbers of all runs, results first, in the order in which the outputs have them."""
    names = dict.fromkeys(name for run in (nominal, *others) for name in run.numbers)
    found = [
        Quantity(
            name,
            nominal.numbers.get(name),
            error_beside(name, nominal.numbers),
            tuple(run.numbers.get(name) for run in others),
            tuple(error_beside(name, run.numbers) for run in others),
        )
        for name in names
    ]
    return tuple(sorted(found, key=lambda quantity: quantity.rank))


def digits(*scales: float | None) -> int:
    """How many decimals show the smallest of some scales by two digits."""
    sizes = [abs(scale) for scale in scales if scale]
    if not sizes:
        return 3
    return max(0, min(12, 1 - math.floor(math.log10(min(sizes)))))
