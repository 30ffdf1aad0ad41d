"""The contracts that rules can name: `checks=[fit_valid, chi2_band(0.5, 1.8)]`. Here they are declared, in
`checks/contracts/` carried out: this is read whenever a Snakefile is, so it loads nothing.

A contract finds what it needs anywhere in the outputs, in the shapes of results (JSON) that the coder is told of, or in
tables and histograms, and says what it needs if it cannot find it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def fit_valid() -> None:
    """The fit is valid, its covariance accurate and positive definite, no parameter at a limit."""


def pulls(parameters: list[str] | None = None, max_abs: float = 5.0) -> None:
    """Pulls of bins (or of constrained parameters) are no larger than `max_abs`, and not all zero."""


def chi2_band(low: float = 0.3, high: float = 2.0) -> None:
    """chi2 / ndf of a fit lies between both alarm ends."""


def yields_conserved(tolerance: float = 1e-6) -> None:
    """What is divided adds up again: categories to their total, histogram to selected events, input to output."""


def cutflow_monotonic() -> None:
    """Events of a cut flow never rise, its first entry holds all events, and its errors fit its events."""


def weights_sum(column: str | None = None, total: float | None = None, tolerance: float = 1e-3) -> None:
    """Weights of an output are those of the input (or sum up to `total`), not all one if the input's are not."""


def variation_moves(up: str = "up", down: str = "down", signed: bool = True) -> None:
    """Up and down variations differ from the nominal result, and lie on opposite sides of it where `signed`."""


def poisson_errors(tolerance: float = 0.02) -> None:
    """Errors of counts are sqrt(n), of weighted histograms sqrt(sum of squared weights)."""


def efficiency_in_unit_interval() -> None:
    """Efficiencies, acceptances, fractions and p-values lie between 0 and 1, with errors that fit."""


def significance(tolerance: float = 0.1) -> None:
    """z, p0 and, where they are given, counts agree, in the right tail."""


def limit_ordering() -> None:
    """Expected limits rise from -2 to +2 standard deviations; the observed one is positive and in their range."""


def mass_window(low: float, high: float, column: str | None = None) -> None:
    """A mass (column, histogram or fitted position) lies within [low, high] GeV."""


def closure(parameter: str, truth: float, max_pull: float = 3.0) -> None:
    """A fitted parameter agrees with what was injected, within `max_pull` errors."""


def stable_seed() -> None:
    """Run again on the same inputs, the script makes the same numbers."""


CONTRACTS: Mapping[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        fit_valid, pulls, chi2_band, yields_conserved, cutflow_monotonic, weights_sum, variation_moves, poisson_errors,
        efficiency_in_unit_interval, significance, limit_ordering, mass_window, closure, stable_seed,
    )
}  # fmt: skip
"""Name → declaration."""
