"""The contracts of values that lie in a known range."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Needs
from snakemake_executor_plugin_llmagent.checks.contents.magnitude import POSITION
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, is_mass, listed, pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.numbers import shares
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, fits, number, numbers, places
from snakemake_executor_plugin_llmagent.checks.contracts.binomial import error_of, error_unlike
from snakemake_executor_plugin_llmagent.checks.contracts.needs import event_tables, needs

SLACK = 1e-9
PASSED = ("passed", "n_passed", "n_pass", "numerator", "selected", "n_selected")
TOTAL = ("total", "n_total", "all", "n_all", "denominator", "generated", "n_generated")
MEASURED = frozenset({"efficiency", "eff", "acceptance", "purity"})
"""Shares of events of the inputs; a branching fraction is none."""
IN_COLUMNS = frozenset({"efficiency", "eff", "acceptance", "probability", "purity", "fraction"})


def efficiency_in_unit_interval(case: Case) -> Iterator[Found]:
    """See `catalogue.efficiency_in_unit_interval`."""
    looked_at = 0
    for place in places(case):
        for key, what, value, _ in shares(place, fractions=True):
            looked_at += 1
            for problem in _not_a_share(case, place, key, what, value):
                yield Found(check="contract.efficiency_in_unit_interval", message=f"{place.label(key)}: {problem}.")
    for part, sheet in case.tables():
        for name, values in flat(sheet).items():
            words = pieces(name)
            if words and words[-1] in IN_COLUMNS and words[0] not in ("n", "m"):
                looked_at += 1
                finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
                outside = int(np.count_nonzero((finite < -SLACK) | (finite > 1 + SLACK)))
                if outside:
                    yield Found(
                        check="contract.efficiency_in_unit_interval",
                        message=f"{shown(name)} of {part.label}: {outside} of {len(finite)} values are not between 0 "
                        "and 1.",
                    )
    if not looked_at:
        raise needs(
            case, "an efficiency: a key or a column such as `efficiency`, `acceptance`, `purity`, `p_value`, `auc`"
        )


def _not_a_share(case: Case, place: Place, key: str, what: str, value: float) -> Iterator[str]:
    if not -SLACK <= value <= 1 + SLACK:
        yield f"{value:.6g} is not between 0 and 1, as {what} is"
        return
    told = place.found[key]
    beside = told if isinstance(told, dict) else place.found
    error = number(told.get("error")) if isinstance(told, dict) else error_of(place, key)
    if error is not None and not 0.0 <= error <= 0.5 + SLACK:
        yield f"an error of {error:.4g} does not fit: it is not negative, and no share is less certain than ± 0.5"
    passed, total = (
        next((n for k in keys if (n := number(beside.get(k))) is not None), None) for keys in (PASSED, TOTAL)
    )
    if what != "a share":
        return
    if passed is None or total is None or total <= 0:
        if MEASURED & set(pieces(key)):
            yield from error_unlike(case, value, error or 0.0)
        return
    if abs(passed / total - value) > 0.01 * max(value, 1 / total):
        yield f"{value:.6g} is not {passed:g} / {total:g} = {passed / total:.6g}"
    elif error and 0 < value < 1 and float(passed).is_integer() and float(total).is_integer():
        binomial = math.sqrt(value * (1 - value) / total)
        if not 0.3 * binomial <= error <= 3 * binomial:
            yield f"an error of {error:.4g} does not fit {passed:g} of {total:g}: sqrt(e (1 - e) / n) is {binomial:.4g}"


def mass_window(case: Case, low: float, high: float, column: str | None = None) -> Iterator[Found]:
    """See `catalogue.mass_window`."""
    found = list(_in_tables(case, column)) or list(_in_fits(case, column)) or list(_in_histograms(case, column))
    if not found:
        raise needs(
            case,
            f"{'a column, fitted parameter or histogram ' + shown(column) if column else 'a mass'}: a column such as "
            "`m_yy` or `mass`, a fitted position (`mean`, `mu`, `m_h`, ...), or a histogram of one",
        )
    for label, values in found:
        finite = values[np.isfinite(values)]
        outside = int(np.count_nonzero((finite < low) | (finite > high)))
        if outside or not len(finite):
            in_mev = len(finite) and float(np.mean((finite >= 1000 * low) & (finite <= 1000 * high))) > 0.5
            yield Found(
                check="contract.mass_window",
                message=f"{label}: {outside} of {len(finite)} values are not within {low:g} to {high:g} GeV"
                + (f" (they run from {finite.min():.6g} to {finite.max():.6g})" if len(finite) else "")
                + (". They seem to be in MeV." if in_mev else "."),
            )


Labelled = tuple[str, np.ndarray[Any, Any]]


def _in_tables(case: Case, column: str | None) -> Iterator[Labelled]:
    for part, sheet in event_tables(case.outputs):
        columns = flat(sheet)
        names = [name for name in columns if name == column or (column is None and is_mass(name))]
        if len(names) > 1:
            raise Needs(f"the parameter `column`: {part.label} has several masses ({listed(names)})")
        for name in names:
            yield f"{shown(name)} of {part.label}", columns[name].astype(np.float64)


def _in_fits(case: Case, column: str | None) -> Iterator[Labelled]:
    for fit in fits(case):
        for one in fit.parameters:
            meant = bool(set(pieces(one.name)) & POSITION) or is_mass(one.name)
            if one.value is not None and (one.name == column or (column is None and meant and not _is_strength(one))):
                yield fit.place.label(f"parameters.{one.name}"), np.array([one.value])
    for place in places(case):
        for key, value in place.found.items():
            mass = number(value.get("value") if isinstance(value, dict) else value)
            several = numbers(value)
            if (str(key) == column or (column is None and is_mass(str(key)))) and (
                mass is not None or several is not None
            ):
                yield place.label(str(key)), np.array([mass]) if several is None else several


def _is_strength(one: Any) -> bool:
    """Whether `mu` is a signal strength, which is near to one, and no position."""
    return one.name.lower() == "mu" and one.value is not None and abs(one.value) < 20


def _in_histograms(case: Case, column: str | None) -> Iterator[Labelled]:
    for part, histogram in case.histograms():
        texts = (histogram.name, *histogram.labels)
        if len(histogram.edges) == 1 and any(text == column or (column is None and is_mass(text)) for text in texts):
            filled = np.nonzero(histogram.values)[0]
            edges = histogram.edges[0]
            centres = 0.5 * (edges[1:] + edges[:-1])
            yield f"{shown(histogram.name)} of {part.label}", centres[filled]
