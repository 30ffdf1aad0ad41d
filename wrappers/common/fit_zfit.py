"""zfit as the minimiser, and zfit's own densities as a check of ours.

A loss of zfit's own densities costs a TensorFlow graph of about a second per loss, and `DoubleCB` is NaN where
(n / alpha)^n overflows. So zfit minimises a `SimpleLoss` of the closed-form likelihood with its analytic gradient, to
a tolerance at which it stops where iminuit does. Then zfit's densities say, without a graph, whether they see the
same minimum.
"""

import gc
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput
from wrappers.common.likelihood import Data, Events, Likelihood
from wrappers.common.model import Category, Component, Model

TOLERANCE = 1e-3
"""zfit's tolerance is the estimated distance to the minimum itself, iminuit's is a thousand times half of that."""
AGREEMENT = 1e-3
"""Largest difference between zfit's and our change of the negative log-likelihood over one error."""
_NUMBER = itertools.count()


def import_zfit() -> Any:
    """Return zfit, imported without its hints about the installation.

    Raises:
        WrongInput: if it is not installed.
    """
    os.environ.setdefault("ZFIT_DISABLE_TF_WARNINGS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    gc.disable()  # a million objects, all of which stay: looking through them again and again takes a second
    try:
        import zfit
    except ImportError as error:
        raise WrongInput(
            f'backend "zfit" needs the package zfit (conda-forge, PyPI); "numpy" does without: {error}'
        ) from error
    finally:
        gc.freeze()
        gc.enable()
    return zfit


def zfit_search(
    likelihood: Likelihood, model: Model, free: Sequence[str], places: Sequence[int], full: np.ndarray, how: Any
) -> tuple[Any, int]:
    """Minimise with `zfit.minimize.Minuit`; return the iminuit object inside, and the calls of an earlier try."""
    zfit = import_zfit()
    number = next(_NUMBER)
    counting = {factor for one in model.categories for part in one.components for factor in part.factors}
    parameters = []
    for name in free:
        one = model.parameters[name]
        step = max(abs(one.value) ** 0.5, 0.1) if name in counting else max(0.05 * abs(one.value), 0.01)
        parameters.append(zfit.Parameter(f"{name}_{number}", one.value, one.low, one.high, step_size=step))

    def values(given: Any) -> list[float]:
        found = given.values() if isinstance(given, Mapping) else given
        full[places] = [float(one.value()) if hasattr(one, "value") else float(one) for one in found]
        return full.tolist()

    def value(given: Any) -> float:
        return likelihood(values(given))

    def gradient(given: Any) -> np.ndarray:
        return likelihood.gradient(values(given))[list(places)]

    loss = zfit.loss.SimpleLoss(value, parameters, errordef=0.5, gradient=gradient, jit=False)
    earlier = 0
    for strategy in (how.strategy, 2):
        minimizer = zfit.minimize.Minuit(tol=TOLERANCE * how.tolerance, gradient="zfit", mode=strategy)
        result = minimizer.minimize(loss, params=parameters)
        if result.valid:
            break
        earlier += result.info["minuit"].nfcn
    return result.info["minuit"], earlier


def zfit_check(model: Model, data: Data, errors: Mapping[str, float]) -> dict[str, Any]:
    """Compare changes of the unbinned negative log-likelihood near the minimum, by zfit's densities and by ours.

    Args:
        model: at the minimum.
        data: unbinned.
        errors: of the parameters; each with one is moved by it, up and down in turn, all at once.

    Returns:
        `compared`: whether zfit has all the shapes (and the data are unbinned); `difference` of the two changes.
    """
    if any(not isinstance(one, Events) for one in data.values()):
        return {"compared": False, "why": "the data are binned"}
    shapes = {part.shape for one in model.categories for part in one.components}
    lacking = sorted(shape for shape in shapes if shape in ("power", "template") or shape.startswith("exppoly"))
    if lacking:
        return {"compared": False, "why": f"zfit has no {', '.join(lacking)}"}
    zfit = import_zfit()
    moved = dict(model.values)
    for sign, (name, error) in zip(itertools.cycle((1, -1)), errors.items()):
        one = model.parameters[name]
        end = one.value + 0.5 * sign * error
        inside = (one.low is None or end > one.low) and (one.high is None or end < one.high)
        moved[name] = end if inside else one.value
    likelihood = Likelihood(model, data, effective=False)
    ours = likelihood([moved[name] for name in likelihood.names]) - likelihood(
        [model.values[name] for name in likelihood.names]
    )
    penalty = sum(
        ((moved[name] - mean) ** 2 - (model.values[name] - mean) ** 2) / (2 * width**2)
        for name, (mean, width) in model.constraints.items()
    )
    zfit.run.set_graph_mode(False)
    try:
        theirs = sum(
            _nll(zfit, one, data[one.name], moved) - _nll(zfit, one, data[one.name], model.values)
            for one in model.categories
        )
    finally:
        zfit.run.set_graph_mode(True)
    difference = float(abs(theirs + penalty - ours))
    if not math.isfinite(difference):
        return {"compared": False, "why": "zfit's densities are not finite here"}
    return {"compared": True, "difference": difference, "agrees": bool(difference < AGREEMENT * max(1.0, abs(ours)))}


def _nll(zfit: Any, category: Category, events: Any, values: Mapping[str, float]) -> float:
    space = zfit.Space(f"x_{next(_NUMBER)}", category.low, category.high)
    total = np.zeros(len(events.x))
    number = 0.0
    for part in category.components:
        density = _density(zfit, part, space, values)
        amount = part.events(values)
        total += amount * np.asarray(density.pdf(zfit.Data(events.x, obs=space)), float)
        number += amount
    weights = np.ones(len(events.x)) if events.weights is None else events.weights
    return number - float(weights @ np.log(total))


def _density(zfit: Any, part: Component, space: Any, values: Mapping[str, float]) -> Any:
    given = [values[name] for name in part.arguments]
    if part.shape == "dscb":
        mu, sigma, alpha_l, n_l, alpha_r, n_r = given
        return zfit.pdf.DoubleCB(mu=mu, sigma=sigma, alphal=alpha_l, nl=n_l, alphar=alpha_r, nr=n_r, obs=space)
    if part.shape == "cb":
        return zfit.pdf.CrystalBall(*given, obs=space)
    if part.shape == "gauss":
        return zfit.pdf.Gauss(*given, obs=space)
    if part.shape == "exp":
        return zfit.pdf.Exponential(*given, obs=space)
    if part.shape.startswith("bern"):
        return zfit.pdf.Bernstein(obs=space, coeffs=[1.0, *given])
    return zfit.pdf.Chebyshev(obs=space, coeffs=given, coeff0=1.0)
