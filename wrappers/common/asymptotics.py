"""Profile-likelihood tests of one parameter: discovery, CLs and upper limits, by asymptotic formulas and by toys.

Formulas: G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, arXiv:1007.1727 ("CCGV" below).
CLs: A. L. Read, J. Phys. G 28 (2002) 2693.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from wrappers.common.job import Progress, WrongInput

BANDS = (-2, -1, 0, 1, 2)
TIE = 1e-6
"""Two values of a test statistic this near to each other (relative to 1 + q) are the same: counts make ties."""


@dataclass(frozen=True, kw_only=True)
class Best:
    """The minimum of a negative log-likelihood, with the parameter of interest free or fixed.

    Attributes:
        poi: its value there.
        error: its error from the curvature; 0 if it was fixed or the error was not asked for.
        nll: the negative log-likelihood, without constants that depend on the data alone if the problem likes.
        parameters: all parameters, in whatever form the problem understands.
        valid: whether the minimum was found.
    """

    poi: float
    nll: float
    error: float = 0.0
    parameters: Any = None
    valid: bool = True


class Problem(Protocol):
    """What a test needs to know: a likelihood with one parameter of interest, its data, and how to make other data."""

    poi: str
    observed: Any

    def best(self, data: Any, poi: float | None = None, *, near: Best | None = None) -> Best:
        """Minimise, with the parameter of interest fixed at `poi` or free; `near` is a place to start."""

    def hypothesis(self, poi: float) -> Best:
        """Return the parameters that stand for this hypothesis, where expected data come from."""

    def asimov(self, hypothesis: Best) -> Any:
        """Return the data in which each count and each auxiliary measurement is as expected."""

    def toy(self, hypothesis: Best, random: np.random.Generator) -> Any:
        """Return random data, auxiliary measurements included."""


def z_of(p: float) -> float:
    """Significance of a one-sided p-value, in standard deviations; 0 for p >= 0.5."""
    from scipy.stats import norm

    return max(0.0, float(norm.isf(p))) if p > 0 else math.inf


def q0(problem: Problem, data: Any, *, near: Best | None = None) -> tuple[float, Best, Best]:
    """Discovery statistic (CCGV eq. 12): 0 for a best fit at or below zero. Returns also the fits, free and at zero."""
    null = problem.best(data, 0.0, near=near)
    free = problem.best(data, near=near)
    value = 2 * (null.nll - free.nll) if free.poi > 0 else 0.0
    return max(0.0, value), free, null


def q_mu_tilde(problem: Problem, data: Any, poi: float, free: Best, null: Best) -> float:
    """Upper-limit statistic (CCGV eq. 16): one-sided, and a best fit below zero counts as zero."""
    if free.poi > poi:
        return 0.0
    best = free.nll if free.poi >= 0 else null.nll
    return max(0.0, 2 * (problem.best(data, poi, near=null).nll - best))


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """Observed and expected discovery significance with what they came from."""

    q_observed: float
    q_expected: float
    free: Best
    null: Best
    expected_poi: float

    @property
    def z_observed(self) -> float:
        """Square root of q0 (CCGV eq. 53)."""
        return math.sqrt(self.q_observed)

    @property
    def z_expected(self) -> float:
        """The same on the Asimov data (CCGV section 4.2)."""
        return math.sqrt(self.q_expected)


def discovery(problem: Problem, expected_poi: float | None = None) -> Discovery:
    """Test the hypothesis that the parameter of interest is zero.

    Args:
        problem: likelihood and data.
        expected_poi: value for which the expected significance is meant; the best fit if None.
    """
    q, free, null = q0(problem, problem.observed)
    wanted = max(0.0, free.poi) if expected_poi is None else expected_poi
    q_expected = q0(problem, problem.asimov(problem.hypothesis(wanted)))[0] if wanted > 0 else 0.0
    return Discovery(q_observed=q, q_expected=q_expected, free=free, null=null, expected_poi=wanted)


def tail(values: np.ndarray, observed: float) -> int:
    """Count the values that are at least as large as the observed one; ties count."""
    return int(np.count_nonzero(values >= observed - TIE * (1 + abs(observed))))


def binomial(number: int, total: int) -> dict[str, Any]:
    """Describe a p-value from toys: k/n with its binomial error; for k = 0 it is 1/n, an upper limit."""
    p = max(number, 1) / total
    error = math.sqrt(p * (1 - p) / total)
    return {"p": p, "p_error": error, "z": z_of(p), "n_at_least": number, "n": total, "p_is_upper_limit": number == 0}


def spread(work: Callable[[int], Any], number: int, threads: int, what: str) -> Iterator[Any]:
    """Yield `work(0)`, ..., `work(number - 1)` in this order, done by as many processes as there are threads."""
    import multiprocessing
    import signal

    progress = Progress(what, number, "toys")
    if threads <= 1 or "fork" not in multiprocessing.get_all_start_methods():
        for index in range(number):
            yield work(index)
            progress.add(1)
        return
    global _work  # only so can a closure reach the processes: they inherit it by fork
    _work = work
    # Until a process has forgotten our handlers, whoever ends it has to wait: a handler would swallow that for good.
    allowed = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        pool = multiprocessing.get_context("fork").Pool(threads, initializer=_end_when_told)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, allowed)
    with pool:
        for result in pool.imap(_inherited, range(number), chunksize=max(1, number // (threads * 20))):
            yield result
            progress.add(1)


_work: Callable[[int], Any]


def _end_when_told() -> None:
    """Forget a handler of whoever forked, with which a process would not end when the pool does."""
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _inherited(index: int) -> Any:
    return _work(index)


def discovery_toys(
    problem: Problem, hypothesis: Best, number: int, *, seed: Sequence[int], threads: int = 1, what: str = "toys"
) -> tuple[np.ndarray, int]:
    """Return q0 of toys made under a hypothesis, shape (valid toys,), and how many fits failed.

    Each toy has its own random numbers, so the result does not depend on the threads.
    """

    def one(index: int) -> float:
        data = problem.toy(hypothesis, np.random.default_rng([*seed, index]))
        value, free, null = q0(problem, data, near=hypothesis)
        return value if free.valid and null.valid else math.nan

    values = np.array(list(spread(one, number, threads, what)))
    good = values[np.isfinite(values)]
    if len(good) < 0.9 * number:
        raise WrongInput(f"{number - len(good)} of {number} toy fits failed: the model is not stable enough for toys")
    return good, number - len(good)


@dataclass(kw_only=True)
class Scan:
    """CLs as a function of the parameter of interest, by asymptotic formulas; fits are made once per value.

    Attributes:
        problem: likelihood and data.
        free: fit to the data.
        null: fit to the data with the parameter at zero.
        asimov: data expected without signal, and the fits to them.
    """

    problem: Problem
    free: Best
    null: Best
    asimov: tuple[Any, Best, Best]
    known: dict[tuple[str, float], float] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> "Scan":
        """Make the fits that do not depend on the tested value."""
        null, free = problem.best(problem.observed, 0.0), problem.best(problem.observed)
        hypothesis = problem.hypothesis(0.0)
        data = problem.asimov(hypothesis)
        zero = problem.best(data, 0.0, near=hypothesis)
        flat = problem.best(data, near=hypothesis)
        # The Asimov data fit exactly at zero; a search that ends a bit beside it must not spoil the difference.
        return cls(problem=problem, free=free, null=null, asimov=(data, flat if flat.nll < zero.nll else zero, zero))

    def q(self, poi: float) -> float:
        """Return the statistic of the data."""
        if ("data", poi) not in self.known:
            self.known["data", poi] = q_mu_tilde(self.problem, self.problem.observed, poi, self.free, self.null)
        return self.known["data", poi]

    def root(self, poi: float) -> float:
        """Return the square root of the statistic of the Asimov data: how far the hypothesis is from no signal."""
        if ("asimov", poi) not in self.known:
            data, free, null = self.asimov
            value = 2 * (self.problem.best(data, poi, near=null).nll - min(free.nll, null.nll))
            self.known["asimov", poi] = math.sqrt(max(0.0, value))
        return self.known["asimov", poi]

    def log_cls(self, poi: float, band: int | None = None) -> float:
        """Logarithm of CLs: observed (CCGV eq. 59, 65, 66), or expected at -2, ..., 2 sigma (CCGV section 4.3)."""
        from scipy.stats import norm

        root = self.root(poi)
        if band is not None:
            return float(norm.logsf(root - band) - norm.logcdf(band))
        observed = self.q(poi)
        shift = math.sqrt(observed)
        if shift <= root or root == 0:
            return float(norm.logsf(shift) - norm.logcdf(root - shift))
        mean, half = observed / (2 * root), root / 2
        return float(norm.logsf(mean + half) - norm.logsf(mean - half))

    def limit(self, alpha: float, band: int | None = None) -> float:
        """Return the value whose CLs is `alpha`.

        Raises:
            WrongInput: if no value can be excluded.
        """
        from scipy.optimize import brentq

        unit = self.width()
        # CLs at a band falls with the distance of the hypothesis alone, which is nearly proportional to the value.
        guess = unit * _distance(alpha, 0 if band is None else band)
        if band is None:
            guess += max(0.0, self.free.poi)
        low, high = 0.9 * guess, 1.1 * guess
        for _ in range(60):
            if self.log_cls(high, band) < math.log(alpha):
                break
            low, high = high, high + 0.5 * (high - low) + 0.3 * high
        else:
            raise WrongInput(
                f"no upper limit on {self.problem.poi}: even {high:.3g} is not excluded; is there any signal?"
            )
        for _ in range(200):
            if self.log_cls(low, band) >= math.log(alpha):
                break
            low, high = 0.7 * low, low
        return float(brentq(lambda poi: self.log_cls(poi, band) - math.log(alpha), low, high, rtol=1e-4, xtol=1e-12))

    def width(self) -> float:
        """Return the error of the parameter of interest without signal (CCGV eq. 29)."""
        step = self.free.error if self.free.error > 0 else max(abs(self.free.poi), 1.0)
        for _ in range(20):
            if self.root(step) > 0.3:
                return step / self.root(step)
            step *= 4
        raise WrongInput(f"no upper limit on {self.problem.poi}: the likelihood does not depend on it")


def _distance(alpha: float, band: int) -> float:
    """Return the distance of the hypothesis from no signal at which CLs is alpha (CCGV eq. 89)."""
    from scipy.stats import norm

    return float(norm.isf(alpha * norm.cdf(band)) + band)


@dataclass(frozen=True, kw_only=True)
class ToyScan:
    """CLs from toys at some values of the parameter of interest.

    Attributes:
        poi: tested values, rising, shape (values,).
        observed: CLs, shape (values,).
        errors: their binomial errors, shape (values,).
        expected: CLs at -2, ..., 2 sigma, shape (5, values).
        n_failed: fits that were left out.
    """

    poi: np.ndarray
    observed: np.ndarray
    errors: np.ndarray
    expected: np.ndarray
    n_failed: int

    def limit(self, alpha: float, values: np.ndarray) -> float | None:
        """Return where the values cross `alpha` first, by a straight line in log CLs; None if they do not."""
        floor = np.log(np.maximum(values, 1e-6)) - math.log(alpha)
        for left in range(len(floor) - 1):
            if floor[left] >= 0 > floor[left + 1]:
                share = floor[left] / (floor[left] - floor[left + 1])
                return float(self.poi[left] + share * (self.poi[left + 1] - self.poi[left]))
        return None

    def error(self, alpha: float) -> float | None:
        """Return the error of the observed limit that comes from the number of toys, by moving CLs by its error."""
        sides = [self.limit(alpha, np.clip(self.observed + sign * self.errors, 0, 1)) for sign in (-1, 1)]
        return None if sides[0] is None or sides[1] is None else (sides[1] - sides[0]) / 2


def toy_scan(scan: Scan, values: Sequence[float], number: int, *, seed: int, threads: int = 1) -> ToyScan:
    """Find CLs at some values from toys with and without signal; nuisance parameters are those fitted to the data.

    The same toys without signal serve all values. The expected CLs are quantiles over the toys without signal.

    Args:
        scan: fits to the data.
        values: of the parameter of interest, rising, above zero.
        number: of toys, for each value and without signal.
        seed: of the random numbers.
        threads: processes.
    """
    problem = scan.problem
    background = problem.hypothesis(0.0)

    def without(index: int) -> list[float]:
        data = problem.toy(background, np.random.default_rng([seed, 0, index]))
        _, free, null = q0(problem, data, near=background)
        found = [q_mu_tilde(problem, data, poi, free, null) for poi in values]
        return found if free.valid and null.valid else [math.nan] * len(values)

    flat = np.array(list(spread(without, number, threads, "toys without signal")))
    good = np.isfinite(flat).all(axis=1)
    n_failed = int((~good).sum())
    flat = flat[good]
    rows = []
    for place, poi in enumerate(values):
        hypothesis = problem.hypothesis(poi)

        def within(index: int, poi: float = poi, hypothesis: Best = hypothesis, place: int = place) -> float:
            data = problem.toy(hypothesis, np.random.default_rng([seed, place + 1, index]))
            _, free, null = q0(problem, data, near=hypothesis)
            return q_mu_tilde(problem, data, poi, free, null) if free.valid and null.valid else math.nan

        signal = np.array(list(spread(within, number, threads, f"toys with {problem.poi} = {poi:.4g}")))
        n_failed += int((~np.isfinite(signal)).sum())
        rows.append(_cls_of_toys(scan.q(poi), signal[np.isfinite(signal)], flat[:, place]))
    observed, errors, expected = (np.array([row[part] for row in rows]) for part in range(3))
    return ToyScan(poi=np.array(values), observed=observed, errors=errors, expected=expected.T, n_failed=n_failed)


def _cls_of_toys(observed: float, signal: np.ndarray, flat: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Return CLs, its binomial error, and the quantiles of CLs over the toys without signal, shape (5,)."""
    from scipy.stats import norm

    clsb, clb = tail(signal, observed) / len(signal), max(tail(flat, observed), 1) / len(flat)
    relative = [(1 - p) / (p * n) for p, n in ((max(clsb, 1 / len(signal)), len(signal)), (clb, len(flat)))]
    error = max(clsb, 1 / len(signal)) / clb * math.sqrt(sum(relative))
    ordered = np.sort(flat)[::-1]
    # CLs rises as q falls: the quantile of CLs at n sigma is CLs at the opposite quantile of q.
    places = [min(len(flat) - 1, max(0, math.ceil(float(norm.cdf(band)) * len(flat)) - 1)) for band in BANDS]
    quantiles = [ordered[place] for place in places]
    expected = [min(1.0, tail(signal, q) / len(signal) / (max(tail(flat, q), 1) / len(flat))) for q in quantiles]
    return min(1.0, clsb / clb), error, np.array(expected)
