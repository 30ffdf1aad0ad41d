"""Errors of histograms that cannot be those of what was filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.names import shown
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions, unweighted
from snakemake_executor_plugin_llmagent.data.contents import Histogram

_EXPECTED = r"asimov|pseudo|poisson|expected|toys?\b|sqrt|square root of (the )?(n|content|count|number)"
_NO_COUNTS = (
    r"ratio|effic|scale.?factor|template|shape|density|normali[sz]|fitted|fit\b|smooth|purity|fraction|pull|residual"
)


def histogram_errors(case: Case) -> Iterable[Found]:
    """Variances of histograms are sums of squared weights, as far as that can be seen."""
    for part, histogram in case.histograms():
        name = f"{shown(histogram.name)} of {part.label}" if histogram.name else part.label
        if histogram.variances is not None and histogram.variances.shape == histogram.values.shape:
            yield from list(_impossible(name, histogram)) or _of_counts(case, part, name, histogram)
        elif histogram.variances is None and _broken(histogram.values) and _filled_with_weights(case, histogram):
            yield Found(
                check="histogram.errors",
                warning=True,
                message=f"{name} holds sums of weights, and no variances: whoever reads it takes the square root of "
                "the content for the error. Store the sum of squared weights of each bin.",
            )


def _broken(values: np.ndarray[Any, Any]) -> bool:
    """Whether contents are no whole numbers."""
    finite = values[np.isfinite(values)]
    return bool(np.any(np.abs(finite - np.round(finite)) > 1e-6 * (1.0 + np.abs(finite))))


def _impossible(name: str, histogram: Histogram) -> Iterator[Found]:
    values, variances = histogram.values, histogram.variances
    assert variances is not None
    if np.any(variances < 0):
        yield Found(
            check="histogram.errors",
            message=f"{name} has negative variances ({float(np.nanmin(variances)):.4g}). The variance of a bin is the "
            "sum of the squares of its weights; variances of a difference add up too.",
        )
    elif np.any(values != 0) and not np.any(variances[values != 0]):
        yield Found(
            check="histogram.errors",
            warning=True,
            message=f"{name} has contents, and no errors: all variances are 0. Store the sum of squared weights of "
            "each bin.",
        )


def _of_counts(case: Case, part: Part, name: str, histogram: Histogram) -> Iterator[Found]:
    values, variances = histogram.values, histogram.variances
    assert variances is not None
    filled = (values > 0) & np.isfinite(values) & np.isfinite(variances)
    if np.count_nonzero(filled) < 2 or not _broken(values) or not _filled_with_weights(case, histogram):
        return
    if np.allclose(variances[filled], values[filled], rtol=1e-9, atol=0):
        yield Found(
            check="histogram.errors",
            warning=mentions(f"{case.text} {histogram.name} {part.path}", _EXPECTED),
            message=f"The variances of {name} are its contents, as if it held numbers of events, but it holds sums of "
            "weights. The variance of a bin is the sum of the squares of its weights.",
        )
    elif (most := sources.entries(case)) and np.any(values[filled] ** 2 > 1.001 * most * variances[filled]):
        yield Found(
            check="histogram.errors",
            warning=True,
            message=f"Errors of {name} are smaller than any weights of {most} entries make them: by Cauchy and Schwarz "
            "the variance is at least content^2 / entries. The variance of a bin is the sum of the squares of its "
            "weights.",
        )


def _filled_with_weights(case: Case, histogram: Histogram) -> bool:
    """Whether the histogram looks like a sum over weighted events of the inputs."""
    other = mentions(f"{histogram.name} {' '.join(histogram.labels)}", _NO_COUNTS)
    return not other and not unweighted(case.text) and sources.weighted(case)
