"""Minimisation of a likelihood with iminuit: Migrad, Hesse, other starts if needed, Minos where wanted."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wrappers.common.likelihood import IMPOSSIBLE, Likelihood
from wrappers.common.model import Model

FAR = 1e-4
"""A minimum estimated to be this far below where Migrad stopped is looked for again."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FitResult:
    """What a minimisation found. Matrices have a row for each of `names`, zeros for the fixed ones.

    `valid` is Minuit's word; `accurate` says that errors are from exact second derivatives; `edm` estimates how far above the
    minimum `fmin` is; `at_limit` names parameters that ended at a limit and were held there:
    their errors are 0, and those of the others leave them out. The same holds for the `undetermined`, on which the data say nothing.
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
    """Minimise with Minuit's Migrad; from other start values if the end is not valid. A last Newton step and errors follow.

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
    if at_limit and len(at_limit) < len(free):
        # Minuit's transformation of limits makes nonsense of errors there: the others' are those of a fit with these fixed.
        for name in at_limit:
            minuit.fixed[free.index(name)] = True
        minuit.migrad()
    polished = _polished(likelihood, minuit, free, places, full) if hesse else None
    if polished is not None and polished.distance > FAR and not polished.undetermined:
        minuit.strategy = 2
        minuit.migrad()
        polished = _polished(likelihood, minuit, free, places, full)
    if minos and minuit.valid:
        minuit.minos(*[minuit.parameters[free.index(name)] for name in minos if name in free and name not in at_limit])
    return _result(likelihood, minuit, free, places, full, calls, at_limit, polished)


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
) -> tuple[str, ...]:
    """Return parameters at a limit that they would like to cross."""
    full[places] = list(minuit.values)
    slopes = likelihood.gradient(full.tolist())
    found = []
    for place, name in zip(places, free, strict=True):
        one = likelihood.model.parameters[name]
        width = 1.0 if one.low is None or one.high is None else one.high - one.low
        for limit, sign in ((one.low, 1), (one.high, -1)):
            if limit is not None and abs(full[place] - limit) < 1e-3 * width and sign * slopes[place] > 0:
                found.append(name)
    return tuple(found)


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
) -> _Errors | None:
    """Take a last step to the minimum with exact second derivatives, and return their inverse.

    The second derivatives are differences of analytic gradients over hundredths of the parameters' errors. Minuit's own
    are of a function transformed for limits, and go wrong where a parameter hardly matters. Parameters that the data do
    not determine are left out one by one until the matrix is that of a minimum; None if nothing remains.
    """
    loose = [i for i, fixed in enumerate(minuit.fixed) if not fixed]
    full[places] = list(minuit.values)
    values, bounds = np.array(minuit.values), list(minuit.limits)
    curvature = _curvatures(likelihood, full, places, loose, values, bounds, 0.01 * np.array(minuit.errors))
    undetermined = [free[i] for i in loose if not _felt(likelihood, full, places, i, values, bounds, curvature[i, i])]
    loose = [i for i in loose if free[i] not in undetermined]
    while loose:
        part = curvature[np.ix_(loose, loose)]
        diagonal = np.diag(part)
        widths = np.array([high - low for low, high in bounds])[loose]
        weak = ~np.isfinite(part).all(axis=1) | ~(diagonal > np.where(np.isfinite(widths), 1e-2 / widths**2, 0))
        if not weak.any():
            scale = np.sqrt(np.outer(diagonal, diagonal))
            lowest, vectors = np.linalg.eigh(part / scale)
            if lowest[0] > 1e-11:
                break
            weak = np.arange(len(loose)) == np.argmax(np.abs(vectors[:, 0]))
        undetermined += [free[i] for i, bad in zip(loose, weak, strict=True) if bad]
        loose = [i for i, bad in zip(loose, weak, strict=True) if not bad]
    if not loose:
        return None
    small = np.linalg.inv(part / scale) / scale
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
    covariance = np.zeros((len(places), len(places)))
    covariance[np.ix_(loose, loose)] = small
    return _Errors(covariance=covariance, distance=distance, undetermined=tuple(undetermined))


def _felt(
    likelihood: Likelihood,
    full: np.ndarray,
    places: Sequence[int],
    i: int,
    values: np.ndarray,
    bounds: Sequence[tuple[float, float]],
    curvature: float,
) -> bool:
    """Tell whether the likelihood changes over two errors at least a tenth as much as its curvature says.

    Where a tail begins behind the last event, the curvature is that of a kink, and says nothing.
    """
    if not curvature > 0:
        return True
    width = 2 / math.sqrt(curvature)
    rises = []
    before = likelihood(full.tolist())
    for end in (max(values[i] - width, bounds[i][0]), min(values[i] + width, bounds[i][1])):
        full[places[i]] = end
        share = abs(end - values[i]) / width
        if share > 0.1:
            rises.append((likelihood(full.tolist()) - before) / (2 * share**2))
    full[places[i]] = values[i]
    return not rises or max(rises) > 0.1


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
        small = np.zeros((len(free), len(free))) if minuit.covariance is None else np.asarray(minuit.covariance)
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
        minos={free[one.number]: (one.lower, one.upper) for one in minuit.merrors.values() if one.is_valid},
    )  # fmt: skip


def _nothing_free(likelihood: Likelihood, full: np.ndarray) -> FitResult:
    values = dict(zip(likelihood.names, full.tolist(), strict=True))
    return FitResult(
        names=likelihood.names, free=(), values=values, errors=dict.fromkeys(values, 0.0),
        covariance=np.zeros((len(full), len(full))), fmin=likelihood(full.tolist()), edm=0.0, valid=True, accurate=True, calls=1,
    )  # fmt: skip
