"""Checks of a script's syntax tree: what runs without a word and is wrong. Where they are not sure, they are silent.

`source` reads a script, `flow` follows values through it, `makers` knows what makes numbers out of nothing; each of the
other modules looks for one kind of mistake. None of it runs anything.
"""

from __future__ import annotations

from snakemake_executor_plugin_llmagent.checks.static.cuts import cuts_cut
from snakemake_executor_plugin_llmagent.checks.static.decisions import decisions_are_used
from snakemake_executor_plugin_llmagent.checks.static.fits import fit_is_checked, takes_the_right_tail
from snakemake_executor_plugin_llmagent.checks.static.hiding import hides_nothing_missing, swallows_no_failure
from snakemake_executor_plugin_llmagent.checks.static.invented import data_are_not_made_up
from snakemake_executor_plugin_llmagent.checks.static.literals import results_are_computed
from snakemake_executor_plugin_llmagent.checks.static.names import NamesCheck, inputs_are_used
from snakemake_executor_plugin_llmagent.checks.static.plots import axes_are_labelled
from snakemake_executor_plugin_llmagent.checks.static.randomness import draws_random_numbers
from snakemake_executor_plugin_llmagent.checks.static.said import (
    bounds_bound,
    charges_are_as_said,
    labels_are_of_what_is_drawn,
    variations_are_as_named,
)
from snakemake_executor_plugin_llmagent.checks.static.twice import operands_differ
from snakemake_executor_plugin_llmagent.checks.static.unused import (
    columns_are_used,
    constants_are_used,
    params_are_used,
)
from snakemake_executor_plugin_llmagent.checks.static.weights import WeightsCheck
from snakemake_executor_plugin_llmagent.protocols import Check, Describe


def tree_checks(describe: Describe | None) -> tuple[Check, ...]:
    """All checks of the syntax tree; without `describe` those that need no look into the inputs."""
    names: tuple[Check, ...] = () if describe is None else (NamesCheck(describe),)
    return (
        draws_random_numbers, data_are_not_made_up, WeightsCheck(describe), results_are_computed, hides_nothing_missing,
        swallows_no_failure, *names, inputs_are_used, axes_are_labelled, decisions_are_used, cuts_cut,
        takes_the_right_tail, fit_is_checked, columns_are_used, params_are_used, constants_are_used,
        operands_differ, charges_are_as_said, bounds_bound, variations_are_as_named, labels_are_of_what_is_drawn,
    )  # fmt: skip
