"""The contracts of weights and of the errors that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.flows import cutflows
from snakemake_executor_plugin_llmagent.checks.contents.names import shown, varies
from snakemake_executor_plugin_llmagent.checks.contents.refill import binned, refilled
from snakemake_executor_plugin_llmagent.checks.contents.results import number, places
from snakemake_executor_plugin_llmagent.checks.contents.sums import sums
from snakemake_executor_plugin_llmagent.checks.contracts.needs import (
    close,
    event_tables,
    looked,
    needs,
    weight_column,
    whole,
)
from snakemake_executor_plugin_llmagent.data.contents import Histogram, Sheet

Weights = np.ndarray[Any, Any]


def weights_sum(
    case: Case, column: str | None = None, total: float | None = None, tolerance: float = 1e-3
) -> Iterator[Found]:
    """See `catalogue.weights_sum`."""
    outputs = _weighted(event_tables(case.outputs), column)
    if total is not None:
        yield from _total(case, outputs, total, tolerance)
        return
    inputs = _weighted(event_tables(case.inputs), column)
    if not inputs:
        what = f"a column {shown(column)}" if column else "a column of weights"
        raise needs(case, f"{what} in the inputs ({looked(case.inputs)}), or the parameter `total`")
    before = np.concatenate([weights for _, _, weights in inputs])
    if outputs:
        for part, _, weights in outputs:
            yield from _taken_over(part, weights, before, inputs)
        yield from _conserved(outputs, inputs, before, tolerance)
        return
    begins = [
        (flow.label, float(flow.yields[0])) for flow in cutflows(case) if flow.yields is not None and len(flow.yields)
    ]
    filled = [(f"{shown(one.name)} of {part.label}", float(np.nansum(one.values))) for part, one in case.histograms()]
    if not begins and not filled:
        raise needs(case, "weights in the outputs: a column, a cut flow with yields, or a histogram")
    for label, held in begins or filled:
        if not close(held, float(before.sum()), tolerance):
            yield Found(
                check="contract.weights_sum",
                message=f"{label} {'begins with' if begins else 'holds'} {held:.7g}, but the weights of the input sum "
                f"up to {before.sum():.7g}.",
            )


def _weighted(tables: list[tuple[Part, Sheet]], column: str | None) -> list[tuple[Part, Sheet, Weights]]:
    told = [(part, sheet, weight_column(part, sheet, column)) for part, sheet in tables]
    return [(part, sheet, found[1]) for part, sheet, found in told if found is not None]


def _total(case: Case, outputs: list[tuple[Part, Sheet, Weights]], total: float, tolerance: float) -> Iterator[Found]:
    found = [(part.label, float(weights.sum())) for part, sheet, weights in outputs if whole(sheet)]
    if not found:
        found = [
            (f"{place.label('yield')}", told)
            for place in places(case)
            if (told := number(place.found.get("yield"))) is not None
        ][:1]
    if not found:
        found = [
            (f"{shown(one.name)} of {part.label}", float(np.nansum(one.values))) for part, one in case.histograms()
        ]
    if not found:
        raise needs(case, "a column of weights, a `yield` or a histogram")
    held = sum(value for _, value in found)
    if not close(held, total, tolerance):
        yield Found(
            check="contract.weights_sum",
            message=f"The weights in {', '.join(label for label, _ in found)} sum up to {held:.7g}, not to "
            f"{total:.7g}.",
        )


def _taken_over(
    part: Part, weights: Weights, before: Weights, inputs: list[tuple[Part, Sheet, Weights]]
) -> Iterator[Found]:
    """Weights are numbers, vary if those of the input do, and are found there."""
    if not np.isfinite(weights).all():
        yield Found(check="contract.weights_sum", message=f"Weights in {part.label} are NaN or infinite.")
    elif len(weights) > 1 and not varies(weights) and all(varies(one) for _, _, one in inputs):
        yield Found(
            check="contract.weights_sum",
            message=f"All weights in {part.label} are {weights[0]:.6g}, those of the input vary from "
            f"{np.nanmin(before):.4g} to {np.nanmax(before):.4g}.",
        )
    elif len(weights) and len(before) and (share := _share(weights, np.sort(before))) < 0.99:
        yield Found(
            check="contract.weights_sum",
            message=f"{1 - share:.1%} of the weights in {part.label} are not among those of the input. (What is "
            "normalised anew has a known sum: `weights_sum(total=...)`.)",
        )


def _share(weights: Weights, known: Weights) -> float:
    """The share of weights that are among the known, sorted ones, to single precision."""
    right = np.minimum(np.searchsorted(known, weights), len(known) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.minimum(np.abs(known[right] - weights), np.abs(known[left] - weights))
    return float(np.mean(nearest <= 1e-6 * np.abs(weights) + 1e-300))


def _conserved(
    outputs: list[tuple[Part, Sheet, Weights]],
    inputs: list[tuple[Part, Sheet, Weights]],
    before: Weights,
    tolerance: float,
) -> Iterator[Found]:
    """The same number of events has the same sum of weights."""
    if not all(whole(sheet) for _, sheet, _ in (*outputs, *inputs)):
        return
    after = np.concatenate([weights for _, _, weights in outputs])
    if len(after) == len(before) and not close(float(after.sum()), float(before.sum()), tolerance):
        yield Found(
            check="contract.weights_sum",
            message=f"The weights of all {len(after)} events sum up to {after.sum():.7g} in the outputs, to "
            f"{before.sum():.7g} in the inputs.",
        )


# --- errors ---------------------------------------------------------------------------------------------------------


def poisson_errors(case: Case, tolerance: float = 0.02) -> Iterator[Found]:
    """See `catalogue.poisson_errors`."""
    looked_at = 0
    for label, histogram in binned(case):
        looked_at += 1
        for problem in _histogram(case, histogram, tolerance):
            yield Found(check="contract.poisson_errors", message=f"{label}: {problem}.")
    for one in sums(case):
        if one.events is not None and one.error is not None:
            looked_at += 1
            wrong = _wrong_error(one.total, one.error, one.events, event_tables(case.outputs), tolerance)
            if wrong:
                yield Found(check="contract.poisson_errors", message=f"{one.label}: {wrong}.")
    if not looked_at:
        raise needs(
            case,
            "a histogram, lists such as `data` and `data_error` beside `bin_edges`, a cut flow with errors, or `yield` "
            "with `yield_error` and `n_events`",
        )


def _histogram(case: Case, histogram: Histogram, tolerance: float) -> Iterator[str]:
    values, variances = histogram.values, histogram.variances
    whole_numbers = bool(np.allclose(values, np.round(values), rtol=1e-9, atol=1e-9))
    if variances is None:
        if not whole_numbers:
            yield "contents are no numbers of events, and there are no variances: store the sum of squared weights"
        return
    if np.any(variances < 0) or not np.isfinite(variances).all():
        yield "variances are negative or no numbers"
        return
    filled = refilled(case, histogram)
    if filled is None and not whole_numbers:
        if np.any((values != 0) & (variances == 0)):
            yield "there are contents without an error"
        return
    expected, source = (values, "numbers of events") if filled is None else (filled.variances, filled.label)
    errors, right = np.sqrt(variances), np.sqrt(np.abs(expected))
    # An empty bin may have the error of one event, so that it counts in a fit.
    wrong = (np.abs(errors - right) > tolerance * right + 1e-12) & (values != 0)
    if wrong.any():
        at = int(np.argmax(wrong.ravel()))
        yield (
            f"the error of bin {at} is {errors.ravel()[at]:.5g}, from {source} it is {right.ravel()[at]:.5g} "
            f"({int(wrong.sum())} bins differ)"
        )


def _wrong_error(value: float, error: float, events: float, tables: list[tuple[Part, Sheet]], tolerance: float) -> str:
    """What is wrong with the error of a yield, empty if nothing is.

    Of the table with just these events it is the square root of the sum of squared weights; of all others it cannot be
    smaller than |yield| / sqrt(events).
    """
    if events <= 0:
        return ""
    for part, sheet in tables:
        weights = weight_column(part, sheet, None)
        if weights is not None and sheet.entries == events and close(float(weights[1].sum()), value, 1e-5):
            right = float(np.sqrt(np.sum(weights[1] ** 2)))
            if abs(error - right) > tolerance * right:
                return f"the error is {error:.5g}, from the squared weights of {part.label} it is {right:.5g}"
            return ""
    if value == events:
        right = float(np.sqrt(events))
        return (
            f"the error is {error:.5g}, of {events:.0f} events it is {right:.5g}"
            if abs(error - right) > tolerance * right
            else ""
        )
    least = abs(value) / float(np.sqrt(events))
    if error < (1 - tolerance) * least:
        return (
            f"the error is {error:.5g}, but no {events:.0f} weights with the sum {value:.6g} have less than {least:.5g}"
        )
    return ""
