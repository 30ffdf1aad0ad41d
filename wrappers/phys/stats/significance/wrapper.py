"""Discovery significance by the profile likelihood, of a HistFactory workspace, a fit, or a counting experiment."""

__author__ = "The snakemake-executor-plugin-llmagent developers"
__copyright__ = "Copyright 2026, the snakemake-executor-plugin-llmagent developers"
__license__ = "MIT"

import os

# Arrays are small here: threads within NumPy cost more than they bring, and toys are shared among processes.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

# --- common: job (kept by wrappers/embed.py; edit wrappers/common/job.py) ---
# What every wrapper does around its work: log, errors, parameters, progress, provenance, whole files or none.

import contextlib
import difflib
import gc
import hashlib
import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Importing packages makes many objects that stay: looking through them for garbage takes a tenth of a short job's time.
gc.set_threshold(50_000, 20, 100)

VERSION = "0.1.0"
HASHED_BYTES = 64 * 1024 * 1024
"""Inputs up to this size are identified by their SHA-256 in the provenance; larger ones by their size alone."""


class WrongInput(Exception):
    """The person who wrote the rule can mend this: the message says which file or parameter, and what to do."""


@contextlib.contextmanager
def logged(snakemake: Any) -> Iterator[None]:
    """Send everything that is printed to the rule's log, and errors to the terminal too.

    Raises:
        SystemExit: with status 1 after a `WrongInput`, whose message is shown without a traceback.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    path = Path(snakemake.log[0]) if len(snakemake.log) else None
    message = ""
    try:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
        try:
            yield
        except WrongInput as error:
            message = f"Error: {error}\n"
        except Exception:
            message = traceback.format_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        if message and path:
            os.write(2, message.encode())
    finally:
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)
        gc.freeze()  # the job is done: nothing is worth a last look for garbage
    if message:
        sys.stderr.write(message)
        raise SystemExit(1)


def near(name: str, names: Iterable[str], *, most: int = 5) -> str:
    """Say which of `names` are like `name`: text for the end of an error message."""
    known = sorted(set(map(str, names)))
    lowered = {one.lower(): one for one in known}
    alike = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=most, cutoff=0.5)]
    if alike:
        return f"Did you mean {', '.join(alike)}?"
    shown = ", ".join(known[:20]) + (f", and {len(known) - 20} more" if len(known) > 20 else "")
    return f"There are: {shown}." if known else "There are none."


def parameters(snakemake: Any, defaults: Mapping[str, Any], *, required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the rule's params, completed by defaults.

    Args:
        snakemake: the object that Snakemake gives to a script.
        defaults: what params there are, and their values where the rule names none.
        required: params without a default.

    Raises:
        WrongInput: for an unknown, unnamed or missing param.
    """
    given = dict(snakemake.params.items())
    if len(snakemake.params) > sum(1 for _ in given):
        raise WrongInput('params: each needs a name, as in `params: cut="..."`')
    known = [*required, *defaults]
    for name in given:
        if name not in known:
            raise WrongInput(f"params: there is no {name!r}. {near(name, known)}")
    for name in required:
        if given.get(name) is None:
            raise WrongInput(f"params: {name!r} is missing")
    return {**defaults, **given}


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return the value of a param that is one of some words, or raise `WrongInput`."""
    if value not in options:
        raise WrongInput(f"params: {name}={value!r} is none of {', '.join(options)}. {near(str(value), options)}")
    return str(value)


def existing(paths: Iterable[Any]) -> list[str]:
    """Return paths as text after looking whether the local ones are files.

    Raises:
        WrongInput: naming the first file that is missing or empty, and files with similar names beside it.
    """
    texts = [str(path) for path in paths]
    for text in texts:
        if "://" in text:
            continue
        path = Path(text)
        if not path.is_file():
            beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            raise WrongInput(f"{text}: no such file. {near(path.name, beside)}")
        if path.stat().st_size == 0:
            raise WrongInput(f"{text}: the file is empty")
    return texts


def provenance(snakemake: Any, wrapper: str, packages: Sequence[str]) -> dict[str, Any]:
    """Describe how an output came about, without anything that differs from one run to the next.

    Args:
        snakemake: the object that Snakemake gives to a script.
        wrapper: the wrapper's place in the collection, such as `phys/uproot/skim`.
        packages: distributions whose versions matter.
    """
    return {
        "wrapper": wrapper,
        "version": VERSION,
        "inputs": [_identity(str(path)) for path in snakemake.input],
        "params": json.loads(json.dumps(dict(snakemake.params.items()), default=str, sort_keys=True)),
        "packages": {name: importlib.metadata.version(name) for name in sorted(packages)},
    }


def _identity(path: str) -> dict[str, Any]:
    if "://" in path or not Path(path).is_file():
        return {"file": path}
    size = Path(path).stat().st_size
    identity: dict[str, Any] = {"file": Path(path).name if Path(path).is_absolute() else path, "bytes": size}
    if size <= HASHED_BYTES:
        identity["sha256"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return identity


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[Path]:
    """Yield a hidden name beside `path` (same suffix) to write to; it becomes `path` if all goes well, else it goes."""
    final = Path(str(path))
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}.{final.name}")
    try:
        yield partial
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Any, value: Any) -> None:
    """Write JSON for people and programs: indented, in the order given, whole or not at all; NaN is an error."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


class Progress:
    """Lines in the log about how far long work has come, at most one every few seconds."""

    def __init__(self, what: str, total: int, unit: str = "events", *, every: float = 5.0) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = 0
        self.started = self.said = time.monotonic()

    def add(self, number: int) -> None:
        """Count `number` more; print a line if the last one is some seconds old."""
        self.done += number
        now = time.monotonic()
        if now - self.said >= self.every and self.done:
            self.said = now
            left = (now - self.started) * (self.total / self.done - 1)
            share = 100 * self.done / max(self.total, 1)
            print(
                f"{self.what}: {self.done:,} of {self.total:,} {self.unit} ({share:.0f} %), {left:.0f} s left",
                flush=True,
            )


# --- end of common ---

# --- common: figures (kept by wrappers/embed.py; edit wrappers/common/figures.py) ---
# Save figures: the same bytes for the same figure, with provenance, whole or not at all.

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


FIGURES = (".png", ".pdf", ".svg")


def check_figure(path: Any) -> None:
    """Raise `WrongInput` unless figures are written to files with this suffix."""
    if Path(str(path)).suffix not in FIGURES:
        raise WrongInput(
            f"{path}: figures are written to {', '.join(FIGURES)} files, not to {Path(str(path)).suffix!r}"
        )


def new_figure(width: float, height: float) -> Any:
    """Return an empty matplotlib figure of this size in inches, without pyplot and so without a display."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update(
        {
            "svg.hashsalt": "phys",
            "font.size": 11,
            "axes.labelsize": 12,
            "legend.frameon": False,
            "xtick.direction": "in",
            "ytick.direction": "in",
            "xtick.top": True,
            "ytick.right": True,
            "xtick.minor.visible": True,
            "ytick.minor.visible": True,
            # in the corner, the labels of both axes do not touch
            "xtick.major.pad": 6,
            "ytick.major.pad": 6,
            "mathtext.fontset": "dejavusans",
        }
    )
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Any, path: Any, provenance: Mapping[str, Any]) -> None:
    """Write a matplotlib figure to a .png, .pdf or .svg file."""
    text = json.dumps(provenance, sort_keys=True)
    suffix = Path(str(path)).suffix
    metadata: dict[str, Any] = {
        ".png": {"provenance": text},
        ".pdf": {"Subject": text, "CreationDate": None},
        ".svg": {"Description": text, "Date": None},
    }[suffix]
    with replacing(path) as partial:
        figure.savefig(partial, dpi=150, metadata=metadata)


# --- end of common ---

# --- common: asymptotics (kept by wrappers/embed.py; edit wrappers/common/asymptotics.py) ---
# Profile-likelihood tests of one parameter: discovery, CLs and upper limits, by asymptotic formulas and by toys.
#
# Formulas: G. Cowan, K. Cranmer, E. Gross, O. Vitells, Eur. Phys. J. C 71 (2011) 1554, arXiv:1007.1727 ("CCGV" below).
# CLs: A. L. Read, J. Phys. G 28 (2002) 2693.
#

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


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


# --- end of common ---

# --- common: histfactory (kept by wrappers/embed.py; edit wrappers/common/histfactory.py) ---
# HistFactory workspaces: reading them, pyhf's model of them, and its minimum by iminuit.

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def constraint(model: Any, parameters: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return expected auxiliary data and their Gaussian errors, NaN for Poisson ones; shape (auxiliary,) each."""
    expected, sigmas = np.asarray(model.expected_auxdata(parameters)), []
    for name in model.config.auxdata_order:
        parset = model.config.param_set(name)
        poisson = parset.pdf_type == "poisson"
        sigmas += [math.nan] * parset.n_parameters if poisson else list(parset.width())
    return expected, np.array(sigmas, dtype=float)


BATCH_CELLS = 10_000_000
"""So many numbers may pyhf hold for the differences that make derivatives; larger models are minimised without."""


class HistfactoryModel:
    """pyhf's model of a workspace and its data, with derivatives from differences that are evaluated all at once.

    For pyhf one point costs nearly as much time as a hundred, so derivatives by differences are almost free.

    Attributes:
        model: pyhf's.
        data: bin contents, then auxiliary data, shape (bins + auxiliary,).
    """

    def __init__(self, workspace: Any, measurement: str | None) -> None:
        self.model = workspace.model(measurement_name=measurement)
        self.data = np.asarray(workspace.data(self.model), dtype=float)
        config = self.model.config
        widths: list[float] = []
        for name in config.par_order:
            parset = config.param_set(name)
            constrained = parset.constrained and parset.pdf_type == "normal"
            widths += parset.width() if constrained else [1.0] * parset.n_parameters
        self.steps = 1e-3 * np.array(widths)
        cells = 2 * config.npars * config.nmaindata * len(config.samples) * max(1, len(config.modifiers))
        batched = 2 * config.npars
        self.batch = workspace.model(measurement_name=measurement, batch_size=batched) if cells < BATCH_CELLS else None

    def nll(self, values: np.ndarray, data: np.ndarray) -> float:
        """Return the negative log-likelihood; 1e30 where it is not defined."""
        with np.errstate(all="ignore"):
            value = -float(self.model.logpdf(values, data)[0])
        return value if math.isfinite(value) else 1e30

    def slopes(
        self, values: np.ndarray, data: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return its first and (diagonal) second derivatives, shape (parameters,) each, without leaving the limits."""
        up, down = np.minimum(values + self.steps, high), np.maximum(values - self.steps, low)
        number = len(values)
        points = np.tile(values, (2 * number, 1))
        places = np.arange(number)
        points[places, places], points[places + number, places] = up, down
        with np.errstate(all="ignore"):
            sides = -np.asarray(self.batch.logpdf(points, data))
        above, below, centre = sides[:number], sides[number:], self.nll(values, data)
        width = np.where(up > down, up - down, np.inf)
        first = np.nan_to_num((above - below) / width)
        inside = (up > values) & (down < values)
        second = np.where(inside, np.nan_to_num((above + below - 2 * centre) / self.steps**2), 1.0)
        return first, np.where(second > 0, second, 1.0)

    def minimise(
        self, data: np.ndarray, start: Any, fixed: Any, limits: Any, *, tol: float = 0.01, strategy: int = 0
    ) -> Any:
        """Minimise the negative log-likelihood; return the Minuit object (errordef 0.5).

        Args:
            data: shape (bins + auxiliary,).
            start: initial values, shape (parameters,).
            fixed: which ones stay there, shape (parameters,).
            limits: pairs; None is no limit.
            tol: of MIGRAD: the distance to the minimum is estimated to be below 0.001 tol.
            strategy: of MIGRAD; after a failure 2 is tried, without the gradient.
        """
        from iminuit import Minuit

        low = np.array([-math.inf if one[0] is None else one[0] for one in limits])
        high = np.array([math.inf if one[1] is None else one[1] for one in limits])

        last: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

        def slopes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            key = values.tobytes()
            if key not in last:
                last.clear()
                last[key] = self.slopes(values, data, low, high)
            return last[key]

        def searching(*, quick: bool) -> Any:
            first, second = ((lambda one: slopes(one)[0]), (lambda one: slopes(one)[1])) if quick else (None, None)
            names = self.model.config.par_names
            values = np.asarray(start, dtype=float)
            minuit = Minuit(lambda one: self.nll(one, data), values, grad=first, g2=second, name=names)
            minuit.errordef, minuit.tol, minuit.strategy = 0.5, tol, strategy
            minuit.limits, minuit.fixed = list(limits), list(fixed)
            minuit.errors = np.where(self.steps < 1e-3, 100 * self.steps, 0.1)
            return minuit

        minuit = searching(quick=self.batch is not None)
        if all(fixed):
            return minuit
        minuit.migrad()
        if not minuit.valid:
            minuit = searching(quick=False)
            minuit.strategy = 2
            minuit.migrad()
            if not minuit.valid:
                minuit.simplex().migrad()
        return minuit


def pyhf_model(spec: Mapping[str, Any], name: str, measurement: str | None = None) -> HistfactoryModel:
    """Return pyhf's model of a workspace and its data.

    Raises:
        WrongInput: if pyhf does not accept it, or has no such measurement.
    """
    import pyhf

    pyhf.set_backend("numpy")
    known = [one.get("name") for one in spec.get("measurements", [])] if isinstance(spec, Mapping) else []
    if measurement is not None and measurement not in known:
        raise WrongInput(f"{name}: no measurement {measurement!r}. {near(measurement, known)}")
    try:
        return HistfactoryModel(pyhf.Workspace(dict(spec)), measurement)
    except Exception as error:
        said = str(error).strip().splitlines()
        raise WrongInput(
            f"{name}: pyhf does not accept it: {type(error).__name__}: {said[0] if said else ''}"
        ) from error


def read_workspace(path: str) -> dict[str, Any]:
    """Read a workspace.

    Raises:
        WrongInput: if it is no JSON object.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongInput(f"{path}: no JSON: {error}") from error
    if not isinstance(document, dict):
        raise WrongInput(f"{path}: no JSON object")
    return document


# --- end of common ---

# --- common: peaks (kept by wrappers/embed.py; edit wrappers/common/peaks.py) ---
# Peaks with power-law tails in closed form, and integrals of exponentials that are regular everywhere.

import math
from collections.abc import Sequence

import numpy as np

HALF_ROOT = math.sqrt(math.pi / 2)


class PlainShape:
    """What a shape may leave as it is: the density is the exponential of what it knows, sums go over all events."""

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        raise NotImplementedError

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        raise NotImplementedError

    def density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.exp(self.log_density(x, values)))

    def summed_gradient(self, x: np.ndarray, values: Sequence[float], weights: np.ndarray) -> np.ndarray:
        return np.asarray(self.log_gradient(x, values) @ weights)


def _phi(y: np.ndarray) -> np.ndarray:
    """Integral of exp(y s) for s from 0 to 1: (exp(y) - 1) / y, at y = 0 too."""
    safe = np.where(y == 0, 1.0, y)
    return np.where(y == 0, 1.0, np.expm1(safe) / safe)


def _psi(y: np.ndarray) -> np.ndarray:
    """Integral of s exp(y s) for s from 0 to 1; near y = 0 its series, elsewhere (exp(y) (y - 1) + 1) / y^2."""
    small = np.abs(y) < 0.5
    near, far = np.where(small, y, 0.0), np.where(small, 1.0, y)
    series, term = np.zeros_like(near), np.ones_like(near)
    for j in range(16):
        series = series + term / (j + 2)
        term = term * near / (j + 1)
    return np.where(small, series, (np.exp(far) * (far - 1) + 1) / far**2)


