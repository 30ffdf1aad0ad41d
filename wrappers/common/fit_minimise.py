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
