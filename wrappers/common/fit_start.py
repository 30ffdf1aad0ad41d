"""Start values of fits, estimated from the data, where a person gave none."""

import dataclasses
import math

import numpy as np

from wrappers.common.fit_minimise import minimise
from wrappers.common.likelihood import Counts, Data, Events, Likelihood, expected, make_counts
from wrappers.common.model import PEAKS, Category, Component, Model

COARSE_BINS = 60
WIDTH_SHARE = 30.0
"""A peak of unknown width is searched for with the range over this as its width."""


def with_starts(model: Model, data: Data) -> Model:
    """Return the model with start values: smooth shapes from a binned fit alone, peaks where the excess is largest.

    The place of a peak maximises the score test of an extra Gaussian: sum of s (n - b) / b over its error, with counts
    n, the smooth part b, and the Gaussian s. What is fixed, or was given by a person, stays.
    """
    for category in model.categories:
        counts = _coarse(data[category.name], category)
        smooth = [one for one in category.components if one.shape not in PEAKS]
        peaks = [one for one in category.components if one.shape in PEAKS]
        if smooth:
            model = _smooth_starts(model, category, smooth, counts)
        else:
            model = _peak_alone(model, peaks, counts)
            continue
        background = dataclasses.replace(category, components=tuple(smooth))
        only = dataclasses.replace(model, categories=(background,))
        falling = np.sum(list(expected(only, category.name, counts.edges).values()), axis=0)
        free = np.ones(len(counts.counts), bool)
        for one in peaks:
            model = _peak_starts(model, one, counts, np.maximum(falling, 1e-9 * max(counts.total, 1.0)), free)
    return model


def _coarse(data: Events | Counts, category: Category) -> Counts:
    if isinstance(data, Counts):
        return Counts(edges=data.edges, counts=data.counts)
    counts = make_counts(data, np.linspace(category.low, category.high, COARSE_BINS + 1))
    return Counts(edges=counts.edges, counts=np.maximum(counts.counts, 0))


def _open(model: Model, name: str) -> bool:
    """Whether a start value may be estimated."""
    one = model.parameters[name]
    return not one.fixed and not one.given


def _set(model: Model, name: str, value: float) -> Model:
    one = model.parameters[name]
    if not _open(model, name) or not math.isfinite(value):
        return model
    low, high = -math.inf if one.low is None else one.low, math.inf if one.high is None else one.high
    if math.isfinite(low) and math.isfinite(high):
        value = min(max(value, low + 1e-3 * (high - low)), high - 1e-3 * (high - low))
    return model.changed({name: max(value, low)}, given=False)


def _set_events(model: Model, component: Component, events: float) -> Model:
    """Set the parameter, if there is only one, that makes a component's number of events this."""
    names = [one for one in component.factors if isinstance(one, str) and _open(model, one)]
    if len(names) != 1:
        return model
    rest = component.events({**model.values, names[0]: 1.0})
    return _set(model, names[0], events / rest if rest else 1.0)


def _smooth_starts(model: Model, category: Category, smooth: list[Component], counts: Counts) -> Model:
    for one in smooth:
        model = _set_events(model, one, counts.total / len(smooth))
    alone = dataclasses.replace(
        model, categories=(dataclasses.replace(category, components=tuple(smooth)),), constraints={}
    )
    found = minimise(Likelihood(alone, {category.name: counts}), strategy=0, hesse=False, retries=1, tolerance=1.0)
    for name in found.free:
        model = _set(model, name, found.values[name])
    return model


def _peak_starts(model: Model, one: Component, counts: Counts, smooth: np.ndarray, free: np.ndarray) -> Model:
    """Put a peak on the largest excess among the bins that are still free, and take those from them."""
    if one.shape == "template":
        return _set_events(model, one, counts.total / 100) if len(one.factors) == 1 else model
    mu, sigma = (model.parameters[name] for name in one.arguments[:2])
    span = float(counts.edges[-1] - counts.edges[0])
    width = sigma.value if sigma.fixed or sigma.given else span / WIDTH_SHARE
    low, high = (counts.edges[0] if mu.low is None else mu.low), (counts.edges[-1] if mu.high is None else mu.high)
    tries = np.linspace(low, high, 121)[3:-3] if _open(model, mu.name) else np.array([mu.value])
    middle = 0.5 * (counts.edges[1:] + counts.edges[:-1])
    bump = np.exp(-0.5 * ((middle - tries[:, None]) / width) ** 2) * np.diff(counts.edges)
    bump /= math.sqrt(2 * math.pi) * width
    bump[:, ~free] = 0
    information = (bump**2 / smooth).sum(axis=1)
    score = (bump * (counts.counts - smooth) / smooth).sum(axis=1)
    best = int(np.argmax(score / np.sqrt(np.maximum(information, 1e-30))))
    free &= np.abs(middle - tries[best]) > 2 * width
    model = _set(_set(model, mu.name, float(tries[best])), sigma.name, width)
    amount = score[best] / information[best] if information[best] > 0 else 0.0
    return _set_events(model, one, max(float(amount), math.sqrt(max(counts.total, 1.0)) / 10))


def _peak_alone(model: Model, peaks: list[Component], counts: Counts) -> Model:
    """Centre and width of a sample without a smooth part, from its median and quartiles."""
    sums = np.concatenate([[0.0], np.cumsum(counts.counts)])
    if sums[-1] <= 0:
        return model
    low, middle, high = np.interp(np.array([0.25, 0.5, 0.75]) * sums[-1], sums, counts.edges)
    for number, one in enumerate(peaks):
        model = _set_events(model, one, counts.total / len(peaks))
        if one.shape != "template":
            model = _set(model, one.arguments[0], float(middle))
            model = _set(model, one.arguments[1], float(high - low) / 1.349 * (1 + number))
    return model
