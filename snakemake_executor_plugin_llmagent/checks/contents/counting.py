"""Upper limits of counting experiments with an uncertain background, by the usual two ways.

CLs(mu) = P(n <= n_obs | mu s + b) / P(n <= n_obs | b), and the limit is where it is 1 - CL (A. L. Read, J. Phys. G 28
(2002) 2693). `exact`: Poisson probabilities, averaged over a Gaussian of the background that is cut off at zero (R. D.
Cousins, V. L. Highland, Nucl. Instrum. Meth. A 320 (1992) 331). `asymptotic`: the profile likelihood with a control
region that has the same uncertainty (G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, eqs.
14 and 88).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.contents.tails import p_of, z_of

BANDS = {"-2": -2.0, "-1": -1.0, "0": 0.0, "1": 1.0, "2": 2.0}
"""Expected limits and the standard deviations that they are for."""
NODES, FAR = 64, 6.0
"""Points of the average over the background, and how far they reach [standard deviations]."""
MANY = 300
"""From so many events on Poisson probabilities are those of Wilson and Hilferty, right to 1e-4."""
MOST = 10_000_000
"""More events than these are no counting experiment that would be looked at [events]."""
STEPS = 40
Numbers = np.ndarray[Any, Any]
Limits = Mapping[str, float]
"""The observed limit under `observed`, expected ones by their band."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a counting experiment has seen and expects.

    Attributes:
        observed: events.
        signal: expected at mu = 1.
        background: expected without signal.
        relative: uncertainty of the background, over the background.
        level: of confidence.
    """

    observed: float
    signal: float
    background: float
    relative: float = 0.0
    level: float = 0.95

    @property
    def possible(self) -> bool:
        """Whether limits can be told."""
        finite = all(map(math.isfinite, (self.observed, self.signal, self.background, self.relative)))
        positive = finite and self.signal > 0 and self.background > 0 and self.observed >= 0 and self.relative >= 0
        few = positive and max(self.observed, self.background) <= MOST
        return few and self.relative <= 1.0 and 0.5 <= self.level < 1.0


def exact(counts: Counts, *, plus_b: bool = False, fewer: int = 0, fewer_expected: int = 0) -> Limits:
    """Limits from Poisson probabilities.

    Args:
        counts: the experiment.
        plus_b: not divided by P(n <= n_obs | b).
        fewer: so many events less are counted for the observed limit; 1 is P(n < n_obs).
        fewer_expected: the same for expected limits.
    """
    found = {"observed": _exact(counts, max(0, round(counts.observed) - fewer), plus_b)}
    for band, z in BANDS.items():
        found[band] = _exact(counts, max(0, quantile(counts, z) - fewer_expected), plus_b)
    return found


@lru_cache(maxsize=512)
def _exact(counts: Counts, n: int, plus_b: bool) -> float:
    wanted = (1.0 - counts.level) * (1.0 if plus_b else at_most(counts, n, 0.0))
    return _root(lambda mu: at_most(counts, n, mu) - wanted, counts)


def quantile(counts: Counts, z: float) -> int:
    """The smallest number of events with P(n <= it | b) of at least that of z standard deviations."""
    wanted, spread = p_of(-z), math.sqrt(counts.background + (counts.relative * counts.background) ** 2)
    low, high = -1, math.ceil(counts.background + (FAR + abs(z)) * spread + 10.0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if at_most(counts, middle, 0.0) >= wanted else (middle, high)
    return high


def at_most(counts: Counts, n: int, mu: float) -> float:
    """P(at most n events), averaged over the background."""
    points, shares = _points(counts.relative)
    return float(np.dot(shares, _at_most(n, mu * counts.signal + counts.background * points)))


@lru_cache(maxsize=16)
def _points(relative: float) -> tuple[Numbers, Numbers]:
    """Backgrounds in units of the expected one, and their probabilities (Gauss and Legendre)."""
    if relative <= 0.0:
        return np.ones(1), np.ones(1)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    lowest = max(-FAR, -1.0 / relative)
    z = lowest + 0.5 * (FAR - lowest) * (nodes + 1.0)
    shares = weights * np.exp(-0.5 * z * z)
    return 1.0 + relative * z, shares / shares.sum()


def _at_most(n: int, means: Numbers) -> Numbers:
    """P(at most n events) for each mean."""
    if n < 0:
        return np.zeros_like(means)
    if n > MANY:
        k = n + 1.0
        z = 3.0 * math.sqrt(k) * ((np.maximum(means, 1e-300) / k) ** (1.0 / 3.0) - 1.0 + 1.0 / (9.0 * k))
        return np.array([p_of(float(one)) for one in z])
    logs = np.array([math.lgamma(one + 1.0) for one in range(n + 1)])
    terms = np.outer(np.log(np.maximum(means, 1e-300)), np.arange(n + 1)) - logs - means[:, None]
    return np.asarray(np.minimum(1.0, np.exp(terms).sum(axis=1)))


def _root(falling: Callable[[float], float], counts: Counts) -> float:
    """Where a function of mu that falls comes to 0; 0 if it begins below."""
    if falling(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, max(1.0, math.sqrt(counts.background)) / counts.signal
    while falling(high) > 0.0:
        low, high = high, 2.0 * high
        if not math.isfinite(high):
            return math.nan
    for _ in range(STEPS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if falling(middle) > 0.0 else (low, middle)
        if high - low < 1e-6 * high:
            break
    return 0.5 * (low + high)


# --- asymptotic -----------------------------------------------------------------------------------------------------


def asymptotic(counts: Counts, *, plus_b: bool = False) -> Limits:
    """Limits from the distributions that the profile likelihood ratio has for many events."""
    alpha = 1.0 - counts.level

    def observed(mu: float) -> float:
        q, q_a = (max(0.0, _q(counts, n, mu)) for n in (counts.observed, counts.background))
        above, below = _tails(q, q_a)
        return above - alpha * (1.0 if plus_b else below)

    def expected(z: float) -> float:
        wanted = z + (z_of(alpha) if plus_b else z_of(alpha * p_of(-z)))
        return _root(lambda mu: wanted - math.sqrt(max(0.0, _q(counts, counts.background, mu))), counts)

    return {"observed": _root(observed, counts), **{band: expected(z) for band, z in BANDS.items()}}


def _tails(q: float, q_a: float) -> tuple[float, float]:
    """P(a larger q) with signal and without; eqs. 65 and 66."""
    root = math.sqrt(q_a)
    if q <= q_a or root == 0.0:
        return p_of(math.sqrt(q)), p_of(math.sqrt(q) - root)
    return p_of((q + q_a) / (2.0 * root)), p_of((q - q_a) / (2.0 * root))


def _q(counts: Counts, n: float, mu: float) -> float:
    """q~ of mu for n events, with the background fitted; 0 above the best mu."""
    s, b = counts.signal, counts.background
    if n >= mu * s + b:
        return 0.0
    best = b if n >= b else _fitted(counts, n, 0.0)
    return 2.0 * (_nll(counts, n, mu, _fitted(counts, n, mu)) - _nll(counts, n, max(0.0, (n - b) / s), best))


def _fitted(counts: Counts, n: float, mu: float) -> float:
    """The background that fits best to n and to a control region in which 1 / relative^2 events are, as expected."""
    b = counts.background
    if counts.relative <= 0.0:
        return b
    tau = 1.0 / (counts.relative**2 * b)
    first = n + tau * b - (1.0 + tau) * mu * counts.signal
    return (first + math.sqrt(first**2 + 4.0 * (1.0 + tau) * tau * b * mu * counts.signal)) / (2.0 * (1.0 + tau))


def _nll(counts: Counts, n: float, mu: float, background: float) -> float:
    mean = mu * counts.signal + background
    told = mean - (n * math.log(mean) if n > 0 else 0.0)
    if counts.relative > 0.0:
        control = 1.0 / counts.relative**2
        ratio = background / counts.background
        told += control * (ratio - math.log(max(ratio, 1e-300)))
    return told
