"""The contracts of results of fits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.fits import goodnesses, not_positive
from snakemake_executor_plugin_llmagent.checks.contents.names import listed, shown
from snakemake_executor_plugin_llmagent.checks.contents.results import Fit, Place, fits, number, numbers, places
from snakemake_executor_plugin_llmagent.checks.contracts.needs import needs

ALL_ZERO = 1e-6
A_FIT = "the result of a fit: JSON with `valid`, `parameters: {name: {value, error, limits}}` and `covariance`"


def fit_valid(case: Case) -> Iterator[Found]:
    """See `catalogue.fit_valid`."""
    found = fits(case)
    if not found:
        raise needs(case, A_FIT)
    for fit in found:
        for problem in _invalid(fit):
            yield Found(check="contract.fit_valid", message=f"The fit {fit.place.label()} {problem}.")


def _invalid(fit: Fit) -> Iterator[str]:
    if fit.valid is not True:
        yield "is not valid" if fit.valid is False else "does not say whether it is `valid`"
    if fit.accurate is False:
        yield "has a covariance that is not accurate by its own account"
    held = [one.name for one in fit.parameters if not one.fixed and (one.held or one.at_limit)]
    if held:
        yield f"has parameters at a limit, or that the data do not determine: {listed(held)}"
    free = [one for one in fit.parameters if not one.fixed and not one.held]
    none = [one.name for one in free if one.error is None or not 0.0 < one.error < math.inf]
    lost = [one.name for one in free if one.value is None or not math.isfinite(one.value)]
    if none or lost:
        yield f"has no {'values' if lost else 'errors'} of {listed(lost or none)}"
    if fit.covariance is None:
        yield "has no `covariance` (a list of rows in the order of `parameters`)"
    elif not np.isfinite(fit.covariance).all():
        yield "has a covariance with NaN or infinity in it"
    elif fit.covered() is None:
        yield f"has a covariance of {len(fit.covariance)} rows for {len(fit.parameters)} parameters"
    elif problem := not_positive(fit.covariance):
        yield f"has a covariance that {problem}"


def chi2_band(case: Case, low: float = 0.3, high: float = 2.0) -> Iterator[Found]:
    """See `catalogue.chi2_band`."""
    found = list(goodnesses(case))
    if not found:
        raise needs(case, "a goodness of fit: `gof: {chi2, ndf, p}`")
    for place, chi2, ndf in found:
        if ndf < 1:
            yield Found(
                check="contract.chi2_band", message=f"{place.label()} has ndf = {ndf:g}: nothing is left to test."
            )
        elif not low <= chi2 / ndf <= high:
            hint = (
                "Are errors too large, or is the model compared with what it was made of?"
                if chi2 / ndf < low
                else "The model does not describe the data, or errors are too small."
            )
            yield Found(
                check="contract.chi2_band",
                message=f"chi2 / ndf of {place.label()} is {chi2:.4g} / {ndf:g} = {chi2 / ndf:.3g}, outside of "
                f"{low:g} to {high:g}. {hint}",
            )


# --- pulls ----------------------------------------------------------------------------------------------------------


def pulls(case: Case, parameters: list[str] | None = None, max_abs: float = 5.0) -> Iterator[Found]:
    """See `catalogue.pulls`."""
    found = list(_pulls(case))
    if parameters is not None:
        found = [(label, names, values) for label, names, values in found if names is not None]
        known = {name for _, names, _ in found for name in names or ()}
        if missing := [name for name in parameters if name not in known]:
            raise needs(
                case,
                f"pulls of {listed(missing)}: `constraint_pulls: {{name: pull}}`; there are {listed(sorted(known))}",
            )
    if not found:
        raise needs(case, "pulls: a list `pulls` of bins, `spectra` with `counts` and `total`, or `constraint_pulls`")
    for label, names, values in found:
        chosen = [i for i in range(len(values)) if parameters is None or (names is not None and names[i] in parameters)]
        kept = values[chosen]
        kept = kept[np.isfinite(kept)]
        if len(kept) and np.abs(kept).max() > max_abs:
            worst = chosen[int(np.nanargmax(np.abs(values[chosen])))]
            name = shown(names[worst]) if names is not None else f"bin {worst}"
            yield Found(
                check="contract.pulls",
                message=f"The pull of {name} in {label} is {values[worst]:.3g}, beyond {max_abs:g}.",
            )
        elif len(kept) >= 3 and np.abs(kept).max() < ALL_ZERO:
            yield Found(
                check="contract.pulls",
                message=f"All {len(kept)} pulls in {label} are 0: the fit is compared with itself, or was never made.",
            )


def _pulls(case: Case) -> Iterator[tuple[str, list[str] | None, np.ndarray[Any, Any]]]:
    """Where pulls stand, names of parameters if they are those of parameters, and the pulls."""
    for place in places(case):
        for key in ("pulls", "constraint_pulls"):
            found = place.found.get(key)
            listed_ones = numbers(found)
            if listed_ones is not None:
                yield place.label(key), None, listed_ones
            elif isinstance(found, dict):
                named = {str(name): _pull(one) for name, one in found.items()}
                told = {name: value for name, value in named.items() if value is not None}
                if told:
                    yield place.label(key), list(told), np.array(list(told.values()))
        if "pulls" not in place.found and (made := _made(place)) is not None:
            yield place.label(), None, made


def _pull(found: Any) -> float | None:
    return number(found.get("pull", found.get("value")) if isinstance(found, dict) else found)


def _made(place: Place) -> np.ndarray[Any, Any] | None:
    """Pulls of the bins of a spectrum, (counts - total) / sqrt(variance); None if it is none."""
    counts, total = numbers(place.found.get("counts")), numbers(place.found.get("total"))
    if counts is None or total is None or len(counts) != len(total):
        return None
    variances = numbers(place.found.get("variances"))
    spread = np.sqrt(np.clip(total if variances is None or len(variances) != len(counts) else variances, 1e-300, None))
    kept = (total > 0) | (counts > 0)
    return np.asarray((counts[kept] - total[kept]) / np.where(spread[kept] > 1e-100, spread[kept], 1.0))


# --- closure --------------------------------------------------------------------------------------------------------


def closure(case: Case, parameter: str, truth: float, max_pull: float = 3.0) -> Iterator[Found]:
    """See `catalogue.closure`."""
    place, value, error = _measured(case, parameter)
    if value is None or error is None or not 0.0 < error < math.inf or not math.isfinite(value):
        yield Found(
            check="contract.closure",
            message=f"{place.label(parameter)} has no value with a positive error: {value} ± {error}.",
        )
    elif abs(value - truth) > max_pull * error:
        yield Found(
            check="contract.closure",
            message=f"{shown(parameter)} of {place.part.label} is {value:.6g} ± {error:.3g}, "
            f"{abs(value - truth) / error:.2f} errors away from the {truth:g} that was put in.",
        )


def _measured(case: Case, parameter: str) -> tuple[Place, float | None, float | None]:
    """Where a parameter was measured, its value and its error; the outermost result goes first."""
    found = fits(case)
    for fit in found:
        for one in fit.parameters:
            if one.name == parameter:
                return fit.place, one.value, one.error
    for place in places(case):
        if parameter in place.found:
            told = place.found[parameter]
            beside: Mapping[str, Any] = told if isinstance(told, dict) else {"value": told}
            error = beside.get("error", place.found.get(f"{parameter}_error"))
            return place, number(beside.get("value")), number(error)
    known = sorted({one.name for fit in found for one in fit.parameters})
    raise needs(case, f"the parameter {shown(parameter)} with `value` and `error`; there are {listed(known) or 'none'}")
