"""HistFactory workspaces: reading them, pyhf's model of them, and its minimum by iminuit."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput, near


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