def exponential_integrals(k: float, start: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Integral of exp(k s) for s from start to start + width."""
    return np.exp(k * start) * width * _phi(k * width)


def exponential_moments(k: float, start: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Integral of s exp(k s) for s from start to start + width."""
    return np.exp(k * start) * width * (start * _phi(k * width) + width * _psi(k * width))


class Peak(PlainShape):
    """Gaussian core exp(-t^2/2) with t = (x - mu) / sigma, and power-law tails where |t| > alpha on their sides.

    A tail is exp(-alpha^2/2) E^-n with E = 1 + alpha/n (|t| - alpha), which is the Crystal Ball function (J. E. Gaiser,
    SLAC-R-255, appendix F) without its overflow for large n. With L = log E the integral of the tail is
    exp(-alpha^2/2) n/alpha times that of exp((1 - n) L), regular at n = 1.
    """

    def __init__(self, low: float, high: float, *, left: bool, right: bool) -> None:
        self.low, self.high, self.left, self.right = low, high, left, right
        tails = ("alpha_l", "n_l", "alpha_r", "n_r") if left and right else ("alpha", "n") if left else ()
        self.parameters: tuple[str, ...] = ("mu", "sigma", *tails)

    def _tails(self, values: Sequence[float]) -> list[tuple[int, int, float, float]]:
        """For each tail its side (-1: left), the place of its alpha among the parameters, alpha and n."""
        sides = [side for side, there in ((-1, self.left), (1, self.right)) if there]
        return [(side, 2 + 2 * i, values[2 + 2 * i], values[3 + 2 * i]) for i, side in enumerate(sides)]

    def _slice(self, x: np.ndarray, side: int, mu: float, sigma: float, alpha: float) -> slice:
        border = int(np.searchsorted(x, mu + side * alpha * sigma))
        return slice(0, border) if side < 0 else slice(border, len(x))

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        mu, sigma = values[:2]
        t = (x - mu) / sigma
        result = -0.5 * t * t
        for side, _, alpha, n in self._tails(values):
            part = self._slice(x, side, mu, sigma, alpha)
            result[part] = -0.5 * alpha * alpha - n * np.log1p(alpha / n * (side * t[part] - alpha))
        return np.asarray(result)

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        mu, sigma = values[:2]
        t = (x - mu) / sigma
        result = np.zeros((len(self.parameters), len(x)))
        result[0], result[1] = t / sigma, t * t / sigma
        for side, place, alpha, n in self._tails(values):
            part = self._slice(x, side, mu, sigma, alpha)
            u = side * t[part]
            rise = 1 + alpha / n * (u - alpha)
            result[0, part] = side * alpha / (rise * sigma)
            result[1, part] = u * alpha / (rise * sigma)
            gone = 1 - 1 / rise
            result[place, part] = -(alpha + n / alpha) * gone
            result[place + 1, part] = gone - np.log(rise)
        return result

    def summed_gradient(self, x: np.ndarray, values: Sequence[float], weights: np.ndarray) -> np.ndarray:
        mu, sigma = values[:2]
        result = np.zeros(len(self.parameters))
        core = [0, len(x)]
        for side, place, alpha, n in self._tails(values):
            part = self._slice(x, side, mu, sigma, alpha)
            core[0 if side < 0 else 1] = part.stop if side < 0 else part.start
            w, u = weights[part], side * (x[part] - mu) / sigma
            rise = 1 + alpha / n * (u - alpha)
            slope = w * (alpha / sigma) / rise
            gone = float(w.sum() - (w / rise).sum())
            result[0] += side * slope.sum()
            result[1] += u @ slope
            result[place] = -(alpha + n / alpha) * gone
            result[place + 1] = gone - w @ np.log(rise)
        t = (x[core[0] : core[1]] - mu) / sigma
        weighted = weights[core[0] : core[1]] * t
        result[0] += weighted.sum() / sigma
        result[1] += t @ weighted / sigma
        return result

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        mu, sigma = values[:2]
        t = (np.asarray(edges, float) - mu) / sigma
        tails = {side: (alpha, n) for side, _, alpha, n in self._tails(values)}
        result = np.zeros(len(t) - 1)
        for side in (-1, 1):
            alpha, n = tails.get(side, (math.inf, 1.0))
            u = np.clip(side * t, 0, None)
            result += _core(np.minimum(u, alpha), side)
            if side in tails:
                start, width = _tail_bins(u, side, alpha, n)
                result += math.exp(-0.5 * alpha**2) * n / alpha * exponential_integrals(1 - n, start, width)
        return sigma * result

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        mu, sigma = values[:2]
        edges = np.asarray(edges, float)
        t = (edges - mu) / sigma
        density = np.exp(self.log_density(edges, values))
        result = np.zeros((len(self.parameters), len(t) - 1))
        result[0] = -np.diff(density)
        result[1] = self.integrals(edges, values) / sigma - np.diff(t * density)
        for side, place, alpha, n in self._tails(values):
            start, width = _tail_bins(np.clip(side * t, 0, None), side, alpha, n)
            gone = exponential_integrals(1 - n, start, width) - exponential_integrals(-n, start, width)
            height = sigma * math.exp(-0.5 * alpha**2) * n / alpha
            result[place] = -height * (alpha + n / alpha) * gone
            result[place + 1] = height * (gone - exponential_moments(1 - n, start, width))
        return result

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        width = self.high - self.low
        middle = 0.5 * (self.low + self.high)
        core = [(middle, self.low, self.high), (width / 30, width / 2000, width / 2)]
        return [*core, *[(1.5, 0.3, 5.0), (5.0, 1.05, 50.0)] * (self.left + self.right)]


def _core(u: np.ndarray, side: int) -> np.ndarray:
    """Integral of exp(-u^2/2) over each bin between values that ascend (right) or descend (left), none below 0."""
    inner, outer = (u[:-1], u[1:]) if side > 0 else (u[1:], u[:-1])
    root = math.sqrt(0.5)
    erf = np.array([math.erf(root * one) for one in u])
    erfc = np.array([math.erfc(root * one) for one in u])
    near, far = side * np.diff(erf), -side * np.diff(erfc)
    return HALF_ROOT * np.where((inner > 0.5) & (outer > inner), far, near)


def _tail_bins(u: np.ndarray, side: int, alpha: float, n: float) -> tuple[np.ndarray, np.ndarray]:
    """Return L = log E at the inner edge of each bin, and how far it rises within the bin, 0 where there is no tail."""
    rise = np.log1p(alpha / n * (np.maximum(u, alpha) - alpha))
    return (rise[:-1] if side > 0 else rise[1:]), side * np.diff(rise)


# --- end of common ---

# --- common: shapes (kept by wrappers/embed.py; edit wrappers/common/shapes.py) ---
# Shapes of spectra in closed form: logarithms of densities, integrals over bins, and derivatives of both.
#
# A shape lives on a range [low, high] and is not normalised: whoever uses it divides by its integral. Arrays of x must
# ascend (the tails of peaks are slices then). `values` are the shape's parameters in the order of its `parameters`.
#
# | name | density, up to its normalisation | parameters |
# |---|---|---|
# | `dscb` | double-sided Crystal Ball: a Gaussian with a power law on both sides | `mu sigma alpha_l n_l alpha_r n_r` |
# | `cb` | Crystal Ball: the power law on the left only | `mu sigma alpha n` |
# | `gauss` | Gaussian | `mu sigma` |
# | `exp` | exp(lam x) | `lam` |
# | `power` | x^p, for low > 0 | `p` |
# | `poly1` … `poly5` | 1 + sum c_i T_i(z): any polynomial, in Chebyshev's basis | `c1 c2 …` |
# | `bern1` … `bern5` | sum c_i B_i(z), with c_0 = 1: Bernstein's basis, positive if all c_i are | `c1 c2 …` |
# | `exppoly1` … `exppoly5` | exp(sum c_i z^i) | `c1 c2 …` |
# | `template` | constant within each bin of a histogram | |
#
# z = (2 x - low - high) / (high - low) runs from -1 to 1. A polynomial's own normalisation is left to its yield, which
# makes `poly3` the four-parameter cubic with free coefficients; Chebyshev's basis spans the same functions with weakly
# correlated parameters, so binned and unbinned fits both use it.
#

import math
import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


NODES = 16
PANELS = 8
MOST_COEFFICIENTS = 5
ALIASES = {
    "doublecb": "dscb", "doublesidedcb": "dscb", "doublecrystalball": "dscb", "doublesidedcrystalball": "dscb",
    "crystalball": "cb", "gaussian": "gauss", "normal": "gauss", "expo": "exp", "exponential": "exp",
    "powerlaw": "power", "histogram": "template", "hist": "template", "linear": "poly1",
}  # fmt: skip
"""Other names of shapes, in lower case without underscores."""
SHAPE_NAMES = (
    "DSCB", "CB", "gauss", "exp", "power", "template",
    *(f"{family}{n}" for family in ("poly", "bern", "exppoly") for n in range(1, MOST_COEFFICIENTS + 1)),
)  # fmt: skip


class Shape(Protocol):
    """What every shape offers; k parameters, n values of x, m bins between m + 1 edges."""

    parameters: tuple[str, ...]

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the logarithm of the density, shape (n,); -inf where the density is not positive."""

    def density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the density, shape (n,); a polynomial's may be negative."""

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the derivatives of the logarithm by the parameters, shape (k, n)."""

    def summed_gradient(self, x: np.ndarray, values: Sequence[float], weights: np.ndarray) -> np.ndarray:
        """Return the sum over x of weights, shape (n,), times `log_gradient`, shape (k,)."""

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the integral over each bin, shape (m,)."""

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the derivatives of the integrals by the parameters, shape (k, m)."""

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        """Return a start value and limits for each parameter, for a range of which nothing else is known."""


def shape_name(word: str) -> str | None:
    """Return the canonical name for what a person calls a shape, or None: `Crystal_Ball` is `cb`."""
    plain = re.sub(r"[\s_-]", "", word).lower()
    plain = re.sub(r"^(?:chebyshev|chebychev|cheby|polynomial|pol)(?=\d$)", "poly", plain)
    plain = re.sub(r"^bernstein(?=\d$)", "bern", plain)
    plain = ALIASES.get(plain, plain)
    return plain if plain in {name.lower() for name in SHAPE_NAMES} else None


def make_shape(name: str, low: float, high: float, template: tuple[np.ndarray, np.ndarray] | None = None) -> Shape:
    """Return a shape on a range.

    Args:
        name: a canonical name, see `shape_name`.
        low: lower end of the range.
        high: upper end.
        template: edges, shape (m + 1,), and contents, shape (m,), of the histogram that `template` follows.
    """
    family = re.fullmatch(r"(poly|bern|exppoly)(\d)", name)
    if family and family[1] == "exppoly":
        return ExponentialOfPolynomial(int(family[2]), low, high)
    if family:
        return Polynomial(int(family[2]), low, high, bernstein=family[1] == "bern")
    if name == "template":
        if template is None:
            raise ValueError("a template needs a histogram")
        return Template(*template)
    if name in ("exp", "power"):
        return Exponential(low, high) if name == "exp" else Power(low)
    return Peak(low, high, left=name in ("dscb", "cb"), right=name == "dscb")


def _log(density: np.ndarray) -> np.ndarray:
    return np.log(density, where=density > 0, out=np.full(len(density), -np.inf))


class Exponential(PlainShape):
    """exp(lam (x - low)): falls for negative lam, flat at 0."""

    parameters: tuple[str, ...] = ("lam",)

    def __init__(self, low: float, high: float) -> None:
        self.low, self.width = low, high - low

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(values[0] * (x - self.low))

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(x - self.low)[None]

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return exponential_integrals(values[0], np.asarray(edges[:-1]) - self.low, np.diff(edges))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return exponential_moments(values[0], np.asarray(edges[:-1]) - self.low, np.diff(edges))[None]

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        return [(-1 / self.width, -200 / self.width, 200 / self.width)]


class Power(PlainShape):
    """(x / low)^p; in log(x / low) it is an exponential."""

    parameters: tuple[str, ...] = ("p",)

    def __init__(self, low: float) -> None:
        if low <= 0:
            raise ValueError("a power law needs a range above 0")
        self.low = low

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(values[0] * np.log(x / self.low))

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.log(x / self.low))[None]

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        steps = np.log(np.asarray(edges) / self.low)
        return self.low * exponential_integrals(values[0] + 1, steps[:-1], np.diff(steps))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        steps = np.log(np.asarray(edges) / self.low)
        return (self.low * exponential_moments(values[0] + 1, steps[:-1], np.diff(steps)))[None]

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        return [(-3.0, -100.0, 100.0)]


class Polynomial(PlainShape):
    """A polynomial that is 1 plus a sum of coefficients times basis functions (Chebyshev's, or Bernstein's).

    The basis functions of the array seen last are kept: fits evaluate the same one again and again.
    """

    def __init__(self, degree: int, low: float, high: float, *, bernstein: bool) -> None:
        self.middle, self.half, self.bernstein = 0.5 * (low + high), 0.5 * (high - low), bernstein
        self.parameters: tuple[str, ...] = tuple(f"c{i}" for i in range(1, degree + 1))
        self._known: tuple[np.ndarray, np.ndarray] | None = None
        self.basis = _bernstein_basis(degree) if bernstein else _chebyshev_basis(degree)

    def _terms(self, x: np.ndarray) -> np.ndarray:
        """Values of the basis functions, shape (degree + 1, n)."""
        if self._known is None or self._known[0] is not x:
            z = (np.asarray(x, float) - self.middle) / self.half
            powers = np.ones((len(self.basis), len(z)))
            for i in range(1, len(powers)):
                powers[i] = powers[i - 1] * z
            self._known = (x, self.basis @ powers)
        return self._known[1]

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return _log(self.density(x, values))

    def density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.concatenate([[1.0], values]) @ self._terms(x))

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        terms = self._terms(x)
        density = np.concatenate([[1.0], values]) @ terms
        return np.asarray(terms[1:] / np.where(density == 0, np.inf, density))

    def _integrated(self, edges: np.ndarray) -> np.ndarray:
        """Integrals of the basis functions, shape (degree + 1, m)."""
        z = (np.asarray(edges, float) - self.middle) / self.half
        powers = np.stack([np.diff(z ** (i + 1)) / (i + 1) for i in range(len(self.basis))])
        return np.asarray(self.half * (self.basis @ powers))

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.concatenate([[1.0], values]) @ self._integrated(edges))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return self._integrated(edges)[1:]

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        # A function that is nowhere negative has no Chebyshev coefficient beyond 2, and up to there the integral is
        # positive.
        one = (1.0, 0.0, 100.0) if self.bernstein else (0.0, -2.0, 2.0)
        return [one] * len(self.parameters)


def _chebyshev_basis(degree: int) -> np.ndarray:
    """Coefficients of T_0 … T_degree in powers of z: T_i = 2 z T_(i-1) - T_(i-2)."""
    basis = np.eye(degree + 1)
    for i in range(2, degree + 1):
        basis[i] = 2 * np.roll(basis[i - 1], 1) - basis[i - 2]
    return basis


def _bernstein_basis(degree: int) -> np.ndarray:
    """Coefficients of Bernstein's polynomials in powers of z, with s = (1 + z) / 2: C(d, i) s^i (1 - s)^(d - i)."""
    basis = np.zeros((degree + 1, degree + 1))
    for i in range(degree + 1):
        row = np.array([math.comb(degree, i) / 2.0**degree])
        for factor in [(1.0, 1.0)] * i + [(1.0, -1.0)] * (degree - i):
            row = np.convolve(row, factor)
        basis[i, : len(row)] = row
    return basis


class ExponentialOfPolynomial(PlainShape):
    """exp(sum c_i z^i); integrals by Gauss-Legendre rules of 16 points on at least 8 panels of the range."""

    def __init__(self, degree: int, low: float, high: float) -> None:
        self.middle, self.half = 0.5 * (low + high), 0.5 * (high - low)
        self.parameters: tuple[str, ...] = tuple(f"c{i}" for i in range(1, degree + 1))
        self._rules: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def _powers(self, x: np.ndarray) -> np.ndarray:
        z = (np.asarray(x, float) - self.middle) / self.half
        powers = np.empty((len(self.parameters), *z.shape))
        powers[0] = z
        for i in range(1, len(powers)):
            powers[i] = powers[i - 1] * z
        return powers

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.tensordot(np.asarray(values, float), self._powers(x), 1))

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return self._powers(x)

    def _rule(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Powers of z at the nodes, shape (k, m, nodes), and their weights, shape (m, nodes); kept for later calls."""
        edges = np.asarray(edges, float)
        key = edges.tobytes()
        if key not in self._rules:
            nodes, weights = np.polynomial.legendre.leggauss(NODES)
            width = np.diff(edges)[:, None]
            panels = max(1, math.ceil(PANELS * float(width.max()) / (2 * self.half) - 1e-9))
            places = ((np.arange(panels)[:, None] + 0.5 * (nodes + 1)) / panels).ravel()
            x = edges[:-1, None] + width * places
            self._rules[key] = (self._powers(x), width * np.tile(weights, panels) / (2 * panels))
        return self._rules[key]

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        powers, weights = self._rule(edges)
        return np.asarray((np.exp(np.tensordot(np.asarray(values, float), powers, 1)) * weights).sum(axis=1))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        powers, weights = self._rule(edges)
        density = np.exp(np.tensordot(np.asarray(values, float), powers, 1)) * weights
        return np.asarray((powers * density).sum(axis=2))

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        return [(0.0, -50.0, 50.0)] * len(self.parameters)


class Template(PlainShape):
    """The contents of a histogram divided by the widths of its bins; 0 outside."""

    parameters: tuple[str, ...] = ()

    def __init__(self, edges: Any, contents: Any) -> None:
        self.edges, self.contents = np.asarray(edges, float), np.asarray(contents, float)
        self.sums = np.concatenate([[0.0], np.cumsum(self.contents)])

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return _log(self.density(x, values))

    def density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        place = np.searchsorted(self.edges, x, side="right") - 1
        place = np.where(x == self.edges[-1], len(self.contents) - 1, place)
        inside = (place >= 0) & (place < len(self.contents))
        return np.where(inside, (self.contents / np.diff(self.edges))[np.where(inside, place, 0)], 0.0)

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.zeros((0, len(x)))

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        if np.array_equal(edges, self.edges):
            return self.contents
        return np.diff(np.interp(edges, self.edges, self.sums))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.zeros((0, len(edges) - 1))

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        return []


# --- end of common ---

# --- common: model (kept by wrappers/embed.py; edit wrappers/common/model.py) ---
# Models of spectra from short descriptions, such as `DSCB + exp` or `signal=DSCB(mu=125, sigma=?) + background=poly3`.
#
# A description is a sum of terms `name = factor * shape(argument, …)`, of which only the shape is needed.
#
# - `name`: of the component. Without one, the only peak (or template) is `signal`, the only smooth shape `background`.
# - `factor *`: a number or parameter; their product is the expected number of events. Without one it is the free
#   parameter `n_<component>`. Before a template with a factor comes its own content too: `mu * template`.
# - arguments: `mu=125` is fixed, `mu=125?` free from this start value, `mu=?` free (as without), `mu=m_h` is the
#   parameter `m_h`. The observable may stand first. A template's first argument names its histogram (else: the
#   component's name).
#
# Names that stand in a description belong to the whole model: used twice, they mean one parameter. The names that are
# implied (`mu`, `n_signal`) get the component's name in front where two parameters would have the same, and the
# category's behind if there are several categories and the name is not among those called shared.
#

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


PEAKS = ("dscb", "cb", "gauss", "template")
ARGUMENT_ALIASES = {
    "mean": "mu", "m0": "mu", "width": "sigma", "slope": "lam", "lambda": "lam",
    "alphal": "alpha_l", "alphar": "alpha_r", "al": "alpha_l", "ar": "alpha_r", "nl": "n_l", "nr": "n_r",
}  # fmt: skip
NAME = re.compile(r"[A-Za-z_]\w*")
TERM = re.compile(
    r"(?:(?P<name>[^=*()]+?)\s*=)?\s*(?P<factors>(?:[^*()=]+\*)*)\s*"
    r"(?P<shape>[^*()=]+?)\s*(?:\((?P<arguments>[^()]*)\))?"
)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a model: its (start) value, limits (None: without), and whether it stays at the value.

    `given` says that a person chose the value; other start values are estimated from the data.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    fixed: bool = False
    given: bool = False


@dataclass(frozen=True, kw_only=True)
class Component:
    """One summand: names of the parameters of its shape, and the factors (names, numbers) of its expected events."""

    name: str
    shape: str
    arguments: tuple[str, ...]
    factors: tuple[str | float, ...]
    template: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    def events(self, values: Mapping[str, float]) -> float:
        """Return the expected number of events in the range."""
        result = 1.0
        for factor in self.factors:
            result *= values[factor] if isinstance(factor, str) else factor
        return result

    def shape_on(self, low: float, high: float) -> Shape:
        """Return the shape, to be normalised to 1 between low and high."""
        histogram = tuple(np.array(one) for one in self.template) if self.template else None
        return make_shape(self.shape, low, high, histogram)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Category:
    """One spectrum: a sum of components for an observable between low and high."""

    name: str
    observable: str
    low: float
    high: float
    components: tuple[Component, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters it depends on, in the order of the description."""
        names = [factor for one in self.components for factor in one.factors if isinstance(factor, str)]
        names += [name for one in self.components for name in one.arguments]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class Model:
    """Categories that are fitted together, their parameters, and Gaussian constraints as {name: (mean, width)}."""

    categories: tuple[Category, ...]
    parameters: Mapping[str, Parameter]
    constraints: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the parameters that are not fixed."""
        return tuple(name for name, one in self.parameters.items() if not one.fixed)

    @property
    def values(self) -> dict[str, float]:
        """The value of each parameter."""
        return {name: one.value for name, one in self.parameters.items()}

    def category(self, name: str) -> Category:
        """Return the category of that name."""
        return next(one for one in self.categories if one.name == name)

    def changed(self, values: Mapping[str, float], *, fixed: Iterable[str] = (), given: bool = True) -> "Model":
        """Return the model with other values; parameters named in `fixed` stay at theirs.

        Raises:
            WrongInput: for a name that is no parameter.
        """
        fixed = set(fixed)
        for name in {*values, *fixed}:
            if name not in self.parameters:
                raise WrongInput(f"the model has no parameter {name!r}. {near(name, self.parameters)}")
        parameters = {
            name: dataclasses.replace(
                one,
                value=float(values.get(name, one.value)),
                given=one.given or (given and name in values),
                fixed=one.fixed or name in fixed,
            )
            for name, one in self.parameters.items()
        }
        return dataclasses.replace(self, parameters=parameters)


@dataclass(frozen=True, kw_only=True)
class _Term:
    name: str
    shape: str
    factors: tuple[str | float, ...]
    arguments: dict[str, str]
    template: str | None


def parse_model(
    description: str | Mapping[str, str],
    observable: str,
    low: float,
    high: float,
    *,
    templates: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    shared: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    constraints: Mapping[str, Any] | None = None,
) -> Model:
    """Return the model of a description, or of one per category.

    Args:
        description: such as `DSCB + exp`, or {category: description}.
        observable: name of the quantity, such as `m_yy`.
        low: lower end of the range.
        high: upper end.
        templates: (edges, contents) by name, or by (category name).(name) where categories differ.
        shared: implied parameter names that all categories share.
        parameters: {name: {"value": …, "limits": [low or None, high or None], "fixed": …}}, each key optional.
        constraints: {name: [mean, width]}.

    Raises:
        WrongInput: saying what is wrong where, with near matches of names.
    """
    if not low < high:
        raise WrongInput(f"params: range: {low:g} is not below {high:g}")
    descriptions = {"": description} if isinstance(description, str) else dict(description)
    terms = {category: _terms(text, observable) for category, text in descriptions.items()}
    said = {factor for those in terms.values() for term in those for factor in term.factors if isinstance(factor, str)}
    said |= {v for those in terms.values() for term in those for v in term.arguments.values() if NAME.fullmatch(v)}
    known: dict[str, Parameter] = {}
    implied: set[str] = set()
    categories = []
    for category, those in terms.items():
        suffix = f"_{category}" if len(terms) > 1 else ""
        names = _implied_names(those, said)
        implied |= set(names.values())
        spelled = {key: name if name in shared else name + suffix for key, name in names.items()}
        components = tuple(_component(term, category, spelled, known, (low, high), templates or {}) for term in those)
        one = Category(name=category or "all", observable=observable, low=low, high=high, components=components)
        categories.append(one)
    for name in shared:
        if name not in implied:
            raise WrongInput(f"params: shared: no parameter {name!r} is implied. {near(name, implied)}")
    bounds = _constraints(constraints or {}, known)
    known = {name: _adjusted(known, name, bounds.get(name), (parameters or {}).get(name)) for name in known}
    for name in parameters or {}:
        if name not in known:
            raise WrongInput(f"params: parameters: the model has no parameter {name!r}. {near(name, known)}")
    for name in bounds:
        if known[name].fixed:
            raise WrongInput(f"params: constraints: {name} is fixed: leave it free, or leave the constraint out")
    return Model(categories=tuple(categories), parameters=known, constraints=bounds)


def check_description(text: str) -> None:
    """Raise `WrongInput` for a description that cannot be understood, whatever the data are."""
    _terms(text, None)


def _terms(text: str, observable: str | None) -> list[_Term]:
    """Take a description apart; components get their names. Without an observable, any may stand in it."""
    found = []
    for part in re.split(r"(?<![\d.][eE])\+(?![^()]*\))", text):
        match = TERM.fullmatch(part.strip())
        if match is None:
            raise WrongInput(f"params: model: {part.strip()!r} is not like `name = factor * shape(argument=…)`")
        shape = shape_name(match["shape"])
        if shape is None:
            raise WrongInput(f"params: model: no shape {match['shape']!r}. {near(match['shape'], SHAPE_NAMES)}")
        name = match["name"] or ""
        if name and not NAME.fullmatch(name):
            raise WrongInput(f"params: model: {name!r} cannot be a component's name (letters, digits, _)")
        factors = tuple(_factor(word.strip()) for word in match["factors"].split("*")[:-1])
        arguments, template = _arguments(match["arguments"] or "", shape, observable)
        found.append(_Term(name=name, shape=shape, factors=factors, arguments=arguments, template=template))
    return _named(found)


def _factor(word: str) -> str | float:
    if NAME.fullmatch(word):
        return word
    try:
        return float(word)
    except ValueError:
        raise WrongInput(f"params: model: {word!r} is neither a number nor a parameter's name") from None


def _arguments(text: str, shape: str, observable: str | None) -> tuple[dict[str, str], str | None]:
    """Return {parameter: value as written}, and the name of a template's histogram."""
    allowed = make_shape(shape, 1.0, 2.0, (np.array([1.0, 2.0]), np.array([1.0]))).parameters
    found: dict[str, str] = {}
    template = None
    for word in filter(None, (one.strip() for one in text.split(","))):
        key, equals, value = (one.strip() for one in word.partition("="))
        if not equals:
            if shape == "template" and key != observable:
                template = key
            elif observable is not None and key != observable:
                raise WrongInput(
                    f"params: model: {shape}({key}): the observable is {observable!r}. {near(key, [observable])}"
                )
            continue
        name = ARGUMENT_ALIASES.get(key.lower().replace("_", ""), key.lower())
        if name not in allowed:
            raise WrongInput(f"params: model: {shape} has no parameter {key!r}. {near(key, allowed)}")
        number = value.removesuffix("?")
        if value != "?" and not NAME.fullmatch(value) and not isinstance(_factor(number), float):
            raise WrongInput(f"params: model: {key}={value}: a number, a number with ?, ? or a parameter's name")
        found[name] = value
    return found, template


def _named(terms: list[_Term]) -> list[_Term]:
    """Give names to the components that have none."""
    taken = {term.name for term in terms if term.name}
    result = []
    for number, term in enumerate(terms, start=1):
        peak = term.shape in PEAKS
        alike = [other for other in terms if not other.name and (other.shape in PEAKS) == peak]
        name = term.name or ("signal" if peak else "background")
        if not term.name and (len(alike) > 1 or name in taken):
            name = f"{term.shape}_{number}"
        result.append(dataclasses.replace(term, name=name))
    twice = [name for name, count in Counter(term.name for term in result).items() if count > 1]
    if twice:
        raise WrongInput(f"params: model: two components are called {twice[0]!r}")
    return result


def _implied_names(terms: list[_Term], said: set[str]) -> dict[tuple[str, str], str]:
    """Return {(component, parameter): name} for what a description leaves without a name; "" is the yield."""
    places = [(term.name, "") for term in terms if not term.factors]
    for term in terms:
        shape = make_shape(term.shape, 1.0, 2.0, (np.array([1.0, 2.0]), np.array([1.0])))
        places += [(term.name, one) for one in shape.parameters if not NAME.fullmatch(term.arguments.get(one, ""))]
    bare = {place: place[1] or f"n_{place[0]}" for place in places}
    often = Counter(bare.values())
    names = {place: f"{place[0]}_{name}" if often[name] > 1 or name in said else name for place, name in bare.items()}
    clash = [name for name, count in Counter(names.values()).items() if count > 1 or name in said]
    if clash:
        raise WrongInput(f"params: model: two parameters would be called {clash[0]!r}; name one, as in `mu=my_name`")
    return names


def _component(
    term: _Term,
    category: str,
    implied: Mapping[tuple[str, str], str],
    known: dict[str, Parameter],
    span: tuple[float, float],
    templates: Mapping[str, tuple[Sequence[float], Sequence[float]]],
) -> Component:
    """Make a component and add its parameters to the known ones."""
    template = None
    factors: tuple[str | float, ...] = term.factors
    if term.shape == "template":
        wanted = term.template or term.name
        histogram = templates.get(f"{category}.{wanted}", templates.get(wanted))
        if histogram is None:
            raise WrongInput(f"params: model: no histogram for the template {wanted!r}. {near(wanted, templates)}")
        template = (tuple(map(float, histogram[0])), tuple(map(float, histogram[1])))
        if factors:
            factors = (
                *factors,
                float(make_shape("template", *span, _arrays(template)).integrals(np.array(span), ())[0]),
            )
    if not factors:
        factors = (implied[term.name, ""],)
    smooth = term.shape not in PEAKS
    for name in (one for one in factors if isinstance(one, str)):
        counts = name == implied.get((term.name, ""))
        known.setdefault(name, Parameter(name=name, value=1.0, low=0.0 if smooth and counts else None))
    try:
        shape = make_shape(term.shape, *span, _arrays(template) if template else None)
    except ValueError as error:
        raise WrongInput(f"params: model: {term.shape}: {error}") from None
    arguments = []
    for one, (value, low, high) in zip(shape.parameters, shape.defaults(), strict=True):
        written = term.arguments.get(one, "?")
        name = written if NAME.fullmatch(written) else implied[term.name, one]
        parameter = Parameter(name=name, value=value, low=low, high=high)
        if written != "?" and name != written:
            start = float(written.removesuffix("?"))
            parameter = _at(parameter, start, fixed=not written.endswith("?"))
        known[name] = _merged(known[name], parameter) if name in known else parameter
        arguments.append(name)
    return Component(name=term.name, shape=term.shape, arguments=tuple(arguments), factors=factors, template=template)


def _merged(earlier: Parameter, later: Parameter) -> Parameter:
    """Return what two places of a description say together about one parameter."""
    if earlier.given and later.given and (earlier.value, earlier.fixed) != (later.value, later.fixed):
        said = [f"{one.value:g}{'' if one.fixed else '?'}" for one in (earlier, later)]
        raise WrongInput(f"params: model: {later.name} is one parameter, but {said[0]} here and {said[1]} there")
    if earlier.given:
        return earlier
    return later if later.given or (earlier.low is None and earlier.high is None) else earlier


def _arrays(template: tuple[Sequence[float], Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(template[0], float), np.asarray(template[1], float)


def _at(parameter: Parameter, value: float, *, fixed: bool) -> Parameter:
    """Return a parameter at a value that a person chose; limits give way."""
    low = parameter.low if parameter.low is None or parameter.low < value else None
    high = parameter.high if parameter.high is None or parameter.high > value else None
    return dataclasses.replace(parameter, value=value, fixed=fixed, given=True, low=low, high=high)


def _constraints(given: Mapping[str, Any], known: Mapping[str, Parameter]) -> dict[str, tuple[float, float]]:
    result = {}
    for name, pair in given.items():
        if name not in known:
            raise WrongInput(f"params: constraints: the model has no parameter {name!r}. {near(name, known)}")
        try:
            mean, width = (float(one) for one in pair)
        except (TypeError, ValueError):
            raise WrongInput(f"params: constraints: {name}: [mean, width] is wanted, not {pair!r}") from None
        if not width > 0:
            raise WrongInput(f"params: constraints: {name}: the width {width:g} is not above 0")
        result[name] = (mean, width)
    return result


def _adjusted(
    known: Mapping[str, Parameter], name: str, bound: tuple[float, float] | None, given: Mapping[str, Any] | None
) -> Parameter:
    """Return a parameter after what the params say about it."""
    result = known[name]
    if bound is not None and not result.given:
        result = _at(result, bound[0], fixed=False)
    if given is None:
        return result
    if not isinstance(given, Mapping):
        raise WrongInput(
            f'params: parameters: {name}: {{"value": …, "limits": […], "fixed": …}} is wanted, not {given!r}'
        )
    for key in given:
        if key not in ("value", "limits", "fixed"):
            raise WrongInput(f"params: parameters: {name}: no key {key!r}. {near(key, ('value', 'limits', 'fixed'))}")
    try:
        low, high = (None if one is None else float(one) for one in given.get("limits", (result.low, result.high)))
        value = float(given.get("value", result.value))
    except (TypeError, ValueError):
        raise WrongInput(
            f"params: parameters: {name}: value: a number, limits: [number or null, number or null]"
        ) from None
    if "limits" in given and not (low is None or high is None or low < high):
        raise WrongInput(f"params: parameters: {name}: limits {low:g} and {high:g} are not in order")
    if "value" in given and ((low is not None and value < low) or (high is not None and value > high)):
        if "limits" in given:
            raise WrongInput(f"params: parameters: {name}: the value {value:g} is outside its limits")
        low, high = _at(result, value, fixed=False).low, _at(result, value, fixed=False).high
    value = min(max(value, -np.inf if low is None else low), np.inf if high is None else high)
    fixed = bool(given.get("fixed", result.fixed))
    return dataclasses.replace(
        result, value=value, low=low, high=high, fixed=fixed, given=result.given or "value" in given
    )


# --- end of common ---

# --- common: likelihood (kept by wrappers/embed.py; edit wrappers/common/likelihood.py) ---
# Extended likelihoods of models, binned and unbinned, with analytic gradients.
#
# Unbinned, for events i with weights w: sum of expected events - sum of w_i log(density at x_i), the density being
# that of expected events per unit of x. Binned: half the likelihood-ratio chi2 of Baker and Cousins (NIM 221 (1984)
# 437), the integrals over bins exact. Weighted events and counts with variances are scaled to their effective number,
# all by the same factor: one for each bin (Bohm and Zech, NIM A 748 (2014) 1) biases fits where bins have few events.
#

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


IMPOSSIBLE = 1e12
FLOOR = 1e-9
"""Densities below this fraction of the mean one get a steep parabola instead of the logarithm."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """Unbinned data: ascending values x, shape (n,), and their weights, shape (n,), or None where all are 1."""

    x: np.ndarray
    weights: np.ndarray | None = None

    @property
    def total(self) -> float:
        """Sum of weights."""
        return float(len(self.x) if self.weights is None else self.weights.sum())

    @property
    def weighted(self) -> bool:
        """Whether the number of events varies otherwise than as a Poisson number."""
        return self.weights is not None

    @property
    def effective(self) -> float:
        """The effective number of events, (sum of w)^2 / sum of w^2."""
        return self.total if self.weights is None else self.total**2 / float((self.weights**2).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """Binned data: edges, shape (m + 1,), counts (m,), and their variances (m,), or None where those are the counts."""

    edges: np.ndarray
    counts: np.ndarray
    variances: np.ndarray | None = None

    @property
    def total(self) -> float:
        """Sum of the counts."""
        return float(self.counts.sum())

    @property
    def weighted(self) -> bool:
        """Whether the counts vary otherwise than as Poisson numbers."""
        return self.variances is not None

    @property
    def effective(self) -> float:
        """The effective number of events."""
        return self.total if self.variances is None else self.total**2 / float(self.variances.sum())


Data = Mapping[str, Events | Counts]
"""Events or counts of each category."""


def make_events(x: Any, low: float, high: float, weights: Any = None) -> Events:
    """Return the events in [low, high], sorted; weights that are all 1 are dropped."""
    x = np.asarray(x, float)
    inside = (x >= low) & (x <= high)
    order = np.flatnonzero(inside)[np.argsort(x[inside], kind="stable")]
    if weights is None:
        return Events(x=x[order])
    chosen = np.asarray(weights, float)[order]
    return Events(x=x[order], weights=None if (chosen == 1).all() else chosen)


def make_counts(events: Events, edges: Any) -> Counts:
    """Return the histogram of events; an event at the last edge belongs to the last bin."""
    edges = np.asarray(edges, float)
    counts, _ = np.histogram(events.x, edges, weights=events.weights)
    if events.weights is None:
        return Counts(edges=edges, counts=counts.astype(float))
    variances, _ = np.histogram(events.x, edges, weights=events.weights**2)
    return Counts(edges=edges, counts=counts, variances=variances)


class _Piece:
    """A component's normalised density at events, or integrals over bins, and the derivatives; remembers the last.

    With `logs` it is the logarithms of these.
    """

    def __init__(
        self, component: Component, category: Category, data: Events | Counts, names: Sequence[str], *, logs: bool
    ) -> None:
        self.logs = logs
        self.shape = component.shape_on(category.low, category.high)
        self.data = data
        self.span = np.array([category.low, category.high])
        self.places = [names.index(name) for name in component.arguments]
        self.factors = [(names.index(one), one) if isinstance(one, str) else (-1, one) for one in component.factors]
        self._values: tuple[float, ...] | None = None
        self._slopes: np.ndarray | None = None

    def events(self, values: Sequence[float]) -> float:
        """Expected number of events in the range."""
        return math.prod(values[place] if place >= 0 else float(one) for place, one in self.factors)

    def event_slopes(self, values: Sequence[float]) -> Iterable[tuple[int, float]]:
        """Derivatives of the expected number by the parameters among the factors."""
        for i, (place, _) in enumerate(self.factors):
            if place >= 0:
                others = [*self.factors[:i], *self.factors[i + 1 :]]
                yield place, math.prod(values[other] if other >= 0 else float(one) for other, one in others)

    def update(self, values: Sequence[float]) -> bool:
        """Evaluate at other values, if they are other; False where the shape cannot be normalised there."""
        mine = tuple(float(values[place]) for place in self.places)
        if mine != self._values:
            self._values, self._slopes = mine, None
            self.norm = float(self.shape.integrals(self.span, mine)[0])
            if self.norm > 0 and math.isfinite(self.norm):
                self.result = self._evaluated(mine)
        return self.norm > 0 and math.isfinite(self.norm)

    def _evaluated(self, mine: tuple[float, ...]) -> np.ndarray:
        if isinstance(self.data, Events):
            if self.logs:
                return self.shape.log_density(self.data.x, mine) - math.log(self.norm)
            return self.shape.density(self.data.x, mine) / self.norm
        bins = self.shape.integrals(self.data.edges, mine) / self.norm
        return np.log(np.maximum(bins, 1e-300)) if self.logs else bins

    def pulled(self, pull: np.ndarray) -> np.ndarray:
        """Sum over events or bins of `pull` times the result's derivatives by the shape's parameters, shape (k,)."""
        assert self._values is not None
        if not isinstance(self.data, Events):
            return np.asarray(self.slopes() @ pull)
        weights = pull if self.logs else pull * self.result
        norm = self.shape.integral_gradients(self.span, self._values)[:, 0] / self.norm
        return self.shape.summed_gradient(self.data.x, self._values, weights) - norm * weights.sum()

    def slopes(self) -> np.ndarray:
        """Derivatives of the result by the shape's parameters, shape (k, n)."""
        assert self._values is not None
        if self._slopes is None:
            norm = self.shape.integral_gradients(self.span, self._values) / self.norm
            if isinstance(self.data, Events):
                slopes = self.shape.log_gradient(self.data.x, self._values) - norm
                self._slopes = slopes if self.logs else slopes * self.result
            else:
                bins = self.shape.integral_gradients(self.data.edges, self._values) / self.norm
                self._slopes = bins / np.exp(self.result) - norm if self.logs else bins - norm * self.result
        return self._slopes


class _CategoryTerm:
    """The part of a negative log-likelihood that one category has."""

    def __init__(
        self, category: Category, data: Events | Counts, names: Sequence[str], *, extended: bool, effective: bool
    ) -> None:
        self.pieces = [_Piece(one, category, data, names, logs=not extended) for one in category.components]
        self.data, self.extended = data, extended
        if not extended and len(self.pieces) > 1:
            raise ValueError("only a single component can be fitted without its yield")
        self.scale = data.effective / data.total if effective and data.weighted else 1.0
        if isinstance(data, Events):
            self.weights: np.ndarray | None = data.weights
            self.floor = FLOOR * max(data.total, 1.0) / (category.high - category.low)
        else:
            self.weights = data.counts
            self.floor = FLOOR * max(data.total, 1.0) / len(data.counts)
            safe = np.where(data.counts > 0, data.counts, 1.0)
            self.saturated = self.scale * float((data.counts * np.log(safe) - data.counts).sum())

    def value(self, values: Sequence[float]) -> float:
        """Negative log-likelihood."""
        if not all(piece.update(values) for piece in self.pieces):
            return IMPOSSIBLE
        if not self.extended:
            logs = self.pieces[0].result
            result = -self.scale * float(logs.sum() if self.weights is None else self.weights @ logs)
            return result if math.isfinite(result) else IMPOSSIBLE
        expected = sum(piece.events(values) * piece.result for piece in self.pieces)
        logs, _ = self._logs(expected)
        if isinstance(self.data, Events):
            seen = logs.sum() if self.weights is None else self.weights @ logs
            return float(self.scale * (sum(piece.events(values) for piece in self.pieces) - seen))
        return self.scale * float((expected - self.data.counts * logs).sum()) + self.saturated

    def add_gradient(self, values: Sequence[float], result: np.ndarray) -> None:
        """Add the derivatives by all parameters to `result`."""
        if not all(piece.update(values) for piece in self.pieces):
            return
        unbinned = isinstance(self.data, Events)
        if not self.extended:
            piece = self.pieces[0]
            seen = np.ones(len(piece.result)) if self.weights is None else self.scale * self.weights
            np.add.at(result, piece.places, -piece.pulled(seen))
            return
        expected = sum(piece.events(values) * piece.result for piece in self.pieces)
        inverse = self._logs(expected)[1]
        seen = inverse if self.weights is None else self.weights * inverse
        pull = self.scale * (-seen if unbinned else 1 - seen)
        for piece in self.pieces:
            events = piece.events(values)
            by_events = float(pull @ piece.result) + (self.scale if unbinned else 0.0)
            for place, slope in piece.event_slopes(values):
                result[place] += slope * by_events
            if events and piece.places:
                np.add.at(result, piece.places, events * piece.pulled(pull))

    def scores(self, values: Sequence[float], number: int) -> np.ndarray:
        """Return how each event or bin makes the derivatives by all parameters vary, shape (number, n).

        For an event that is what it adds to them, but for the sign; for a bin, the spread of its content times that.
        """
        for piece in self.pieces:
            piece.update(values)
        result = np.zeros((number, len(self.pieces[0].result)))
        inverse = np.ones(result.shape[1])
        if self.extended:
            inverse = self._logs(sum(piece.events(values) * piece.result for piece in self.pieces))[1]
        for piece in self.pieces:
            amount = piece.events(values) if self.extended else 1.0
            for place, slopes in zip(piece.places, piece.slopes(), strict=True):
                result[place] += amount * slopes * inverse
            for place, slope in piece.event_slopes(values) if self.extended else ():
                result[place] += slope * piece.result * inverse
        if isinstance(self.data, Counts):
            spread = np.sqrt(self.data.counts if self.data.variances is None else self.data.variances)
            return np.asarray(result * (self.scale * spread))
        return result if self.weights is None else result * (self.scale * self.weights)

    def _logs(self, expected: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the logarithm and its derivative, both continued below a floor: no step of a fit is undefined."""
        if expected.size == 0 or expected.min() > self.floor:
            return np.log(expected), 1 / expected
        low = expected < self.floor
        safe = np.where(low, self.floor, expected)
        below = np.where(low, expected / self.floor - 1, 0.0)
        return np.log(safe) + below - 0.5 * below**2, np.where(low, (1 - below) / self.floor, 1 / safe)


class Likelihood:
    """Negative log-likelihood of a model for data, a function of the values of all its parameters in their order.

    Args of the constructor:
        model: with one category for each of the data.
        data: binned or unbinned.
        extended: if not, each category has one component, whose yield plays no part: a shape is fitted to a simulation.
        effective: whether weighted data count as their effective number of events. The minimum is where it is without,
            but constraints and other categories have their due share; if not, weights are numbers of events.
    """

    def __init__(self, model: Model, data: Data, *, extended: bool = True, effective: bool = True) -> None:
        for category in model.categories:
            if category.name not in data:
                raise WrongInput(f"no data for the category {category.name!r}. {near(category.name, data)}")
        self.model, self.data, self.extended = model, data, extended
        self.names = tuple(model.parameters)
        self.terms = [
            _CategoryTerm(one, data[one.name], self.names, extended=extended, effective=effective)
            for one in model.categories
        ]
        self.constraints = [(self.names.index(name), *pair) for name, pair in model.constraints.items()]

    def __call__(self, values: Sequence[float]) -> float:
        """Return the negative log-likelihood; values are those of all parameters, in the order of `names`."""
        result = sum(term.value(values) for term in self.terms)
        return result + sum(0.5 * ((values[place] - mean) / width) ** 2 for place, mean, width in self.constraints)

    def gradient(self, values: Sequence[float]) -> np.ndarray:
        """Return its derivatives by all parameters."""
        result = np.zeros(len(self.names))
        for term in self.terms:
            term.add_gradient(values, result)
        for place, mean, width in self.constraints:
            result[place] += (values[place] - mean) / width**2
        return result

    @property
    def weighted(self) -> bool:
        """Whether data have weights, so that the curvature alone gives no errors."""
        return any(term.data.weighted for term in self.terms)

    def information(self, values: Sequence[float]) -> np.ndarray:
        """Return how much the events themselves say about each parameter, shape (number,); infinite for binned data.

        It is the sum of squares of what each adds to the derivative, for many events as large as the second derivative.
        Where it is far smaller, no event feels the parameter.
        """
        result = np.zeros(len(self.names))
        for term in self.terms:
            if not isinstance(term.data, Events):
                return np.full(len(self.names), math.inf)
            result += (term.scores(values, len(self.names)) ** 2).sum(axis=1)
        for place, _, width in self.constraints:
            result[place] += 1 / width**2
        return result

    def corrected(self, values: Sequence[float], covariance: np.ndarray, free: Sequence[int]) -> np.ndarray:
        """Return the covariance of a weighted fit, right for many events: H^-1 (sum of w^2 d d^T) H^-1.

        H is the second derivative of the negative log-likelihood and d the first of log(density at x_i), both by the
        parameters (C. Langenbruch, Eur. Phys. J. C 82 (2022) 393, arXiv:1911.01303), w the weights in units of
        effective events. A constraint adds its own curvature.

        Args:
            values: of all parameters, at the minimum.
            covariance: H^-1 of the free parameters.
            free: their places among all.
        """
        number = len(self.names)
        middle = np.zeros((number, number))
        for term in self.terms:
            scores = term.scores(values, number)
            middle += scores @ scores.T
        for place, _, width in self.constraints:
            middle[place, place] += 1 / width**2
        middle = middle[np.ix_(free, free)]
        return np.asarray(covariance @ middle @ covariance)


def expected(
    model: Model, category: str, edges: Any, values: Mapping[str, float] | None = None
) -> dict[str, np.ndarray]:
    """Return the expected events of each component per bin of a category, shape (m,) each."""
    one, values = model.category(category), {**model.values, **(values or {})}
    result = {}
    for part in one.components:
        shape, arguments = part.shape_on(one.low, one.high), [values[name] for name in part.arguments]
        norm = float(shape.integrals(np.array([one.low, one.high]), arguments)[0])
        result[part.name] = part.events(values) * shape.integrals(np.asarray(edges, float), arguments) / norm
    return result


def densities(model: Model, category: str, x: Any, values: Mapping[str, float] | None = None) -> dict[str, np.ndarray]:
    """Return the expected events of each component per unit of the observable at ascending x, shape (n,) each."""
    one, values = model.category(category), {**model.values, **(values or {})}
    result = {}
    for part in one.components:
        shape, arguments = part.shape_on(one.low, one.high), [values[name] for name in part.arguments]
        norm = float(shape.integrals(np.array([one.low, one.high]), arguments)[0])
        result[part.name] = part.events(values) * shape.density(np.asarray(x, float), arguments) / norm
    return result


# --- end of common ---

# --- common: fit_minimise (kept by wrappers/embed.py; edit wrappers/common/fit_minimise.py) ---
# Minimisation of a likelihood with iminuit: Migrad, Hesse, other starts if needed, Minos where wanted.

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


FAR = 1e-4
"""A minimum estimated to be this far below where Migrad stopped is looked for again."""
FELT = 0.01
"""A curvature of which the events themselves explain less than this share says nothing: it is of the integral where
a tail begins behind the last event, or is a kink where it begins at one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FitResult:
    """What a minimisation found. Matrices have a row for each of `names`, zeros for the fixed ones.

    `valid` is Minuit's word; `accurate` says that errors are from exact second derivatives; `edm` estimates how far
    above the minimum `fmin` is; `at_limit` names parameters that ended at a limit and were held there: their errors are
    0, and those of the others leave them out. The same holds for the `undetermined`, on which the data say nothing.
    """

    names: tuple[str, ...]
    free: tuple[str, ...]
    values: Mapping[str, float]
    errors: Mapping[str, float]
    covariance: np.ndarray
    fmin: float
    edm: float
    valid: bool
    accurate: bool
    calls: int
    at_limit: tuple[str, ...] = ()
    undetermined: tuple[str, ...] = ()
    minos: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @property
    def correlation(self) -> np.ndarray:
        """Correlation coefficients; rows of fixed parameters are 0."""
        width = np.sqrt(np.diag(self.covariance))
        scale = np.outer(width, width)
        return np.divide(self.covariance, scale, out=np.zeros_like(scale), where=scale > 0)


@dataclass(frozen=True, kw_only=True)
class _Search:
    """How a minimum is searched."""

    tolerance: float
    strategy: int
    retries: int
    seed: int


def minimise(
    likelihood: Likelihood,
    *,
    start: Mapping[str, float] | None = None,
    fixed: Mapping[str, float] | None = None,
    tolerance: float = 0.01,
    strategy: int = 0,
    hesse: bool = True,
    minos: Sequence[str] = (),
    retries: int = 4,
    seed: int = 1,
    search: Any = None,
) -> FitResult:
    """Minimise with Migrad, from other start values if the end is not valid; a last Newton step and errors follow.

    Args:
        likelihood: what to minimise; its model says start values, limits and which parameters are fixed.
        start: other start values.
        fixed: parameters to hold at these values: a profile.
        tolerance: of Migrad; the estimated distance to the minimum ends below 1e-5 for 0.01.
        strategy: Minuit's, 0 to 2.
        hesse: whether to compute errors.
        minos: names of free parameters to find asymmetric errors of, for unweighted data.
        retries: how many other starts to try; the third and later are random within the limits.
        seed: of these.
        search: what runs Migrad instead of iminuit alone, see `zfit_search`.
    """
    model = likelihood.model.changed({**(start or {}), **(fixed or {})}, fixed=fixed or ())
    used = {name for category in model.categories for one in category.components for name in one.arguments}
    if likelihood.extended:
        used |= {name for category in model.categories for name in category.parameters}
    free = [name for name in model.free if name in used]
    full = np.array([model.values[name] for name in likelihood.names])
    places = [likelihood.names.index(name) for name in free]
    if not free:
        return _nothing_free(likelihood, full)
    how = _Search(tolerance=tolerance, strategy=strategy, retries=retries, seed=seed)
    minuit, calls = (search or _migrad)(likelihood, model, free, places, full, how)
    at_limit = _at_limits(likelihood, minuit, free, places, full)
    # Minuit's transformation of limits makes nonsense of errors there: the others' are of a fit with these fixed.
    for name, limit in at_limit.items():
        minuit.values[free.index(name)], minuit.fixed[free.index(name)] = limit, True
    if at_limit and len(at_limit) < len(free):
        minuit.migrad()
    polished = _polished(likelihood, minuit, free, places, full) if hesse else None
    if polished is not None and polished.distance > FAR and not polished.undetermined:
        minuit.strategy = 2
        minuit.migrad()
        polished = _polished(likelihood, minuit, free, places, full)
    result = _result(likelihood, minuit, free, places, full, calls, tuple(at_limit), polished)
    chosen = [name for name in minos if result.errors.get(name)]
    return dataclasses.replace(result, minos=_minos(minuit, result, chosen)) if chosen and result.valid else result


def _minos(minuit: Any, result: FitResult, chosen: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return asymmetric errors of some parameters, where they can be found; parameters without an error are held."""
    for i, name in enumerate(result.free):
        minuit.fixed[i] = not result.errors[name]
    minuit.migrad()
    if not minuit.valid:
        return {}
    minuit.minos(*[result.free.index(name) for name in chosen])
    found = {}
    for one in minuit.merrors.values():
        name = result.free[one.number]
        shift = minuit.values[one.number] - result.values[name]
        if one.is_valid:
            found[name] = (one.lower + shift, one.upper + shift)
    return found


def _migrad(
    likelihood: Likelihood,
    model: Model,
    free: Sequence[str],
    places: Sequence[int],
    full: np.ndarray,
    how: "_Search",
) -> tuple[Any, int]:
    """Run Migrad until it is valid or there are no more retries; return its best end, and the number of calls."""
    minuit = _minuit(likelihood, model, free, places, full, how.tolerance, how.strategy)
    minuit.migrad()
    calls, best = 0, minuit
    rng = np.random.default_rng(how.seed)
    for attempt in range(how.retries):
        if best.valid:
            break
        calls += minuit.nfcn
        minuit = _minuit(likelihood, model, free, places, full, how.tolerance, min(2, how.strategy + 1))
        minuit.values = list(best.values) if attempt < 2 else _other_start(model, free, rng)
        if attempt:
            minuit.simplex()
        minuit.migrad()
        if (minuit.valid, -minuit.fval) > (best.valid, -best.fval):
            best = minuit
    return best, calls


def _at_limits(
    likelihood: Likelihood, minuit: Any, free: Sequence[str], places: Sequence[int], full: np.ndarray
) -> dict[str, float]:
    """Return parameters that are at a limit which they would like to cross, and that limit."""
    full[places] = list(minuit.values)
    slopes = likelihood.gradient(full.tolist())
    found = {}
    for place, name in zip(places, free, strict=True):
        one = likelihood.model.parameters[name]
        width = 1.0 if one.low is None or one.high is None else one.high - one.low
        for limit, sign in ((one.low, 1), (one.high, -1)):
            if limit is not None and abs(full[place] - limit) < 1e-3 * width and sign * slopes[place] > 0:
                found[name] = limit
    return found


def _minuit(
    likelihood: Likelihood,
    model: Model,
    free: Sequence[str],
    places: Sequence[int],
    full: np.ndarray,
    tolerance: float,
    strategy: int,
) -> Any:
    from iminuit import Minuit

    def function(values: np.ndarray) -> float:
        full[places] = values
        return likelihood(full.tolist())

    def gradient(values: np.ndarray) -> np.ndarray:
        full[places] = values
        return likelihood.gradient(full.tolist())[places]

    minuit = Minuit(function, full[places].copy(), grad=gradient, name=free)
    minuit.errordef, minuit.tol, minuit.strategy = Minuit.LIKELIHOOD, tolerance, strategy
    counting = {factor for one in model.categories for part in one.components for factor in part.factors}
    for name in free:
        one = model.parameters[name]
        minuit.limits[name] = (one.low, one.high)
        if name in counting:
            step = max(math.sqrt(abs(one.value)), 0.1)
        elif one.low is not None and one.high is not None:
            step = 0.01 * (one.high - one.low)
        else:
            step = max(0.1 * abs(one.value), 0.01)
        minuit.errors[name] = min(step, 0.3 * abs(one.value)) if one.value and name not in counting else step
    return minuit


def _other_start(model: Model, free: Sequence[str], rng: np.random.Generator) -> list[float]:
    """Random values: within limits where there are two, else scaled."""
    values = []
    for name in free:
        one = model.parameters[name]
        bounded = one.low is not None and one.high is not None
        if bounded and not one.given:
            middle = rng.uniform(0.3, 0.7)
            values.append(middle * one.low + (1 - middle) * one.high)  # type: ignore[operator]
        else:
            value = one.value * rng.uniform(0.7, 1.3)
            values.append(
                min(max(value, -math.inf if one.low is None else one.low), math.inf if one.high is None else one.high)
            )
    return values


@dataclass(frozen=True, kw_only=True, eq=False)
class _Errors:
    """Covariance of the free parameters (zeros for those held), the distance to the minimum, and who has no error."""

    covariance: np.ndarray
    distance: float
    undetermined: tuple[str, ...]


def _polished(
    likelihood: Likelihood, minuit: Any, free: Sequence[str], places: Sequence[int], full: np.ndarray
) -> _Errors:
    """Take a last step to the minimum with exact second derivatives, and return their inverse.

    The second derivatives are differences of analytic gradients over hundredths of the parameters' errors. Minuit's own
    are of a function transformed for limits, and go wrong where a parameter hardly matters.
    """
    moving = [i for i, fixed in enumerate(minuit.fixed) if not fixed]
    full[places] = list(minuit.values)
    values, bounds = np.array(minuit.values), list(minuit.limits)
    curvature = _curvatures(likelihood, full, places, moving, values, bounds, 0.01 * np.array(minuit.errors))
    said = likelihood.information(full.tolist())[list(places)]
    widths = np.array([high - low for low, high in bounds])
    loose = _determined(curvature, said, widths, moving)
    undetermined = tuple(free[i] for i in moving if i not in loose)
    covariance = np.zeros((len(places), len(places)))
    if not loose:
        return _Errors(covariance=covariance, distance=0.0, undetermined=undetermined)
    small = _inverse(curvature[np.ix_(loose, loose)])
    spots = [places[i] for i in loose]
    slopes = likelihood.gradient(full.tolist())[spots]
    ends = values[loose] - small @ slopes
    distance = 0.5 * float(slopes @ small @ slopes)
    inside = all(bounds[i][0] <= one <= bounds[i][1] for i, one in zip(loose, ends, strict=True))
    before = likelihood(full.tolist())
    full[spots] = ends
    if inside and distance < 0.1 and likelihood(full.tolist()) <= before + 1e-9:
        for i, one in zip(loose, ends, strict=True):
            minuit.values[i] = one
        slopes = likelihood.gradient(full.tolist())[spots]
        distance = 0.5 * float(slopes @ small @ slopes)
    full[places] = list(minuit.values)
    covariance[np.ix_(loose, loose)] = small
    return _Errors(covariance=covariance, distance=distance, undetermined=undetermined)


def _determined(curvature: np.ndarray, said: np.ndarray, widths: np.ndarray, moving: Sequence[int]) -> list[int]:
    """Return the places of parameters that the data determine.

    Others are left out, until the matrix is that of a minimum: those that no event feels, those whose error would
    be wider than the limits even if all others were known, and one by one those that others can stand for.

    Args:
        curvature: second derivatives, shape (k, k).
        said: what the events themselves say about each parameter, see `Likelihood.information`, shape (k,).
        widths: of the allowed ranges, shape (k,), infinite without limits.
        moving: places of the parameters that are not held.
    """
    diagonal = np.diag(curvature)
    good = np.isfinite(diagonal) & (diagonal > 1 / widths**2) & (said >= FELT * diagonal)
    loose = [i for i in moving if good[i]]
    loose = [i for i in loose if np.isfinite(curvature[i, loose]).all()]
    while loose:
        part = curvature[np.ix_(loose, loose)]
        scale = np.sqrt(np.diag(part))
        lowest, vectors = np.linalg.eigh(part / np.outer(scale, scale))
        if lowest[0] > 1e-11:
            break
        del loose[int(np.argmax(np.abs(vectors[:, 0])))]
    return loose


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a positive matrix whose rows may have very different sizes."""
    scale = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
    return np.asarray(np.linalg.inv(matrix / scale) / scale)


def _curvatures(
    likelihood: Likelihood,
    full: np.ndarray,
    places: Sequence[int],
    loose: Sequence[int],
    values: np.ndarray,
    bounds: Sequence[tuple[float, float]],
    steps: np.ndarray,
) -> np.ndarray:
    """Return second derivatives by the free parameters, shape (k, k); again with better steps if these were far off."""
    result = np.zeros((len(places), len(places)))
    for _ in range(2):
        result = _curvature(likelihood, full, places, loose, values, steps, bounds)
        diagonal = np.diag(result)
        good = np.isfinite(diagonal) & (diagonal > 0)
        wanted = np.where(good, 0.01 / np.sqrt(np.where(good, diagonal, 1.0)), steps)
        if ((steps < 2 * wanted) & (steps > 0.5 * wanted))[loose].all():
            break
        steps = wanted
    return result


def _curvature(
    likelihood: Likelihood,
    full: np.ndarray,
    places: Sequence[int],
    loose: Sequence[int],
    values: np.ndarray,
    steps: np.ndarray,
    bounds: Sequence[tuple[float, float]],
) -> np.ndarray:
    result = np.zeros((len(places), len(places)))
    for i in loose:
        ends = [max(values[i] - steps[i], bounds[i][0]), min(values[i] + steps[i], bounds[i][1])]
        slopes = []
        if not ends[1] > ends[0]:
            continue
        for end in ends:
            full[places] = values
            full[places[i]] = end
            slopes.append(likelihood.gradient(full.tolist())[list(places)])
        result[i] = (slopes[1] - slopes[0]) / (ends[1] - ends[0])
    full[places] = values
    both = np.ix_(loose, loose)
    result[both] = 0.5 * (result[both] + result[both].T)
    return result


def _result(
    likelihood: Likelihood,
    minuit: Any,
    free: Sequence[str],
    places: Sequence[int],
    full: np.ndarray,
    calls: int,
    at_limit: tuple[str, ...],
    polished: _Errors | None,
) -> FitResult:
    names = likelihood.names
    if polished is not None:
        small, distance, accurate = polished.covariance, polished.distance, not polished.undetermined
    else:
        distance, accurate = float(minuit.fmin.edm), False
        small = np.zeros((len(free), len(free))) if minuit.covariance is None else np.array(minuit.covariance)
        held = [free.index(name) for name in at_limit]
        small[held, :] = small[:, held] = 0
    full[places] = list(minuit.values)
    if likelihood.weighted and small.any():
        small = likelihood.corrected(full.tolist(), small, places)
    covariance = np.zeros((len(names), len(names)))
    covariance[np.ix_(places, places)] = small
    errors = np.sqrt(np.clip(np.diag(covariance), 0, None))
    fmin = likelihood(full.tolist())
    return FitResult(
        names=names, free=tuple(free),
        values=dict(zip(names, full.tolist(), strict=True)),
        errors=dict(zip(names, errors.tolist(), strict=True)),
        covariance=covariance, fmin=fmin, edm=distance,
        valid=bool(minuit.valid) and fmin < 0.1 * IMPOSSIBLE, accurate=accurate, calls=calls + minuit.nfcn,
        at_limit=at_limit,
        undetermined=polished.undetermined if polished else (),
    )  # fmt: skip


def _nothing_free(likelihood: Likelihood, full: np.ndarray) -> FitResult:
    values = dict(zip(likelihood.names, full.tolist(), strict=True))
    return FitResult(
        names=likelihood.names, free=(), values=values, errors=dict.fromkeys(values, 0.0),
        covariance=np.zeros((len(full), len(full))), fmin=likelihood(full.tolist()),
        edm=0.0, valid=True, accurate=True, calls=1,
    )  # fmt: skip


# --- end of common ---

# --- common: fit_hs3 (kept by wrappers/embed.py; edit wrappers/common/fit_hs3.py) ---
# Models as HS3 0.2 JSON (HEP Statistics Serialization Standard), written and read back without loss.
#
# Written are distributions of the standard that ROOT imports too: `crystalball_doublesided_dist`, `gaussian_dist`,
# `exponential_dist` (exp(-c x); our `lam` = -c by a `generic_function`), `chebychev_dist`, `bernstein_poly_dist`,
# `histogram_dist`, `generic_dist` with an expression for the rest, and an extended `mixture_dist` per category. Yields
# that are products are `product` functions, constraints `aux_distributions` of the likelihood. Nothing is pickled and
# no text is executed: what the standard has no words for (which of our shapes an expression is) stands under `misc`.
#

from collections.abc import Mapping
from typing import Any


VERSION_OF_HS3 = "0.2"
KEY = "phys_zfit_fit"
INFINITE = 1e30
"""ROOT's word for no limit, as JSON has none."""


def write_hs3(model: Model) -> dict[str, Any]:
    """Return a model as an HS3 dictionary: distributions, functions, domains, parameter points, likelihoods.

    The likelihood `likelihood` names a data entry per category, called `data_<category>`, which the dictionary does not
    hold: the model is independent of the data.
    """
    distributions: list[dict[str, Any]] = []
    functions: list[dict[str, Any]] = []
    for category in model.categories:
        coefficients = []
        for part in category.components:
            distributions.append(_distribution(part, category, functions))
            coefficients.append(_coefficient(part, category, functions))
        names = [f"{category.name}_{part.name}" for part in category.components]
        mixture = {"name": category.name, "type": "mixture_dist", "summands": names, "coefficients": coefficients}
        distributions.append({**mixture, "extended": True})
    for name, (_, width) in model.constraints.items():
        gauss = {
            "name": f"constraint_{name}",
            "type": "gaussian_dist",
            "x": f"{name}_measured",
            "mean": name,
            "sigma": width,
        }
        distributions.append(gauss)
    categories = [one.name for one in model.categories]
    likelihood = {"name": "likelihood", "distributions": categories, "data": [f"data_{name}" for name in categories]}
    if model.constraints:
        likelihood["aux_distributions"] = [f"constraint_{name}" for name in model.constraints]
    return {
        "metadata": {"hs3_version": VERSION_OF_HS3},
        "distributions": distributions,
        "functions": functions,
        "domains": [{"name": "default_domain", "type": "product_domain", "axes": _axes(model)}],
        "parameter_points": [{"name": "default_values", "parameters": _points(model)}],
        "likelihoods": [likelihood],
        "misc": {KEY: _misc(model)},
    }


def _axes(model: Model) -> list[dict[str, Any]]:
    axes: dict[str, dict[str, Any]] = {}
    for one in model.categories:
        axes[one.observable] = {"name": one.observable, "min": one.low, "max": one.high}
    for name, parameter in model.parameters.items():
        low = -INFINITE if parameter.low is None else parameter.low
        axes[name] = {"name": name, "min": low, "max": INFINITE if parameter.high is None else parameter.high}
    return list(axes.values())


def _points(model: Model) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for name, one in model.parameters.items():
        points.append({"name": name, "value": one.value, **({"const": True} if one.fixed else {})})
    points += [
        {"name": f"{name}_measured", "value": mean, "const": True} for name, (mean, _) in model.constraints.items()
    ]
    observables = {one.observable: 0.5 * (one.low + one.high) for one in model.categories}
    return [*points, *[{"name": name, "value": value} for name, value in observables.items()]]


def _misc(model: Model) -> dict[str, Any]:
    return {
        "categories": [
            {
                "name": one.name, "observable": one.observable, "range": [one.low, one.high],
                "components": [
                    {
                        "name": part.name, "shape": part.shape,
                        "parameters": list(part.arguments), "factors": list(part.factors),
                    }
                    for part in one.components
                ],
            }
            for one in model.categories
        ],
        "parameters": list(model.parameters),
    }  # fmt: skip


def _coefficient(part: Component, category: Category, functions: list[dict[str, Any]]) -> Any:
    """The name of what says how many events are expected; products become functions."""
    if len(part.factors) == 1 and isinstance(part.factors[0], str):
        return part.factors[0]
    name = f"{category.name}_{part.name}_events"
    functions.append({"name": name, "type": "product", "factors": list(part.factors)})
    return name


def _distribution(part: Component, category: Category, functions: list[dict[str, Any]]) -> dict[str, Any]:
    """One component's distribution; arguments that need an expression become functions."""
    named = {"name": f"{category.name}_{part.name}"}
    x, names = category.observable, part.arguments
    if part.shape == "dscb":
        keys = ("m0", "sigma_L", "alpha_L", "n_L", "alpha_R", "n_R")
        given = dict(zip(keys, names, strict=True))
        return {**named, "type": "crystalball_doublesided_dist", "m": x, **given, "sigma_R": names[1]}
    if part.shape == "cb":
        return {
            **named,
            "type": "crystalball_dist",
            "m": x,
            **dict(zip(("m0", "sigma", "alpha", "n"), names, strict=True)),
        }
    if part.shape == "gauss":
        return {**named, "type": "gaussian_dist", "x": x, "mean": names[0], "sigma": names[1]}
    if part.shape == "exp":
        slope = f"{named['name']}_c"
        functions.append({"name": slope, "type": "generic_function", "expression": f"-1*{names[0]}"})
        return {**named, "type": "exponential_dist", "x": x, "c": slope}
    if part.shape.startswith("poly"):
        return {**named, "type": "chebychev_dist", "x": x, "coefficients": list(names)}
    if part.shape.startswith("bern"):
        return {**named, "type": "bernstein_poly_dist", "x": x, "coefficients": [1.0, *names]}
    if part.shape == "template":
        assert part.template is not None
        edges, contents = part.template
        data = {"axes": [{"name": x, "edges": list(edges)}], "contents": list(contents)}
        return {**named, "type": "histogram_dist", "data": data}
    if part.shape == "power":
        return {**named, "type": "generic_dist", "expression": f"({x}/{category.low!r})^{names[0]}"}
    z = f"((2*{x}-{category.low + category.high!r})/{category.high - category.low!r})"
    terms = "+".join(f"{name}*{z}^{power}" if power > 1 else f"{name}*{z}" for power, name in enumerate(names, start=1))
    return {**named, "type": "generic_dist", "expression": f"exp({terms})"}


def read_hs3(dictionary: Mapping[str, Any]) -> Model:
    """Return the model that `write_hs3` wrote; all its parameters count as given.

    Values, limits and what is fixed come from `parameter_points` and `domains`, so they may be edited there.

    Raises:
        WrongInput: if the dictionary is of another origin, or contradicts itself.
    """
    try:
        misc = dictionary["misc"][KEY]
        axes = {one["name"]: one for domain in dictionary["domains"] for one in domain["axes"]}
        points = {one["name"]: one for one in dictionary["parameter_points"][0]["parameters"]}
        distributions = {one["name"]: one for one in dictionary["distributions"]}
        model = Model(
            categories=tuple(_category(one, distributions) for one in misc["categories"]),
            parameters={name: _parameter(name, points[name], axes.get(name, {})) for name in misc["parameters"]},
            constraints={
                str(one["mean"]): (float(points[one["x"]]["value"]), float(one["sigma"]))
                for name in dictionary["likelihoods"][0].get("aux_distributions", [])
                for one in [distributions[name]]
            },
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise WrongInput(f"not an HS3 model that phys/zfit/fit wrote: {type(error).__name__}: {error}") from error
    written = {one["name"]: one for one in write_hs3(model)["distributions"]}
    for name, one in distributions.items():
        if written.get(name) != one:
            raise WrongInput(f"HS3: the distribution {name!r} does not agree with what is under misc: {KEY}")
    return model


def _category(one: Mapping[str, Any], distributions: Mapping[str, Any]) -> Category:
    components = []
    for part in one["components"]:
        template = None
        if part["shape"] == "template":
            data = distributions[f"{one['name']}_{part['name']}"]["data"]
            template = (tuple(map(float, data["axes"][0]["edges"])), tuple(map(float, data["contents"])))
        factors = tuple(factor if isinstance(factor, str) else float(factor) for factor in part["factors"])
        arguments = tuple(map(str, part["parameters"]))
        components.append(
            Component(name=part["name"], shape=part["shape"], arguments=arguments, factors=factors, template=template)
        )
    low, high = map(float, one["range"])
    return Category(name=one["name"], observable=one["observable"], low=low, high=high, components=tuple(components))


def _parameter(name: str, point: Mapping[str, Any], axis: Mapping[str, Any]) -> Parameter:
    low, high = float(axis.get("min", -INFINITE)), float(axis.get("max", INFINITE))
    return Parameter(
        name=name, value=float(point["value"]), low=None if low <= -INFINITE else low,
        high=None if high >= INFINITE else high, fixed=bool(point.get("const", False)), given=True,
    )  # fmt: skip


# --- end of common ---

# --- common: fit_toys (kept by wrappers/embed.py; edit wrappers/common/fit_toys.py) ---
# Pseudo-data of a model: toys, and the Asimov data set whose counts are the expected ones.

from collections.abc import Mapping
from typing import Any

import numpy as np


FINE_BINS = 2000
TOY_BINS = 20_000


def asimov(model: Model, values: Mapping[str, float] | None = None, *, edges: Mapping[str, Any] | None = None) -> Data:
    """Return counts that are exactly as expected, one set per category.

    Args:
        model: what to expect.
        values: of parameters, where they are not the model's own.
        edges: {category: edges} of binned fits; without, 2000 bins, so fine that a binned fit is as good as unbinned.
    """
    result = {}
    for one in model.categories:
        bins = np.linspace(one.low, one.high, FINE_BINS + 1) if edges is None else np.asarray(edges[one.name], float)
        counts = np.sum(list(expected(model, one.name, bins, values).values()), axis=0)
        result[one.name] = Counts(edges=bins, counts=counts)
    return result


def toy(
    model: Model,
    rng: np.random.Generator,
    values: Mapping[str, float] | None = None,
    *,
    edges: Mapping[str, Any] | None = None,
) -> Data:
    """Return one set of pseudo-data, with Poisson numbers of events; unbinned unless there are edges.

    Events come from exact integrals over 20 000 bins of the range, uniform within a bin. Parameters with Gaussian
    constraints stay where they are: draw other means (`Model.constraints`) for toys with varied constraints.
    """
    result: dict[str, Events | Counts] = {}
    for one in model.categories:
        bins = np.linspace(one.low, one.high, TOY_BINS + 1) if edges is None else np.asarray(edges[one.name], float)
        density = np.clip(np.sum(list(expected(model, one.name, bins, values).values()), axis=0), 0, None)
        if edges is not None:
            result[one.name] = Counts(edges=bins, counts=rng.poisson(density).astype(float))
            continue
        sums = np.concatenate([[0.0], np.cumsum(density)])
        number = rng.poisson(sums[-1])
        result[one.name] = Events(x=np.interp(np.sort(rng.random(number)) * sums[-1], sums, bins))
    return result


# --- end of common ---

# --- common: tables (kept by wrappers/embed.py; edit wrappers/common/tables.py) ---
# Flat tables in Parquet, ROOT (TTree or RNTuple), npz or CSV files: their columns, and arrays of them in pieces.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


ROWS_PER_PIECE = 500_000


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file (or a tree of one) with columns of equal length."""

    path: str
    tree: str | None
    columns: tuple[str, ...]
    entries: int
    held: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What an error message calls this table."""
        return f"{self.path}: tree {self.tree}" if self.tree else self.path

    def check(self, wanted: Sequence[str]) -> None:
        """Raise `WrongInput` for the first wanted column that is not there."""
        for column in wanted:
            if column not in self.columns:
                raise WrongInput(f"{self.name}: no column {column!r}. {near(column, self.columns)}")

    def pieces(self, wanted: Sequence[str], *, rows: int = ROWS_PER_PIECE) -> Iterator[dict[str, np.ndarray]]:
        """Yield arrays of at most `rows` entries, shape (n,) each, in the order of the file.

        Raises:
            WrongInput: for a column that is missing or not one number (or bool) per row.
        """
        self.check(wanted)
        for piece in _reader(self.path)(self, list(wanted), rows):
            for column, array in piece.items():
                if array.ndim != 1 or array.dtype.kind not in "biuf":
                    raise WrongInput(f"{self.name}: column {column!r} is not one number per row ({array.dtype})")
            yield piece

    def read(self, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Return whole columns, shape (entries,) each."""
        pieces = list(self.pieces(wanted))
        if not pieces:
            return {column: np.empty(0) for column in wanted}
        return {column: np.concatenate([piece[column] for piece in pieces]) for column in wanted}


def open_table(path: str, tree: str | None = None) -> Table:
    """Open a table without reading its columns.

    Args:
        path: a file ending in .parquet, .root, .npz or .csv.
        tree: name of the TTree or RNTuple; may be left out where the file has only one.

    Raises:
        WrongInput: if it cannot be read, the tree is missing or ambiguous, or columns differ in length.
    """
    opener = _OPENERS.get(Path(path).suffix)
    if opener is None:
        raise WrongInput(f"{path}: tables are read from {', '.join(_OPENERS)} files, not from {Path(path).suffix!r}")
    try:
        return opener(path, tree)
    except WrongInput:
        raise
    except Exception as error:
        raise WrongInput(f"{path}: cannot be read: {type(error).__name__}: {error}") from error


def _open_parquet(path: str, _: str | None) -> Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return Table(path=path, tree=None, columns=tuple(file.schema_arrow.names), entries=file.metadata.num_rows)


def _open_root(path: str, tree: str | None) -> Table:
    import uproot

    with uproot.open(path) as file:
        classes = file.classnames(cycle=False)
        trees = [name for name, kind in classes.items() if kind == "TTree" or "RNTuple" in kind]
        if tree is None and len(trees) != 1:
            raise WrongInput(f"{path}: which tree? params: tree=... There are: {', '.join(trees) or 'none'}")
        chosen = trees[0] if tree is None else tree
        if chosen not in trees:
            raise WrongInput(f"{path}: no tree {chosen!r}. {near(chosen, trees)}")
        return Table(path=path, tree=chosen, columns=tuple(file[chosen].keys()), entries=file[chosen].num_entries)


def _open_npz(path: str, _: str | None) -> Table:
    with np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    return _held(path, held)


def _open_csv(path: str, _: str | None) -> Table:
    held = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8", deletechars="")
    return _held(path, {name: np.atleast_1d(held[name]) for name in held.dtype.names or ()})


def _held(path: str, held: dict[str, np.ndarray]) -> Table:
    lengths = {name: len(array) for name, array in held.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        raise WrongInput(f"{path}: columns differ in length: {lengths}")
    return Table(path=path, tree=None, columns=tuple(held), entries=next(iter(lengths.values()), 0), held=held)


def _reader(path: str) -> Any:
    return {".parquet": _read_parquet, ".root": _read_root}.get(Path(path).suffix, _read_held)


def _read_parquet(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table.path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            yield {name: batch.column(name).to_numpy(zero_copy_only=False) for name in wanted}


def _read_root(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    import uproot

    with uproot.open(table.path) as file:
        for piece in file[table.tree].iterate(wanted, library="np", step_size=rows):
            yield {name: np.asarray(piece[name]) for name in wanted}


def _read_held(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, table.entries, rows):
        yield {name: table.held[name][start : start + rows] for name in wanted}


_OPENERS = {".parquet": _open_parquet, ".root": _open_root, ".npz": _open_npz, ".csv": _open_csv}


# --- end of common ---

# --- common: histograms (kept by wrappers/embed.py; edit wrappers/common/histograms.py) ---
# Histograms as UHI JSON or ROOT objects: reading, writing, and taking one spectrum out of their categories.

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


NOMINAL = "nominal"
"""The category of an axis `systematic` that is no variation; it stands first."""
CATEGORY_AXES = ("process", "systematic")


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """One binned observable of one process: sums of weights and of squared weights, without and with the flow bins.

    Attributes:
        observable: name of the axis.
        label: the axis label with its unit, for plots.
        unit: unit of the edges, may be empty.
        edges: shape (n + 1,), in `unit`.
        values: sums of weights, shape (n,).
        variances: sums of squared weights, shape (n,).
        underflow: sum of weights and of squared weights below the first edge.
        overflow: the same from the last edge on.
    """

    observable: str
    label: str
    unit: str
    edges: np.ndarray
    values: np.ndarray
    variances: np.ndarray
    underflow: tuple[float, float]
    overflow: tuple[float, float]


def read_histograms(path: str, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """Read `hist.Hist` objects by name from a UHI JSON or a ROOT file.

    A JSON file holds one UHI histogram, a mapping of names to them, or `{"histograms": {name: histogram}, ...}`. In a
    ROOT file every TH1, TH2 and TH3 is read; names hold the folder.

    Args:
        path: a file ending in .json or .root.
        wanted: names to read; without any, all.

    Raises:
        WrongInput: if the file cannot be read, holds no histograms, or lacks a wanted one.
    """
    readers = {".json": _json_histograms, ".root": _root_histograms}
    reader = readers.get(Path(path).suffix)
    if reader is None:
        raise WrongInput(
            f"{path}: histograms are read from .json (UHI) and .root files, not from {Path(path).suffix!r}"
        )
    try:
        found = reader(path)
        for name in wanted:
            if name not in found:
                raise WrongInput(f"{path}: no histogram {name!r}. {near(name, found)}")
        if not found:
            raise WrongInput(f"{path}: there is no histogram in it (UHI JSON or TH1, TH2)")
        return {name: found[name]() for name in wanted or found}
    except WrongInput:
        raise
    except Exception as error:
        raise WrongInput(f"{path}: no readable histograms: {type(error).__name__}: {error}") from error


def _json_histograms(path: str) -> dict[str, Any]:
    import hist

    document = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        return {}
    if "uhi_schema" in document:
        name = document.get("metadata", {}).get("name") or Path(path).stem
        return {name: lambda: hist.Hist(document)}
    held = document.get("histograms", document)
    known = {name: one for name, one in held.items() if isinstance(one, dict) and "uhi_schema" in one}
    return {name: lambda one=one: hist.Hist(one) for name, one in known.items()}


def _root_histograms(path: str) -> dict[str, Any]:
    import uproot

    with uproot.open(path) as file:
        names = [name for name, kind in file.classnames(cycle=False).items() if kind.startswith(("TH1", "TH2", "TH3"))]
        objects = {name: file[name] for name in names}
    return {name: one.to_hist for name, one in objects.items()}


def read_metadata(path: str) -> dict[str, Any]:
    """Return what stands beside the histograms in a file of `write_histograms` (provenance, yields); else nothing."""
    if Path(path).suffix != ".json":
        return {}
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    held = isinstance(document, dict) and "uhi_schema" not in document and isinstance(document.get("histograms"), dict)
    return {key: value for key, value in document.items() if key != "histograms"} if held else {}


def uhi(histogram: Any) -> dict[str, Any]:
    """Return a histogram as the object of UHI's JSON schema, of plain Python values."""
    from uhi.io.json import default

    value: dict[str, Any] = json.loads(json.dumps(histogram, default=default))
    return value


def write_histograms(path: Any, histograms: Mapping[str, Any], provenance: Mapping[str, Any], **more: Any) -> None:
    """Write `{"provenance": ..., more..., "histograms": {name: UHI}}`; a `.uhi.json` file holds the histograms alone.

    The second kind is what `uhi validate` and `uhi add` read; the provenance is text in each histogram's metadata.
    """
    objects = {name: uhi(histogram) for name, histogram in histograms.items()}
    if str(path).endswith(".uhi.json"):
        said = json.dumps(provenance, sort_keys=True)
        plain = {
            name: {**one, "metadata": {**one.get("metadata", {}), "provenance": said}} for name, one in objects.items()
        }
        write_rows(path, plain)
    else:
        write_rows(path, {"provenance": provenance, **more, "histograms": objects})


def write_rows(path: Any, value: Any) -> None:
    """Write JSON with each list of numbers or words on one line; whole or not at all; NaN is an error."""
    with replacing(path) as partial:
        partial.write_text(_rows(value, "") + "\n", encoding="utf-8")


def _rows(value: Any, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, Mapping) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {_rows(one, inner)}" for key, one in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        return "[\n" + ",\n".join(inner + _rows(one, inner) for one in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def categories(histogram: Any, axis: str) -> list[str]:
    """Return the words on an axis such as `process` or `systematic`; none if there is no such axis."""
    return list(histogram.axes[axis]) if axis in histogram.axes.name else []


def variables(histogram: Any) -> list[Any]:
    """Return the axes that are observables, in their order."""
    return [axis for axis in histogram.axes if axis.name not in CATEGORY_AXES]


def spectrum(histogram: Any, *, process: str | None = None, systematic: str = NOMINAL) -> Spectrum:
    """Return one process (or the sum of all) at one variation of a histogram with one observable.

    A histogram without an axis `systematic` is its own nominal.

    Raises:
        WrongInput: if there is no such process or variation, or the histogram has more than one observable.
    """
    name = histogram.name or "the histogram"
    axes = variables(histogram)
    if len(axes) != 1:
        raise WrongInput(
            f"{name}: a histogram with one observable is needed; its axes are {', '.join(histogram.axes.name)}"
        )
    cells = _cells(histogram)
    for axis, chosen in (("process", process), ("systematic", systematic)):
        words = categories(histogram, axis)
        if chosen is not None and chosen not in words and (words or axis == "process" or chosen != NOMINAL):
            raise WrongInput(f"{name}: no {axis} {chosen!r}. {near(chosen, words)}")
    # from the last axis to the first, so that the places of the others stay
    for place in reversed(range(len(histogram.axes))):
        axis = histogram.axes[place].name
        if axis == "process" and process is None:
            cells = cells.sum(axis=place + 1)
        elif axis in CATEGORY_AXES:
            chosen = process if axis == "process" else systematic
            cells = cells.take(categories(histogram, axis).index(str(chosen)), axis=place + 1)
    traits = axes[0].traits
    under = cells[:, 0] if traits.underflow else np.zeros(2)
    over = cells[:, -1] if traits.overflow else np.zeros(2)
    inner = cells[:, int(traits.underflow) : cells.shape[1] - int(traits.overflow)]
    return Spectrum(
        observable=axes[0].name,
        label=axes[0].label,
        unit=axis_unit(axes[0]),
        edges=np.asarray(axes[0].edges, dtype=float),
        values=inner[0],
        variances=inner[1],
        underflow=(float(under[0]), float(under[1])),
        overflow=(float(over[0]), float(over[1])),
    )


def _cells(histogram: Any) -> np.ndarray:
    """Sums of weights and of squared weights with flow bins, shape (2, ...); a count is its own variance."""
    view = histogram.view(flow=True)
    pair = [view["value"], view["variance"]] if view.dtype.names else [view, view]
    return np.stack(pair).astype(float)


def axis_unit(axis: Any) -> str:
    """Return the unit of an axis: what `hist/fill` noted, else what stands in brackets at the end of the label."""
    known = getattr(axis, "unit", None)
    if known is not None:
        return str(known)
    label = str(axis.label).strip()
    return label[label.rindex("[") + 1 : -1] if label.endswith("]") and "[" in label else ""


def variation_pairs(systematics: Iterable[str]) -> dict[str, list[str]]:
    """Group variations by their name without `_up` and `_down`."""
    groups: dict[str, list[str]] = {}
    for name in sorted(systematics):
        groups.setdefault(re.sub(r"_?(up|down|dn)$", "", name, flags=re.IGNORECASE) or name, []).append(name)
    return groups


def garwood(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper errors of Poisson counts, shape (n,) each: the central 68.27 % interval.

    F. Garwood, Biometrika 28 (1936) 437; its ends are quantiles of the chi-square distribution.
    """
    from scipy.special import gammaincinv, ndtr

    tail = float(ndtr(-1.0))
    low = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), tail), 0.0)
    return counts - low, gammaincinv(counts + 1.0, 1 - tail) - counts


def count_errors(values: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper errors: Garwood's for counts, sqrt(sum w^2) on both sides for weighted entries."""
    if np.all(values >= 0) and np.allclose(values, variances, rtol=1e-9, atol=0):
        return garwood(values)
    error = np.sqrt(variances)
    return error, error


# --- end of common ---

# --- common: fit_data (kept by wrappers/embed.py; edit wrappers/common/fit_data.py) ---
# Data for fits: columns of flat tables or histograms, by category, with checks of what commonly goes wrong.

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


SETTINGS: dict[str, Any] = {
    "column": None, "weight": None, "tree": None, "histogram": None, "process": None,
    "category": None, "categories": None, "binning": None,
}  # fmt: skip
"""What a reader may be told, beside the model: column names, a tree or histogram, and how categories are told apart."""
OBSERVABLE_KEYS = ("quantity", "observable", "name")
NAMELESS = ("", "xaxis", "axis_0")
"""What an axis is called if it was given no name."""


def read_data(paths: Sequence[str], settings: Mapping[str, Any], model: Model) -> Data:
    """Return the events or counts of each category of a model.

    Args:
        paths: one file for all, or one per category in their order. Tables are unbinned unless `binning` says
            otherwise, histograms (UHI JSON, a ROOT TH1, or JSON with `bin_edges` and `counts`) are binned.
        settings: see `SETTINGS`; keys may be missing. `column` is the observable's, if it is not called as in the
            model; `categories` {category: value, or list of values, of the column `category`}; `binning`
            {category: edges}.
        model: its categories and their ranges.

    Raises:
        WrongInput: for what is missing, empty, not finite, or not in the range, saying what to do.
    """
    chosen = {**SETTINGS, **{key: value for key, value in settings.items() if key in SETTINGS}}
    paths = existing(paths)
    names = [one.name for one in model.categories]
    if len(paths) not in (1, len(names)):
        raise WrongInput(
            f"{len(paths)} files for {len(names)} categories: one file, or one for each, is wanted "
            "(phys/uproot/skim makes one of several)"
        )
    result: dict[str, Events | Counts] = {}
    for number, one in enumerate(model.categories):
        path = paths[number if len(paths) > 1 else 0]
        if is_histogram(path, chosen["histogram"]):
            result[one.name] = in_range(read_counts(path, chosen, one.name), one.low, one.high, path)
            continue
        if len(paths) == 1 and len(names) > 1 and not chosen["category"]:
            raise WrongInput(f"{path}: params: category: which column tells {', '.join(names)} apart?")
        column = chosen["column"] or one.observable
        events = _read_events(path, column, chosen, one.name, one.low, one.high)
        binning = (chosen["binning"] or {}).get(one.name)
        result[one.name] = events if binning is None else _not_negative(make_counts(events, binning), path)
    return result


def is_histogram(path: str, histogram: Any = None) -> bool:
    """Tell whether a file is read as a histogram: JSON, and ROOT files with a TH1 and no tree."""
    suffix = Path(path).suffix
    if suffix == ".json" or histogram is not None:
        return True
    if suffix != ".root":
        return False
    import uproot

    try:
        with uproot.open(path) as file:
            kinds = list(file.classnames(cycle=False).values())
    except Exception as error:
        raise WrongInput(f"{path}: cannot be read: {type(error).__name__}: {error}") from error
    trees = any(kind == "TTree" or "RNTuple" in kind for kind in kinds)
    return not trees and any(kind.startswith("TH1") for kind in kinds)


def read_counts(path: str, settings: Mapping[str, Any], category: str = "") -> Counts:
    """Return a histogram with all bins: `counts` of a spectrum, or a UHI or ROOT histogram (one process, nominal)."""
    document = _plain_spectrum(path)
    if document is not None:
        return _plain(document, path, "counts")
    one = _spectrum(path, settings, category)
    return _checked(one.edges, one.values, one.variances, path)


def read_axis(path: str, settings: Mapping[str, Any], category: str = "") -> tuple[str, str]:
    """Return what a histogram calls its observable and the unit; empty where it does not say."""
    document = _plain_spectrum(path)
    if document is not None:
        names = [document.get(key) for key in OBSERVABLE_KEYS]
        name = next((one for one in names if isinstance(one, str)), "")
        return name, str(document.get("unit") or "")
    one = _spectrum(path, settings, category)
    return "" if one.observable in NAMELESS else one.observable, one.unit


def _plain_spectrum(path: str) -> dict[str, Any] | None:
    """Return a JSON document with `counts`; None for other kinds of histograms."""
    if Path(path).suffix != ".json":
        return None
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongInput(f"{path}: no JSON: {error}") from error
    return document if isinstance(document, dict) and "counts" in document else None


def _spectrum(path: str, settings: Mapping[str, Any], category: str) -> Spectrum:
    name = settings.get("histogram")
    name = name.get(category) if isinstance(name, Mapping) else name
    found = read_histograms(path, [name] if name else ())
    if len(found) > 1 and category in found:
        found = {category: found[category]}
    if len(found) > 1:
        raise WrongInput(f"{path}: which histogram? params: histogram: one of {', '.join(found)}")
    return spectrum(next(iter(found.values())), process=settings.get("process"))


def read_template(document_path: str, key: str = "expected_counts") -> Counts | None:
    """Return the expected signal that a JSON spectrum holds beside its counts, under `signal`; None without."""
    document = json.loads(Path(document_path).read_text(encoding="utf-8")) if document_path.endswith(".json") else None
    signal = document.get("signal") if isinstance(document, dict) else None
    if not isinstance(signal, dict) or key not in signal:
        return None
    merged: dict[str, Any] = {**document, key: signal[key], "variances": None}
    return _plain(merged, f"{document_path}: signal", key)


def _plain(document: Mapping[str, Any], path: str, key: str) -> Counts:
    edges = document.get("bin_edges", document.get("edges"))
    try:
        counts, edges = np.array(document[key], float), np.array(edges, float)
        variances = document.get("variances")
        variances = None if variances is None else np.array(variances, float)
    except (TypeError, ValueError) as error:
        raise WrongInput(f"{path}: bin_edges and {key}: lists of numbers are wanted") from error
    if edges.ndim != 1 or edges.shape != (len(counts) + 1,) or not (np.diff(edges) > 0).all():
        raise WrongInput(f"{path}: {len(counts)} {key} need {len(counts) + 1} ascending bin_edges")
    return _checked(edges, counts, counts if variances is None else variances, path)


def _checked(edges: np.ndarray, counts: np.ndarray, variances: np.ndarray, path: str) -> Counts:
    if counts.shape != variances.shape:
        raise WrongInput(f"{path}: {len(counts)} counts, but {len(variances)} variances")
    for what, contents in (("is", counts), ("has the variance", variances)):
        finite = np.isfinite(contents)
        if not finite.all():
            raise WrongInput(f"{path}: bin {int(np.argmin(finite)) + 1} {what} {contents[~finite][0]}")
    if np.allclose(counts, variances, rtol=1e-9, atol=1e-9):
        return Counts(edges=edges, counts=counts)
    if (variances < 0).any():
        raise WrongInput(f"{path}: bin {int(np.argmin(variances)) + 1} has the variance {variances.min():g}")
    return Counts(edges=edges, counts=counts, variances=variances)


def _not_negative(counts: Counts, path: str) -> Counts:
    if (counts.counts < 0).any():
        place = int(np.argmin(counts.counts))
        low, high = counts.edges[place : place + 2]
        raise WrongInput(
            f"{path}: the bin from {low:g} to {high:g} has {counts.counts[place]:g} events: use wider bins"
        )
    return counts


def in_range(counts: Counts, low: float, high: float, path: str) -> Counts:
    """Return the bins between low and high, which must be edges; an edge in 4 decimals may be rounded."""
    slack = 1e-4 * (high - low)
    places = [int(np.argmin(np.abs(counts.edges - one))) for one in (low, high)]
    for place, one in zip(places, (low, high), strict=True):
        if abs(counts.edges[place] - one) > slack:
            shown = ", ".join(f"{edge:g}" for edge in counts.edges[max(0, place - 1) : place + 2])
            raise WrongInput(f"{path}: range: {one:g} is not an edge of a bin; edges near it are {shown}")
    part = slice(places[0], places[1])
    edges = counts.edges[places[0] : places[1] + 1].copy()
    edges[0], edges[-1] = low, high
    variances = None if counts.variances is None else counts.variances[part]
    chosen = Counts(edges=edges, counts=counts.counts[part], variances=variances)
    if not chosen.total > 0:
        raise WrongInput(f"{path}: no events between {low:g} and {high:g}")
    return _not_negative(chosen, path)


def category_values(path: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return {name: value} for the values in the column `category`, ascending: their names are the numbers."""
    table = open_table(path, settings.get("tree"))
    found: set[float] = set()
    for piece in table.pieces([settings["category"]]):
        found |= set(np.unique(piece[settings["category"]]).tolist())
        if len(found) > 50:
            raise WrongInput(f"{table.name}: column {settings['category']!r} has more than 50 values: not a category")
    return {f"{value:g}": value for value in sorted(found)}


def _read_events(path: str, column: str, settings: Mapping[str, Any], category: str, low: float, high: float) -> Events:
    table = open_table(path, settings["tree"])
    wanted = [column, *(one for one in (settings["weight"], settings["category"]) if one)]
    arrays = table.read(list(dict.fromkeys(wanted)))
    x = np.asarray(arrays[column], float)
    weights = np.asarray(arrays[settings["weight"]], float) if settings["weight"] else None
    if settings["category"]:
        values = (settings["categories"] or {}).get(category, _number(category))
        if values is None:
            raise WrongInput(f"params: categories: which values of {settings['category']!r} are {category!r}?")
        mine = np.isin(arrays[settings["category"]], values)
        if not mine.any():
            seen = ", ".join(f"{one:g}" for one in np.unique(arrays[settings["category"]])[:20])
            raise WrongInput(f"{table.name}: {settings['category']} is never {values!r} ({category!r}); it is {seen}")
        x, weights = x[mine], weights if weights is None else weights[mine]
    for name, array in ((column, x), (settings["weight"], weights)):
        if array is not None and not np.isfinite(array).all():
            number = int((~np.isfinite(array)).sum())
            raise WrongInput(
                f"{table.name}: column {name!r}: {number} of {len(array)} values are NaN or infinite: cut them"
            )
    events = make_events(x, low, high, weights)
    _tell(table.name, column, x, events, low, high)
    return events


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _tell(name: str, column: str, x: np.ndarray, events: Events, low: float, high: float) -> None:
    """Say how much of the data the range holds; fail if that is nothing."""
    if not len(x):
        raise WrongInput(f"{name}: there are no events in it")
    inside = len(events.x)
    middle = float(np.median(x))
    units = [(1000.0, "MeV where the range is in GeV"), (0.001, "GeV where the range is in MeV")]
    hint = next((f" They look like {text}." for factor, text in units if low <= middle / factor <= high), "")
    if not inside:
        raise WrongInput(
            f"{name}: no {column!r} between {low:g} and {high:g}: values go from {x.min():g} to {x.max():g}.{hint}"
        )
    share = 1 - inside / len(x)
    outside = f", {len(x) - inside:,} outside the range ({100 * share:.2g} %)" if share else ""
    print(f"{name}: {inside:,} events with {column} from {low:g} to {high:g}{outside}")
    if share > 0.99 and hint:
        print(f"Warning: {name}: almost all {column!r} are outside the range.{hint}")
    if events.weights is not None:
        negative = events.weights < 0
        lost = float(-events.weights[negative].sum())
        if not math.isfinite(events.total) or events.total <= 0:
            raise WrongInput(f"{name}: the weights sum up to {events.total:g}: there is nothing to fit")
        if negative.any():
            share = 100 * lost / events.total
            print(f"Warning: {name}: {int(negative.sum()):,} weights are negative, {share:.2g} % of the sum")


# --- end of common ---

# --- common: fit_problem (kept by wrappers/embed.py; edit wrappers/common/fit_problem.py) ---
# Tests of a parameter of a fit: the model of its result, and the data it was fitted to.

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Data of all categories, and what the auxiliary measurements behind the model's constraints gave."""

    data: Data
    means: Mapping[str, float]


class FitProblem:
    """A model of spectra and its data, binned or unbinned; the parameter of interest may become negative."""

    def __init__(self, model: Model, data: Data, poi: str) -> None:
        if poi not in model.parameters:
            raise WrongInput(f"params: poi: the model has no parameter {poi!r}. {near(poi, model.parameters)}")
        if model.parameters[poi].fixed:
            raise WrongInput(f"params: poi: {poi!r} is fixed in the model")
        self.model, self.poi = model, poi
        means = {name: mean for name, (mean, _) in model.constraints.items()}
        self.observed = Measured(data=data, means=means)
        binned = {name: one.edges for name, one in data.items() if isinstance(one, Counts)}
        self.edges = binned or None
        if binned and len(binned) != len(data):
            raise WrongInput("the data of some categories are binned, of others not: that cannot be tested")
        self._drawn: tuple[Best, dict[str, tuple[np.ndarray, np.ndarray]]] | None = None
        self.weighted = any(one.weighted for one in data.values())

    def best(self, data: Measured, poi: float | None = None, *, near: Best | None = None) -> Best:
        """Minimise with Minuit and the analytic gradient."""
        constraints = {name: (data.means[name], width) for name, (_, width) in self.model.constraints.items()}
        model = dataclasses.replace(self.model, constraints=constraints)
        likelihood = Likelihood(model, data.data, effective=False)
        start = {} if near is None else {name: near.parameters[name] for name in self.model.free if name != self.poi}
        fixed = {} if poi is None else {self.poi: poi}
        hesse = poi is None and near is None
        strategy = 1 if near is None else 0
        found = minimise(likelihood, start=start, fixed=fixed, tolerance=1e-3, strategy=strategy, hesse=hesse)
        error = found.errors[self.poi] if poi is None else 0.0
        values = dict(found.values)
        return Best(poi=values[self.poi], nll=found.fmin, error=error, parameters=values, valid=found.valid)

    def hypothesis(self, poi: float) -> Best:
        """Take the other parameters as they fit the data best together with this value."""
        return self.best(self.observed, poi)

    def asimov(self, hypothesis: Best) -> Measured:
        """Return expected counts: in the bins of binned data, in fine ones instead of unbinned data."""
        return Measured(data=asimov(self.model, hypothesis.parameters, edges=self.edges), means=self._means(hypothesis))

    def toy(self, hypothesis: Best, random: np.random.Generator) -> Measured:
        """Return random data of the kind of the real ones, with random means of the constraints."""
        if self._drawn is None or self._drawn[0] is not hypothesis:
            self._drawn = hypothesis, {one.name: self._rates(one, hypothesis) for one in self.model.categories}
        data: dict[str, Events | Counts] = {}
        for name, (edges, rates) in self._drawn[1].items():
            counts = random.poisson(rates)
            if self.edges is not None:
                data[name] = Counts(edges=edges, counts=counts.astype(float))
                continue
            filled = np.flatnonzero(counts)
            low, width = (np.repeat(one[filled], counts[filled]) for one in (edges[:-1], np.diff(edges)))
            data[name] = Events(x=np.sort(low + width * random.random(len(low))))
        widths = {name: width for name, (_, width) in self.model.constraints.items()}
        means = {name: random.normal(mean, widths[name]) for name, mean in self._means(hypothesis).items()}
        return Measured(data=data, means=means)

    def _rates(self, category: Category, hypothesis: Best) -> tuple[np.ndarray, np.ndarray]:
        """Return the bins that toys are drawn in (fine ones for unbinned data), and what is expected there."""
        fine = np.linspace(category.low, category.high, TOY_BINS + 1)
        edges = fine if self.edges is None else np.asarray(self.edges[category.name])
        parts = expected(self.model, category.name, edges, hypothesis.parameters)
        return edges, np.clip(np.sum(list(parts.values()), axis=0), 0.0, None)

    def _means(self, hypothesis: Best) -> dict[str, float]:
        return {name: float(hypothesis.parameters[name]) for name in self.model.constraints}


def fit_problem(document: Mapping[str, Any], path: str, data_paths: Any, poi: str | None) -> FitProblem:
    """Return the problem that belongs to the result of phys/zfit/fit.

    Args:
        document: the result.
        path: of the result, for messages.
        data_paths: file or files that were fitted; None if nothing is named.
        poi: name of the parameter of interest; None for the one that the result names.

    Raises:
        WrongInput: if the result has no model or the data are not those of the fit.
    """
    for key in ("model", "settings", "parameters"):
        if not isinstance(document.get(key), Mapping):
            raise WrongInput(f"{path}: no {key!r} in it: it must be the result of phys/zfit/fit")
    if not data_paths:
        raise WrongInput("input: with fit=... the data that were fitted are needed too: data=...")
    model = read_hs3(document["model"])
    paths = [str(data_paths)] if isinstance(data_paths, str) else [str(one) for one in data_paths]
    data = read_data(paths, document["settings"], model)
    name = poi or document.get("poi")
    if not name:
        free = ", ".join(model.free)
        raise WrongInput(f"params: poi: which parameter is of interest? There are: {free}")
    problem = FitProblem(model, data, str(name))
    found, known = sum(one.total for one in data.values()), document.get("n_events")
    if known is not None and abs(found - known) > 1e-6 * max(1.0, abs(known)):
        raise WrongInput(f"input: data: {found:.10g} events within the range, but {known:.10g} were fitted in {path}")
    if problem.weighted:
        print("The data are weighted: significances and limits assume that counts vary as Poisson numbers do.")
    return problem


# --- end of common ---

# --- common: problems (kept by wrappers/embed.py; edit wrappers/common/problems.py) ---
# What can be tested: a counting experiment, a HistFactory workspace, the model of a fit; and what a rule means.

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


POISSON, GAUSS = "poisson", "gauss"


@dataclass(frozen=True, kw_only=True)
class Count:
    """One count and the auxiliary measurement of its background.

    Attributes:
        events: observed events (not a whole number in Asimov data).
        background: auxiliary measurement: events in a control region (constraint `poisson`) or background (`gauss`).
    """

    events: float
    background: float


@dataclass(frozen=True, kw_only=True)
class Counting:
    """A counting experiment: n ~ Poisson(mu s + b), with b known, or measured beside.

    With an error on b the likelihood has a second factor: a control region, m ~ Poisson(tau b) with tau = b0 / error**2
    (`poisson`), or a Gaussian around b0 (`gauss`). The best b for a given mu is a quadratic equation in both.
    """

    poi = "mu"
    events: float
    background: float
    error: float
    signal: float
    constraint: str = POISSON
    nominal: bool = True

    def __post_init__(self) -> None:
        wrong = [
            (not (self.events >= 0 and math.isfinite(self.events)), f"observed={self.events} must be 0 or more"),
            (not self.background > 0, f"background={self.background} must be above 0"),
            (not (self.error >= 0 and math.isfinite(self.error)), f"background_error={self.error} must be 0 or more"),
            (not self.signal > 0, f"signal={self.signal} must be above 0"),
        ]
        for is_wrong, message in wrong:
            if is_wrong:
                raise WrongInput(f"counting experiment: {message}")

    @property
    def tau(self) -> float:
        """How many events of the control region stand for one background event."""
        return self.background / self.error**2

    @property
    def observed(self) -> Count:
        """The data."""
        measured = self.tau * self.background if self.error and self.constraint == POISSON else self.background
        return Count(events=self.events, background=measured)

    def best(self, data: Count, poi: float | None = None, *, near: Best | None = None) -> Best:
        """Solve for the best background and, if it is free, the best mu; that may be negative."""
        if poi is not None:
            background = self._profiled(data, poi)
            return Best(poi=poi, nll=self._nll(data, poi, background), parameters=background)
        measured = data.background / self.tau if self.error and self.constraint == POISSON else data.background
        background = max(measured, 0.0)
        free = (data.events - background) / self.signal
        error = math.sqrt(data.events + (self.error**2 if self.error else 0.0)) / self.signal
        return Best(poi=free, nll=self._nll(data, free, background), parameters=background, error=error)

    def _profiled(self, data: Count, poi: float) -> float:
        s, n = poi * self.signal, data.events
        if not self.error:
            return self.background
        if self.constraint == GAUSS:
            # with x = s + b: x**2 + (error**2 - s - m) x - n error**2 = 0
            half = (self.error**2 - s - data.background) / 2
            return max(-half + math.sqrt(half**2 + n * self.error**2) - s, 1e-12)
        total, m = 1 + self.tau, data.background
        # n / (s + b) + m / b = 1 + tau
        half = (total * s - n - m) / (2 * total)
        return max(-half + math.sqrt(half**2 + m * s / total), 1e-12, 1e-12 - s)

    def _nll(self, data: Count, poi: float, background: float) -> float:
        rate = max(poi * self.signal + background, 0.0)
        value = _poisson_nll(data.events, rate)
        if self.error and self.constraint == POISSON:
            value += _poisson_nll(data.background, self.tau * background)
        elif self.error:
            value += 0.5 * ((background - data.background) / self.error) ** 2
        return value

    def hypothesis(self, poi: float) -> Best:
        """Take the background as given, or as it fits the data best together with this mu."""
        if self.nominal:
            return Best(poi=poi, nll=0.0, parameters=self.background)
        return self.best(self.observed, poi)

    def asimov(self, hypothesis: Best) -> Count:
        """Return expected counts."""
        background = float(hypothesis.parameters)
        measured = self.tau * background if self.error and self.constraint == POISSON else background
        return Count(events=hypothesis.poi * self.signal + background, background=measured)

    def toy(self, hypothesis: Best, random: np.random.Generator) -> Count:
        """Return random counts."""
        expected = self.asimov(hypothesis)
        events = float(random.poisson(expected.events))
        if not self.error:
            return Count(events=events, background=expected.background)
        if self.constraint == POISSON:
            return Count(events=events, background=float(random.poisson(expected.background)))
        return Count(events=events, background=float(random.normal(expected.background, self.error)))


def _poisson_nll(events: float, rate: float) -> float:
    if rate <= 0:
        return math.inf if events > 0 else 0.0
    return rate - events * math.log(rate) if events else rate


class Histfactory:
    """A HistFactory model evaluated by pyhf and minimised by iminuit, all parameters within the workspace's bounds.

    Only the upper bound of the parameter of interest is dropped: a limit may lie above it.
    """

    def __init__(
        self, spec: Mapping[str, Any], *, name: str, measurement: str | None = None, nominal: bool = False
    ) -> None:
        self.whole = pyhf_model(spec, name, measurement)
        self.model, self.observed = self.whole.model, self.whole.data
        config = self.model.config
        if config.poi_index is None:
            raise WrongInput(f"{name}: the measurement names no parameter of interest")
        self.poi: str = config.poi_name
        self.index: int = config.poi_index
        self.nominal = nominal
        self.start = np.array(config.suggested_init(), dtype=float)
        self.fixed = np.array(config.suggested_fixed(), dtype=bool)
        self.limits: list[tuple[float | None, float | None]] = [tuple(one) for one in config.suggested_bounds()]
        if self.fixed[self.index]:
            raise WrongInput(f"{name}: the parameter of interest {self.poi!r} is fixed in the workspace")
        if self.limits[self.index][0] > 0:  # type: ignore[operator]  # pyhf gives numbers
            raise WrongInput(f"{name}: {self.poi!r} cannot be 0 within its bounds {self.limits[self.index]}")
        self.limits[self.index] = (self.limits[self.index][0], None)

    def best(self, data: Any, poi: float | None = None, *, near: Best | None = None) -> Best:
        """Minimise with MIGRAD; a second search with strategy 2 follows a failed one."""
        start = np.array(near.parameters if near is not None else self.start, dtype=float)
        fixed = self.fixed.copy()
        if poi is not None:
            start[self.index], fixed[self.index] = poi, True
        elif near is not None and near.poi <= 0:
            start[self.index] = self.start[self.index]  # MIGRAD would not leave a bound
        minuit = self.whole.minimise(data, start, fixed, self.limits)
        if poi is None and near is None:
            minuit.hesse()
        values = np.array(minuit.values)
        error = float(minuit.errors[self.index]) if poi is None else 0.0
        valid = bool(minuit.valid) and math.isfinite(float(minuit.fval))
        return Best(poi=float(values[self.index]), nll=float(minuit.fval), parameters=values, error=error, valid=valid)

    def hypothesis(self, poi: float) -> Best:
        """Take nuisance parameters from the workspace, or as they fit the data best together with this value."""
        if not self.nominal:
            return self.best(self.observed, poi)
        values = self.start.copy()
        values[self.index] = poi
        return Best(poi=poi, nll=0.0, parameters=values)

    def asimov(self, hypothesis: Best) -> np.ndarray:
        """Return expected bin contents and auxiliary data, shape (bins + auxiliary,)."""
        return np.asarray(self.model.expected_data(hypothesis.parameters))

    def toy(self, hypothesis: Best, random: np.random.Generator) -> np.ndarray:
        """Return random bin contents and auxiliary data, shape (bins + auxiliary,)."""
        main = random.poisson(np.asarray(self.model.expected_actualdata(hypothesis.parameters)))
        if not self.model.config.nauxdata:
            return main.astype(float)
        expected, sigmas = constraint(self.model, hypothesis.parameters)
        counted = np.isnan(sigmas)
        aux = np.empty(len(expected))
        aux[counted] = random.poisson(expected[counted])
        aux[~counted] = random.normal(expected[~counted], sigmas[~counted])
        return np.concatenate([main, aux]).astype(float)


COUNTS = ("observed", "background", "background_error", "signal")
PROBLEM_DEFAULTS: dict[str, Any] = {
    "poi": None,
    "measurement": None,
    "nuisances": None,
    "constraint": POISSON,
    **dict.fromkeys(COUNTS),
}


def problem_of(snakemake: Any, params: Mapping[str, Any], *, nominal: bool) -> tuple[str, Any]:
    """Return what the rule wants tested: its kind (`workspace`, `fit` or `counting`), and the problem.

    The input is named `workspace`, `fit` (with `data`) or `counts`, or a single unnamed file that is told by its keys;
    without input, the counting experiment of the params.

    Args:
        snakemake: the object that Snakemake gives to a script.
        params: with the defaults of `PROBLEM_DEFAULTS`.
        nominal: whether a counting experiment's background as given makes the expected data if `nuisances` is not set.
    """
    existing(snakemake.input)
    named = dict(snakemake.input.items())
    for name in named:
        if name not in ("workspace", "fit", "data", "counts"):
            raise WrongInput(f"input: there is no {name!r}. {near(name, ['workspace', 'fit', 'data', 'counts'])}")
    nuisances = params["nuisances"]
    if nuisances is not None:
        choice("nuisances", nuisances, ["data", "nominal"])
    main = [name for name in ("workspace", "fit", "counts") if name in named]
    if len(main) > 1 or (not main and len(snakemake.input) > 1):
        raise WrongInput("input: one of workspace=..., fit=... (with data=...) or counts=... is wanted")
    path = str(named[main[0]] if main else snakemake.input[0]) if len(snakemake.input) else None
    if path is None:
        return "counting", _counting(params, "params", nominal if nuisances is None else nuisances == "nominal")
    document = read_workspace(path)
    kind = main[0] if main else _kind(document, path)
    if kind != "counts":
        for name in COUNTS:
            if params[name] is not None:
                raise WrongInput(f"params: {name} belongs to a counting experiment, but {path} is a {kind}")
    if kind == "workspace":
        problem = Histfactory(document, name=path, measurement=params["measurement"], nominal=nuisances == "nominal")
        if params["poi"] not in (None, problem.poi):
            raise WrongInput(f"params: poi={params['poi']!r}: the workspace's parameter of interest is {problem.poi!r}")
        return kind, problem
    if kind == "fit":
        if nuisances == "nominal":
            raise WrongInput("params: nuisances='nominal': a fit has no nominal values; leave it out")
        return kind, fit_problem(document, path, named.get("data"), params["poi"])
    given = {name: document.get(name) if params[name] is None else params[name] for name in COUNTS}
    return "counting", _counting({**params, **given}, path, nominal if nuisances is None else nuisances == "nominal")


def _kind(document: Mapping[str, Any], path: str) -> str:
    if "channels" in document and "measurements" in document:
        return "workspace"
    if "parameters" in document and "model" in document:
        return "fit"
    if "background" in document and "signal" in document:
        return "counts"
    raise WrongInput(
        f"{path}: neither a pyhf workspace (channels, measurements), nor the result of a fit with its model "
        "(parameters, model), nor a counting experiment (observed, background, background_error, signal)"
    )


def _counting(params: Mapping[str, Any], where: str, nominal: bool) -> Counting:
    choice("constraint", params["constraint"], [POISSON, GAUSS])
    values = {}
    for name in COUNTS:
        value = params[name]
        if value is None and name in ("background", "signal"):
            raise WrongInput(
                f"{where}: a counting experiment needs {name} (and observed; background_error is 0 if left out)"
            )
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise WrongInput(f"{where}: {name}={value!r} is no number")
        values[name] = value
    observed = values["background"] if values["observed"] is None else values["observed"]
    if values["observed"] is None:
        print("No observed events are given: the observed result is that of the expected background.")
    return Counting(
        events=float(observed),
        background=float(values["background"]),
        error=float(values["background_error"] or 0.0),
        signal=float(values["signal"]),
        constraint=params["constraint"],
        nominal=nominal,
    )


PACKAGES = {
    "counting": ["numpy", "scipy"],
    "workspace": ["iminuit", "numpy", "pyhf", "scipy"],
    "fit": ["iminuit", "numpy", "scipy"],
}


def check_numbers(params: Mapping[str, Any], ranges: Mapping[str, tuple[int, int | None]]) -> None:
    """Raise `WrongInput` for a param that is no whole number within its range."""
    for name, (low, high) in ranges.items():
        value = params[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            said = f"at least {low}" if high is None else f"from {low} to {high}"
            raise WrongInput(f"params: {name}={value!r} must be a whole number, {said}")


# --- end of common ---

WRAPPER = "phys/stats/significance"
SIMULATION = "simulation"
"""Value of `expected` that stands for the yield of the simulation."""
CONVENTION = (
    "One-sided test of no signal. q0 = 2 ln(L(best) / L(0)), and 0 for a best fit at or below zero; asymptotically "
    "z = sqrt(q0) and p0 is the upper tail of a normal distribution, so a deficit has z = 0 and p0 = 0.5. From toys p0 "
    "is the fraction with q0 at least as large as observed (1 for a deficit), and z = 0 for p0 >= 0.5."
)
DEFAULTS: dict[str, Any] = {
    **PROBLEM_DEFAULTS,
    "expected": None,
    "method": "asymptotic",
    "n_toys": 2000,
    "seed": 1,
    "label": "",
}


def toys(
    problem: Problem, found: Discovery, number: int, seed: int, threads: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Test with toys: without signal, and with the expected signal for the median; return the results and all q0."""
    null, failed = discovery_toys(
        problem, found.null, number, seed=[seed, 0], threads=threads, what="toys without signal"
    )
    observed = binomial(tail(null, found.q_observed), len(null))
    drawn = {"without signal": null}
    document: dict[str, Any] = {"seed": seed, "observed": observed, "n_failed": failed}
    if found.expected_poi > 0:
        hypothesis = problem.hypothesis(found.expected_poi)
        what = "toys with signal"
        signal, more = discovery_toys(problem, hypothesis, number, seed=[seed, 1], threads=threads, what=what)
        median = float(np.median(signal))
        document |= {
            "expected": binomial(tail(null, median), len(null)),
            "q0_median": median,
            "n_failed": failed + more,
        }
        drawn["with signal"] = signal
    return document, drawn


def draw(drawn: Mapping[str, np.ndarray], found: Discovery, p: Mapping[str, Any], label: str) -> Any:
    """Draw the distributions of q0 in toys, the asymptotic one, and the observed value."""
    from scipy.stats import chi2

    figure = new_figure(6.4, 4.6)
    axes = figure.subplots()
    top = 1.1 * max([found.q_observed, 9.0, *(float(np.quantile(values, 0.995)) for values in drawn.values())])
    edges = np.linspace(0, top, 41)
    width = edges[1] - edges[0]
    for (name, values), colour in zip(drawn.items(), ("#3f90da", "#bd1f01"), strict=False):
        density = np.histogram(values, edges)[0] / (len(values) * width)
        axes.stairs(density, edges, color=colour, lw=1.4, label=f"{len(values):,} toys {name}")
    # half of the toys are expected at exactly zero: they belong to the first bin
    inner = 0.5 * np.diff(chi2.cdf(edges, 1))
    inner[0] += 0.5
    axes.stairs(inner / width, edges, color="0.45", ls="--", label=r"$\frac{1}{2}\delta(0) + \frac{1}{2}\chi^2_1$")
    said = f"{'p0 <' if p['p_is_upper_limit'] else 'p0 ='} {p['p']:.2g}"
    axes.axvline(found.q_observed, color="black", lw=1.2, label=f"observed: {said}")
    axes.set_yscale("log")
    axes.set_ylim(0.3 / (max(map(len, drawn.values())) * width), 8 / width)
    axes.set_xlim(0, top)
    axes.set_xlabel("$q_0$")
    axes.set_ylabel("Probability density")
    axes.legend(loc="upper right", fontsize=9)
    if label:
        axes.set_title(label, loc="left", fontsize=11, fontweight="bold")
    return figure


def describe(kind: str, problem: Any, found: Discovery) -> dict[str, Any]:
    """Return the asymptotic result."""
    from scipy.stats import norm

    document: dict[str, Any] = {
        "valid": found.free.valid and found.null.valid,
        "z_obs": found.z_observed,
        "z_exp": found.z_expected,
        "p0": float(norm.sf(found.z_observed)),
        "p0_exp": float(norm.sf(found.z_expected)),
        "method": "asymptotic",
        "q0_obs": found.q_observed,
        "q0_exp": found.q_expected,
        "poi": {
            "name": problem.poi,
            "value": found.free.poi,
            "error": found.free.error,
            "expected_for": found.expected_poi,
        },
        "convention": CONVENTION,
    }
    if kind == "counting":
        document |= {
            "observed": problem.events,
            "background": problem.background,
            "background_error": problem.error,
            "signal": problem.signal,
        }
    return document


def simulated_yield(snakemake: Any, poi: str) -> float:
    """Return how many events the simulation expects that the fit took the signal's shape from.

    Raises:
        WrongInput: the input is no fit of a yield (`n_signal`) with a simulation of it.
    """
    fits = {}
    path = dict(snakemake.input.items()).get("fit")
    if path is not None:
        fits = json.loads(Path(str(path)).read_text(encoding="utf-8")).get("shape_fits") or {}
    known = {f"n_{name}": fit["yield"] for name, fit in fits.items()}
    if poi not in known:
        there = ", ".join(known) or "none"
        needed = f"needs input fit=... with a simulation of {poi!r}"
        raise WrongInput(f"params: expected={SIMULATION!r} {needed}; there is one of: {there}")
    return float(known[poi])


def run(snakemake: Any, params: Mapping[str, Any]) -> None:
    """Test, and write the result and the plot."""
    kind, problem = problem_of(snakemake, params, nominal=True)
    outputs = dict(snakemake.output.items())
    plot = outputs.get("plot", snakemake.output[1] if len(snakemake.output) > 1 else None)
    wanted = simulated_yield(snakemake, problem.poi) if params["expected"] == SIMULATION else params["expected"]
    found = discovery(problem, 1.0 if wanted is None and kind != "fit" else wanted)
    document = describe(kind, problem, found)
    where = provenance(snakemake, WRAPPER, [*PACKAGES[kind], *(["matplotlib"] if plot else [])])
    if params["method"] == "toys":
        document["asymptotic"] = {key: document[key] for key in ("z_obs", "z_exp", "p0", "p0_exp")}
        more, drawn = toys(problem, found, params["n_toys"], params["seed"], snakemake.threads)
        document |= {"method": "toys", "z_obs": more["observed"]["z"], "p0": more["observed"]["p"], "toys": more}
        document["p0_error"] = more["observed"]["p_error"]
        if "expected" in more:
            document |= {"z_exp": more["expected"]["z"], "p0_exp": more["expected"]["p"]}
        for name in ("observed", "expected"):
            if more.get(name, {}).get("p_is_upper_limit"):
                print(
                    f"{name}: no toy reaches this q0: p0 is below {more[name]['p']:.2g}, z above {more[name]['z']:.2f}"
                )
        if plot:
            save_figure(draw(drawn, found, more["observed"], params["label"]), plot, where)
    if not document["valid"]:
        print("A fit did not converge: valid is false in the result.")
    write_json(outputs.get("significance", snakemake.output[0]), {**document, "provenance": where})
    print(f"{problem.poi} = {found.free.poi:.4g} +- {found.free.error:.3g}")
    print(f"z = {document['z_obs']:.3f} observed (p0 = {document['p0']:.3g}), ", end="")
    print(f"{document['z_exp']:.3f} expected for {problem.poi} = {found.expected_poi:.4g} ({document['method']})")


def main(snakemake: Any) -> None:
    """Check the rule, then test."""
    with logged(snakemake):
        params = parameters(snakemake, DEFAULTS)
        choice("method", params["method"], ["asymptotic", "toys"])
        check_numbers(params, {"n_toys": (10, None), "seed": (0, None)})
        wanted = params["expected"]
        number = isinstance(wanted, int | float) and not isinstance(wanted, bool)
        if wanted not in (None, SIMULATION) and not (number and wanted > 0):
            raise WrongInput(
                f"params: expected={wanted!r} must be {SIMULATION!r} or above 0: a value of the parameter of interest"
            )
        for name in dict(snakemake.output.items()):
            choice("output", name, ["significance", "plot"])
        if len(snakemake.output) > 1:
            check_figure(dict(snakemake.output.items()).get("plot", snakemake.output[1]))
            if params["method"] != "toys":
                raise WrongInput("output: the plot shows q0 of toys; set method='toys' or leave it out")
        run(snakemake, params)


if "snakemake" in globals():
    main(snakemake)
