"""Fits that call themselves valid and cannot be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.names import listed, pieces
from snakemake_executor_plugin_llmagent.checks.contents.results import Fit, Place, fits, number, places
from snakemake_executor_plugin_llmagent.checks.contents.tails import chi2_above

ENOUGH = 50
Matrix = np.ndarray[Any, Any]
NEGATIVE = 1e-6
"""An eigenvalue of a correlation matrix that is as negative as this is no rounding."""
LOWEST, HIGHEST = 0.05, 20.0
"""Beyond these chi2 / ndf says that errors are wrong, and nothing of the model."""


def fits_sound(case: Case) -> Iterable[Found]:
    """What a fit says of itself agrees with its numbers."""
    for fit in fits(case):
        if fit.valid is False:
            yield Found(
                check="fit.not_converged",
                warning=True,
                message=f"The fit {fit.place.label()} says that it is not valid. Look at starting values, limits and "
                "the model; if the data allow no fit, this is the right answer.",
            )
        else:
            yield from _numbers(fit)
            yield from _matrices(fit)
            yield from _errors_of_yields(case, fit)


def _numbers(fit: Fit) -> Iterator[Found]:
    free = [one for one in fit.parameters if not one.fixed and not one.held]
    at_limit = [one.name for one in free if one.at_limit]
    lost = [one.name for one in free if one.value is None or not math.isfinite(one.value)]
    none = [one.name for one in free if one.error is None or not math.isfinite(one.error) or one.error == 0.0]
    if lost or none:
        names, what = (lost, "no value") if lost else (none, "no error")
        yield Found(
            check="fit.not_converged",
            # A few without an error may be fixed, and only not marked so.
            warning=not lost and len(none) < len(free),
            message=f"The fit {fit.place.label()} calls itself valid, but there is {what} of {listed(names)}. Mark "
            "parameters that are fixed (`fixed: true`, or in `fixed_parameters`); a fit without errors has not "
            "converged.",
        )
    if at_limit:
        yield Found(
            check="fit.not_converged",
            warning=True,
            message=f"In the fit {fit.place.label()} {listed(at_limit)} lie at their limits: neither they nor the "
            "errors of the others are what the data say. Widen the limits, if they are no physical ones, or fix these "
            "parameters.",
        )
    if fit.accurate is False:
        yield Found(
            check="fit.not_converged",
            warning=True,
            message=f"The covariance of the fit {fit.place.label()} is not accurate by its own account.",
        )


def _matrices(fit: Fit) -> Iterator[Found]:
    """Covariance and correlation against each other and against the errors."""
    covariance, covered = fit.covariance, fit.covered()
    name = fit.place.label("covariance")
    if covariance is None:
        return
    if not np.isfinite(covariance).all():
        yield Found(check="fit.not_converged", message=f"{name} holds NaN or infinity. The fit has no errors.")
        return
    if covered is None:
        yield Found(
            check="fit.not_converged",
            warning=True,
            message=f"{name} has {len(covariance)} rows for {len(fit.parameters)} parameters. Its rows stand in the "
            "order of `parameters`.",
        )
    problem = not_positive(covariance)
    if problem:
        yield Found(
            check="fit.not_converged",
            message=f"{name} {problem}. The minimum was not found, or the matrix was put together wrongly.",
        )
        return
    if covered is not None:
        free = np.array([one.error is not None and one.error > 0 and not one.fixed for one in covered])
        errors = np.array([one.error or 0.0 for one in covered])[free]
        spread = np.sqrt(np.diag(covariance)[free])
        if len(errors) and np.any(np.abs(spread - errors) > 0.1 * errors):
            yield Found(
                check="fit.correlation",
                warning=True,
                message=f"Errors of the fit {fit.place.label()} are not the square roots of the diagonal of its "
                "covariance. Are its rows in the order of `parameters`?",
            )
    yield from _correlation(fit, covariance)


def _errors_of_yields(case: Case, fit: Fit) -> Iterator[Found]:
    """In an extended fit the yields add up to the number of events n, and the variance of their sum is n.

    Both follow from the score of the extended likelihood (R. Barlow, Nucl. Instrum. Meth. A 297 (1990) 496). A factor
    of two is the sign of the wrong definition of errors: 0.5 for a negative log-likelihood, 1 for twice that.
    """
    covered, n = fit.covered(), number(fit.place.found.get("n_events"))
    total = number(fit.place.found.get("yield"))
    if covered is None or fit.covariance is None or not np.isfinite(fit.covariance).all():
        return
    if n is None or n < ENOUGH or (total is not None and total != n):
        return
    yields = [i for i, one in enumerate(covered) if _is_yield(one.name) and not one.fixed and one.value is not None]
    added = sum(covered[i].value or 0.0 for i in yields)
    if not yields or abs(added - n) > 2e-3 * n or sources.weighted(case):
        return
    ratio = float(fit.covariance[np.ix_(yields, yields)].sum()) / n
    if not 0.6 < ratio < 1.6:
        yield Found(
            check="fit.errors",
            message=f"The yields of the fit {fit.place.label()} add up to its {n:.0f} events, but the variance of "
            f"their sum is {ratio:.3g} times their number, not once. Errors belong to a rise of the negative "
            "log-likelihood by 0.5, of twice that by 1 (`errordef`).",
        )


def _is_yield(name: str) -> bool:
    """Whether a parameter is a number of events: `n_signal`, `N_bkg`, `yield_background`."""
    words = pieces(name)
    return len(words) > 1 and (words[0] in ("n", "nev", "yield") or words[-1] in ("yield", "norm"))


def not_positive(covariance: Matrix) -> str:
    """Why a covariance is none, empty if it is one; rows of zeros (fixed parameters) do not count."""
    kept = np.nonzero(np.any(covariance != 0, axis=0) | np.any(covariance != 0, axis=1))[0]
    matrix = covariance[np.ix_(kept, kept)]
    diagonal = np.diag(matrix)
    if np.any(diagonal <= 0):
        return "has variances that are not positive"
    scale = np.sqrt(diagonal)
    scaled = matrix / np.outer(scale, scale)
    if np.any(np.abs(scaled - scaled.T) > 1e-3):
        return "is not symmetric"
    if len(scaled) and float(np.linalg.eigvalsh(0.5 * (scaled + scaled.T)).min()) < -NEGATIVE:
        return "is not positive definite"
    return ""


def _correlation(fit: Fit, covariance: Matrix) -> Iterator[Found]:
    correlation, name = fit.correlation, fit.place.label("correlation")
    if correlation is None or len(correlation) != len(covariance):
        return
    spread = np.sqrt(np.clip(np.diag(covariance), 0, None))
    free = spread > 0
    told = correlation[np.ix_(free, free)]
    expected = covariance[np.ix_(free, free)] / np.outer(spread[free], spread[free])
    if not np.isfinite(told).all() or np.any(np.abs(told) > 1 + 1e-6):
        yield Found(check="fit.correlation", message=f"{name} has elements that are not between -1 and 1.")
    elif np.any(np.abs(told - expected) > 0.02):
        yield Found(
            check="fit.correlation",
            warning=True,
            message=f"{name} is not that of the covariance: elements differ by up to "
            f"{np.abs(told - expected).max():.2g}. Compute it as cov_ij / sqrt(cov_ii cov_jj).",
        )


def goodness(case: Case) -> Iterable[Found]:
    """chi2 / ndf is no sign of wrong errors, and p is the probability of a larger chi2."""
    for place, chi2, ndf in goodnesses(case):
        if ndf < 1:
            continue
        ratio = chi2 / ndf
        if not LOWEST <= ratio <= HIGHEST and ndf >= 3:
            what = (
                "too good to be true: are errors too large, or is it compared with itself" if ratio < 1 else "far off"
            )
            yield Found(
                check="fit.chi2",
                warning=True,
                message=f"chi2 / ndf of {place.label()} is {chi2:.4g} / {ndf:g}, {what}. Are the errors those of the "
                "counts, and is ndf the number of bins minus that of free parameters?",
            )
        elif abs(chi2 - round(chi2)) < 1e-7 * chi2 and ndf <= round(chi2) <= 1.5 * ndf + 10:
            yield Found(
                check="fit.chi2",
                message=f"chi2 of {place.label()} is the whole number {chi2:.0f}: residuals were divided by their own "
                "scatter. Divide each by the error of its bin.",
            )
        yield from _p_value(place, chi2, ndf)


def goodnesses(case: Case) -> Iterator[tuple[Place, float, float]]:
    """Where chi2 and ndf stand beside each other, and both."""
    for place in places(case):
        chi2, ndf = number(place.found.get("chi2")), number(place.found.get("ndf", place.found.get("ndof")))
        if chi2 is not None and ndf is not None and math.isfinite(chi2) and math.isfinite(ndf):
            yield place, chi2, ndf


def _p_value(place: Place, chi2: float, ndf: float) -> Iterator[Found]:
    key = next((one for one in ("p", "p_value", "pvalue") if number(place.found.get(one)) is not None), None)
    if key is None or not float(ndf).is_integer() or ndf > 5000:
        return
    told, above = float(place.found[key]), chi2_above(chi2, int(ndf))
    if abs(told - above) > 0.05:
        wrong_tail = abs(told - (1.0 - above)) < 0.01
        yield Found(
            check="fit.p_value",
            warning=not wrong_tail,
            message=f"{place.label(key)} is {told:.4g}; the probability of a chi2 above {chi2:.4g} with {ndf:g} "
            "degrees of freedom "
            f"is {above:.4g}." + (" It is that of a smaller one: take the upper tail (`sf`)." if wrong_tail else ""),
        )
