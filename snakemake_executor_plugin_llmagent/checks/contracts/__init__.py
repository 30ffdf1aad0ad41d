"""The contracts of `checks/catalogue.py`, carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from snakemake_executor_plugin_llmagent.checks.case import Found
from snakemake_executor_plugin_llmagent.checks.contracts.columns import column_range
from snakemake_executor_plugin_llmagent.checks.contracts.counts import cutflow_monotonic, yields_conserved
from snakemake_executor_plugin_llmagent.checks.contracts.fits import chi2_band, closure, fit_valid, pulls
from snakemake_executor_plugin_llmagent.checks.contracts.limits import upper_limit
from snakemake_executor_plugin_llmagent.checks.contracts.ranges import efficiency_in_unit_interval, mass_window
from snakemake_executor_plugin_llmagent.checks.contracts.significances import limit_ordering, significance
from snakemake_executor_plugin_llmagent.checks.contracts.variations import variation_moves
from snakemake_executor_plugin_llmagent.checks.contracts.weights import poisson_errors, weights_sum

IMPLEMENTATIONS: Mapping[str, Callable[..., Iterable[Found]]] = {
    function.__name__: function
    for function in (
        fit_valid, pulls, chi2_band, yields_conserved, cutflow_monotonic, weights_sum, variation_moves, poisson_errors,
        efficiency_in_unit_interval, significance, limit_ordering, upper_limit, mass_window, column_range, closure,
    )
}  # fmt: skip
"""Name → what finds what stands against it, from a case and the arguments of the rule; raises `Needs`."""
BY_RERUN = frozenset({"stable_seed"})
"""Contracts that take a second run of the script, and are carried out by the probes."""
