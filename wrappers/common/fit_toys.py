"""Pseudo-data of a model: toys, and the Asimov data set whose counts are the expected ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wrappers.common.likelihood import Counts, Data, Events, expected
from wrappers.common.model import Model

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
