"""Tests of a parameter of a fit: the model of its result, and the data it was fitted to."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wrappers.common.asymptotics import Best
from wrappers.common.fit_data import read_data
from wrappers.common.fit_hs3 import read_hs3
from wrappers.common.fit_minimise import minimise
from wrappers.common.fit_toys import TOY_BINS, asimov
from wrappers.common.job import WrongInput, near
from wrappers.common.likelihood import Counts, Data, Events, Likelihood, expected
from wrappers.common.model import Category, Model


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
