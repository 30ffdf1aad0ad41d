"""Tails of distributions, in closed form."""

from __future__ import annotations

import math


def p_of(z: float) -> float:
    """One-sided p-value of a significance."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def z_of(p: float) -> float:
    """Significance of a one-sided p-value, negative above 0.5."""
    from statistics import NormalDist

    if p <= 0.0:
        return math.inf
    return -math.inf if p >= 1.0 else -NormalDist().inv_cdf(p)


def chi2_above(chi2: float, ndf: int) -> float:
    """Probability of a larger chi2.

    With x = chi2 / 2 the sum of x^k exp(-x) / k! over k = 0 ... ndf / 2 - 1 for even ndf; for odd ones k is
    half-integer, and erfc(sqrt x) is added.
    """
    x = 0.5 * chi2
    if x <= 0.0:
        return 1.0
    k = 0.5 if ndf % 2 else 0.0
    total = math.erfc(math.sqrt(x)) if ndf % 2 else 0.0
    while k < 0.5 * ndf:
        total += math.exp(k * math.log(x) - x - math.lgamma(k + 1.0))
        k += 1.0
    return min(1.0, total)


def poisson_above(n: int, mean: float) -> float:
    """Probability of `n` or more events where `mean` are expected."""
    if n <= 0:
        return 1.0
    if mean <= 0.0:
        return 0.0
    if mean > 1e5:
        return p_of((n - 0.5 - mean) / math.sqrt(mean))
    if n > mean:
        k, total = n, 0.0
        while True:
            term = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1.0))
            total += term
            if term <= 1e-16 * total:
                return total
            k += 1
    return 1.0 - sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1.0)) for k in range(n))
