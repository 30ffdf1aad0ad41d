"""The contract of limits that are recomputed."""

from __future__ import annotations

from collections.abc import Iterator

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.limits import limits_told, unlike
from snakemake_executor_plugin_llmagent.checks.contracts.needs import needs


def upper_limit(case: Case, background_uncertainty: float | None = None, tolerance: float = 0.1) -> Iterator[Found]:
    """See `catalogue.upper_limit`."""
    found = list(limits_told(case, background_uncertainty))
    if not found:
        raise needs(
            case,
            "the limits of a counting experiment: `observed`, `expected` and `counts` with `observed`, `signal` and "
            "`background` (above 0)",
        )
    for told in found:
        problem, _ = unlike(told, tolerance)
        if problem:
            yield Found(check="contract.upper_limit", message=f"{told.place.label()}: {problem}")
