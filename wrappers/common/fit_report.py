"""What a fit's result says as JSON: parameters, covariance, goodness of fit, spectra and curves, a profile."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wrappers.common.fit_minimise import FitResult, minimise
from wrappers.common.likelihood import Counts, Data, Events, Likelihood, densities, expected, make_counts
from wrappers.common.model import PEAKS, Category, Model

ENOUGH = 10.0
"""Bins are merged until this many events are expected, so that chi2 follows its distribution."""
CURVE_POINTS = 221
PROFILE_POINTS = 13
PROFILE_WIDTH = 3.0
FEW_BINS = 28


def chi2_probability(chi2: float, ndf: int) -> float:
    """Return the probability of a larger chi2: the regularised incomplete gamma function, in its finite sums."""
    half = 0.5 * chi2
    if ndf % 2 == 0:
        terms = [
            i * math.log(half) - math.lgamma(i + 1) - half if half else (-math.inf if i else 0.0)
            for i in range(ndf // 2)
        ]
        return min(1.0, math.fsum(map(math.exp, terms)))
    if half == 0:
        return 1.0
    terms = [(i - 0.5) * math.log(half) - math.lgamma(i + 0.5) - half for i in range(1, (ndf + 1) // 2)]
    return min(1.0, math.erfc(math.sqrt(half)) + math.fsum(map(math.exp, terms)))


def nice_edges(low: float, high: float, bins: Any = None) -> np.ndarray:
    """Return edges for plots: as many bins as wanted, given edges, or 28 to 70 of a round width."""
    if bins is not None:
        return np.linspace(low, high, bins + 1) if isinstance(bins, int) else np.asarray(bins, float)
    rough = (high - low) / FEW_BINS
    unit = 10.0 ** math.floor(math.log10(rough))
    for step in (5, 2.5, 2, 1, 0.5):
        number = (high - low) / (step * unit)
        if step * unit <= rough * 1.0001 and abs(number - round(number)) < 1e-6:
            return np.linspace(low, high, round(number) + 1)
    return np.linspace(low, high, 51)


def spectra(model: Model, data: Data, unit: str, bins: Any = None) -> list[dict[str, Any]]:
    """Return, for each category, counts and expected events per bin and curves, for plots without any kernel.

    `pulls` are (counts - expected) / sqrt(expected), for weighted data over the errors that the weights give.
    """
    result = []
    for one in model.categories:
        mine = data[one.name]
        counts = mine if isinstance(mine, Counts) else make_counts(mine, nice_edges(one.low, one.high, bins))
        parts = expected(model, one.name, counts.edges)
        total = np.sum(list(parts.values()), axis=0)
        x = _curve_points(one)
        curves = densities(model, one.name, x)
        result.append(
            {
                "category": one.name,
                "observable": one.observable,
                "unit": unit,
                "edges": counts.edges.tolist(),
                "counts": counts.counts.tolist(),
                "variances": (counts.counts if counts.variances is None else counts.variances).tolist(),
                "total": total.tolist(),
                "components": {name: part.tolist() for name, part in parts.items()},
                "pulls": ((counts.counts - total) / np.sqrt(_variances(counts, total))).tolist(),
                "curve": {
                    "x": x.tolist(),
                    "total": np.sum(list(curves.values()), axis=0).tolist(),
                    "components": {name: curve.tolist() for name, curve in curves.items()},
                },
            }
        )
    return result


def _curve_points(category: Category) -> np.ndarray:
    """Return where curves are evaluated: equally spaced, and on both sides of each step of a template."""
    steps = [edge for one in category.components if one.template for edge in one.template[0]]
    inside = np.array([edge for edge in steps if category.low < edge < category.high])
    spaced = np.linspace(category.low, category.high, CURVE_POINTS)
    return np.unique(np.concatenate([spaced, inside, np.nextafter(inside, category.low)]))


def _variances(counts: Counts, total: np.ndarray) -> np.ndarray:
    """What variance is expected per bin: the expected events, times the weights' variance over sum if there are any."""
    floor = 1e-9 * max(float(np.abs(total).sum()), 1.0)
    if counts.variances is None:
        return np.maximum(total, floor)
    good = (counts.counts > 0) & (counts.variances > 0)
    ratio = np.where(good, counts.variances / np.where(good, counts.counts, 1.0), counts.total / counts.effective)
    return np.maximum(total * ratio, floor)


def goodness(model: Model, shown: Sequence[Mapping[str, Any]], free: int) -> dict[str, Any]:
    """Return Pearson's chi2, degrees of freedom and probability, over bins merged to enough expected events.

    Neighbouring bins are merged from the left until 10 (effective) events are expected. A constraint counts as one more
    measurement. For unbinned fits the binning is that of the spectra.
    """
    chi2, number = 0.0, 0
    for one in shown:
        merged = _merged_bins(np.array([one["counts"], np.maximum(one["total"], 0.0), one["variances"]]))
        chi2 += sum(float((seen - total) ** 2 / (total * ratio)) for seen, total, ratio in merged)
        number += len(merged)
    for name, (mean, width) in model.constraints.items():
        chi2 += ((model.values[name] - mean) / width) ** 2
        number += 1
    ndf = number - free
    return {"chi2": chi2, "ndf": ndf, "p": chi2_probability(chi2, ndf) if ndf > 0 else None}


