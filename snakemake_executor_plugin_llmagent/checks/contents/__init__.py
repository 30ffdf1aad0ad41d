"""Checks of what outputs hold, beside the inputs: run on every trial without being asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from snakemake_executor_plugin_llmagent.checks.case import Case, Found
from snakemake_executor_plugin_llmagent.checks.contents.categories import rows_in_categories
from snakemake_executor_plugin_llmagent.checks.contents.columns import arrays_aligned, columns_vary
from snakemake_executor_plugin_llmagent.checks.contents.comparisons import COMPARISONS
from snakemake_executor_plugin_llmagent.checks.contents.events import events_left, events_once, rows_asked_for
from snakemake_executor_plugin_llmagent.checks.contents.events_mixed import rows_belong
from snakemake_executor_plugin_llmagent.checks.contents.expectations import observation_expected
from snakemake_executor_plugin_llmagent.checks.contents.fits import fits_sound, goodness
from snakemake_executor_plugin_llmagent.checks.contents.histograms import histogram_errors
from snakemake_executor_plugin_llmagent.checks.contents.images import images_show
from snakemake_executor_plugin_llmagent.checks.contents.keys import keys_promised
from snakemake_executor_plugin_llmagent.checks.contents.limits import limits_recomputed
from snakemake_executor_plugin_llmagent.checks.contents.magnitude import magnitudes, units_of_results
from snakemake_executor_plugin_llmagent.checks.contents.numbers import cutflows_fall, errors_positive, probabilities
from snakemake_executor_plugin_llmagent.checks.contents.objects import objects_as_told
from snakemake_executor_plugin_llmagent.checks.contents.ratios import ratios_as_told
from snakemake_executor_plugin_llmagent.checks.contents.siblings import not_identical
from snakemake_executor_plugin_llmagent.checks.contents.sidebands import sidebands_counted
from snakemake_executor_plugin_llmagent.checks.contents.significances import significances
from snakemake_executor_plugin_llmagent.checks.contents.sums import yields_weighted
from snakemake_executor_plugin_llmagent.checks.contents.variations import variations_filled
from snakemake_executor_plugin_llmagent.checks.contents.weights import weights_kept, weights_there
from snakemake_executor_plugin_llmagent.checks.contents.yields import yields_of_the_region

CONTENT_CHECKS: tuple[Callable[[Case], Iterable[Found]], ...] = (
    keys_promised, events_left, rows_asked_for, events_once, weights_kept, weights_there, yields_weighted, columns_vary,
    arrays_aligned, rows_belong, objects_as_told, *COMPARISONS, histogram_errors, magnitudes,
    units_of_results, cutflows_fall, rows_in_categories, probabilities, errors_positive, ratios_as_told, fits_sound,
    goodness, significances, sidebands_counted, yields_of_the_region, observation_expected, limits_recomputed,
    variations_filled, images_show, not_identical,
)  # fmt: skip
"""In the order in which their findings are shown: first what the rest may follow from."""
