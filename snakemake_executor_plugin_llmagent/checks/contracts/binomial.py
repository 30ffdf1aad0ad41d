"""Errors of efficiencies, without the numbers of events that they are of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

from snakemake_executor_plugin_llmagent.checks.case import Case
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.names import pieces
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, number
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions

SHARES = ("efficiency", "eff", "acceptance", "purity", "fraction")
ERRORS = ("error", "err", "uncertainty", "unc")
FEWEST_ROWS = 1000
"""Shorter tables may hold numbers of events rather than events."""
SMALLER, LARGER = 1.5, 3.0
"""Errors of other recipes (Clopper and Pearson, Jeffreys) and with systematics are smaller, or larger, by less."""
SAID = 2.0
"""Where the sentence says that they are binomial."""
FEWEST = 10
"""With fewer that pass, or fail, recipes differ by more."""
MOST_EVENTS = 10_000_000
"""Ratios of larger numbers cannot be told from others in double precision."""
DIGITS = 14
"""A share with fewer digits was rounded: it is not the exact ratio of two whole numbers."""


def error_of(place: Place, key: str) -> float | None:
    """The error of a share: `efficiency_data_error`, or `error_data` of `efficiency_data`; None if there is none."""
    words = pieces(key)
    names = {(*words, error) for error in ERRORS} | {(error, *words) for error in ERRORS}
    for share in SHARES:
        if share in words:
            at = words.index(share)
            names |= {(*words[:at], error, *words[at + 1 :]) for error in ERRORS}
    names.discard(words)
    told = [number(value) for one, value in place.found.items() if pieces(str(one)) in names]
    found = [value for value in told if value is not None]
    return found[0] if len(found) == 1 else None


def error_unlike(case: Case, share: float, error: float) -> Iterator[str]:
    """What is wrong with the error of a share, by all numbers of events that it may be of.

    The error is sqrt(e (1 - e) / n). The effective number of weighted entries, n = (sum w)^2 / sum w^2, is no larger
    than the number of entries (Cauchy and Schwarz), of which the inputs have only so many. And where e = k / n is the
    ratio of whole numbers, n is a multiple of the denominator of the reduced fraction.
    """
    if not 0.0 < share < 1.0 or error <= 0.0:
        return
    variance, most = share * (1.0 - share), _most(case)
    smallest = math.sqrt(variance / most) if most else 0.0
    if error * SMALLER < smallest:
        yield (
            f"an error of {error:.4g} is smaller than {smallest:.4g}, which is sqrt(e (1 - e) / n) of all {most} "
            "entries that the inputs have"
        )
    least = _least(share, most)
    times = SAID if mentions(case.text, r"\bbinomial") else LARGER
    largest = math.sqrt(variance / least) if least is not None else math.inf
    if error > times * largest:
        yield (
            f"an error of {error:.4g} does not fit: {share:.6g} is the ratio of whole numbers, with a denominator of "
            f"{least} or more, so sqrt(e (1 - e) / n) is at most {largest:.4g}. What passes is part of all: their "
            "errors are not independent"
        )


def _most(case: Case) -> int:
    """Entries of the inputs, or members of their lists; 0 if these may be numbers of events."""
    if any(part.contents is None or part.contents.histograms for part in case.inputs):
        return 0
    found = sources.entries(case)
    return found if found >= FEWEST_ROWS else 0


def _least(share: float, most: int) -> int | None:
    """The smallest number of events of which a share can be the exact ratio; None if it need not be one of events."""
    if not most or len(repr(share).lstrip("0.").replace(".", "")) < DIGITS:
        return None
    fraction = Fraction(share).limit_denominator(min(most, MOST_EVENTS))
    passing, failing = fraction.numerator, fraction.denominator - fraction.numerator
    if float(fraction) != share or min(passing, failing) < FEWEST:
        return None
    return fraction.denominator
