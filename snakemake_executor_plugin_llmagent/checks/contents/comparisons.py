"""Checks that hold outputs against what the sentence says in numbers, and against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.axes import axes_as_told
from snakemake_executor_plugin_llmagent.checks.contents.counted import counts_agree
from snakemake_executor_plugin_llmagent.checks.contents.cuts import cuts_applied
from snakemake_executor_plugin_llmagent.checks.contents.derived import ratios_upright, sums_in_quadrature
from snakemake_executor_plugin_llmagent.checks.contents.refilled import histograms_refilled

COMPARISONS: tuple[Callable[[Case], Iterable[Found]], ...] = (
    cuts_applied, counts_agree, axes_as_told, histograms_refilled, sums_in_quadrature, ratios_upright,
)  # fmt: skip
