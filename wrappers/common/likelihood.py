"""Extended likelihoods of models, binned and unbinned, with analytic gradients.

Unbinned, for events i with weights w: sum of expected events - sum of w_i log(density at x_i), the density being
that of expected events per unit of x. Binned: half the likelihood-ratio chi2 of Baker and Cousins (NIM 221 (1984)
437), the integrals over bins exact. Weighted events and counts with variances are scaled to their effective number,
all by the same factor: one for each bin (Bohm and Zech, NIM A 748 (2014) 1) biases fits where bins have few events.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput, near
from wrappers.common.model import Category, Component, Model

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