def _merged_bins(rows: np.ndarray) -> list[tuple[float, float, float]]:
    """Return counts, expected events, and variance over counts, of neighbours merged to enough expected events.

    Args:
        rows: counts, expected events and variances of the bins, shape (3, m).
    """
    overall = rows[2].sum() / rows[0].sum()
    merged: list[np.ndarray] = []
    sums = np.zeros(3)
    for row in rows.T:
        sums = sums + row
        if sums[1] >= ENOUGH * (sums[2] / sums[0] if sums[0] > 0 and sums[2] > 0 else overall):
            merged.append(sums)
            sums = np.zeros(3)
    if merged:
        merged[-1] = merged[-1] + sums
    return [(n, total, v / n if n > 0 and v > 0 else overall) for n, total, v in merged]


def interesting(model: Model, wanted: str | None = None) -> str | None:
    """Return the parameter of interest: the one asked for, else the first free one among the factors of peaks."""
    if wanted is not None:
        return wanted
    parts = [part for one in model.categories for part in one.components]
    parts = [*[part for part in parts if part.shape in PEAKS], *parts]
    names = [name for part in parts for name in part.factors if isinstance(name, str)]
    return next((name for name in names if not model.parameters[name].fixed), None)


def profile(likelihood: Likelihood, result: FitResult, name: str) -> dict[str, Any] | None:
    """Return 2 (NLL - its minimum) at values of a parameter within 3 errors, the others refitted; None for weights."""
    error = result.errors[name]
    if likelihood.weighted or not error > 0:
        return None
    one = likelihood.model.parameters[name]
    values = result.values[name] + np.linspace(-PROFILE_WIDTH, PROFILE_WIDTH, PROFILE_POINTS) * error
    values = [v for v in values.tolist() if (one.low is None or v >= one.low) and (one.high is None or v <= one.high)]
    held = {other: result.values[other] for other in (*result.at_limit, *result.undetermined)}
    found: dict[float, float] = {}
    best = result.values[name]
    # From the minimum outwards, each from the end of the one before.
    for side in ([v for v in values if v >= best], [v for v in reversed(values) if v < best]):
        start: Mapping[str, float] = result.values
        for value in side:
            at = minimise(likelihood, start=start, fixed={**held, name: value}, hesse=False, retries=1)
            found[value] = max(0.0, 2 * (at.fmin - result.fmin))
            start = at.values
    return {"parameter": name, "values": sorted(found), "two_delta_nll": [found[value] for value in sorted(found)]}


def parameter_table(model: Model, result: FitResult) -> dict[str, Any]:
    """Return {name: value, error, limits, fixed}; with Minos' errors where there are any."""
    table: dict[str, Any] = {}
    for name in result.names:
        one = model.parameters[name]
        row: dict[str, Any] = {
            "value": result.values[name],
            "error": result.errors[name],
            "limits": [one.low, one.high],
        }
        row["fixed"] = name not in result.free
        if name in result.minos:
            row["minos"] = list(result.minos[name])
        table[name] = row
    return table


def result_json(model: Model, result: FitResult) -> dict[str, Any]:
    """Return what every fit's result has: validity, parameters, matrices in their order."""
    return {
        "valid": result.valid,
        "accurate": result.accurate,
        "fmin": result.fmin,
        "edm": result.edm,
        "parameters": parameter_table(model, result),
        "covariance": result.covariance.tolist(),
        "correlation": result.correlation.tolist(),
        "at_limit": list(result.at_limit),
        "undetermined": list(result.undetermined),
    }


def constraint_pulls(model: Model, result: FitResult) -> dict[str, Any]:
    """Return, for each constraint, how far the fit pulls its parameter and what of its width is left."""
    return {
        name: {"pull": (result.values[name] - mean) / width, "error": result.errors[name] / width}
        for name, (mean, width) in model.constraints.items()
    }


def numbers(data: Data) -> dict[str, Any]:
    """Return how many events were fitted; for weights also their sum and its error."""
    events, total, variance = 0, 0.0, 0.0
    for one in data.values():
        if isinstance(one, Events):
            events += len(one.x)
            variance += len(one.x) if one.weights is None else float((one.weights**2).sum())
        else:
            events += round(one.total)
            variance += float((one.counts if one.variances is None else one.variances).sum())
        total += one.total
    return {"n_events": events, "yield": total, "yield_error": math.sqrt(variance)}
