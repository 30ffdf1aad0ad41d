"""The probes that rules can name: `probes=[scale_weights(2), half_events()]`. Declared here, carried out beside it.

A probe runs the candidate again on altered copies of its inputs and demands a response of the numbers in the outputs:
`scales` (yields by the factor), `invariant` (nothing changes), `moves` (something does), `fails_clearly` (the script
fails, and its last words name what is missing). `inputs` names the inputs that are altered, all by default. This is
read whenever a Snakefile is, so it loads nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Inputs = str | list[str] | None


def scale_weights(
    factor: float = 2.0, column: str | None = None, inputs: Inputs = None, response: str = "scales"
) -> None:
    """Multiply all weights: yields scale, numbers of events do not. Inputs whose weights are all 1 (data) stay."""


def shuffle_events(inputs: Inputs = None, response: str = "invariant", tolerance: float = 1e-6) -> None:
    """Permute the rows of tables: results depend on the order no more than `tolerance` (of errors, for fits)."""


def half_events(inputs: Inputs = None, response: str = "moves") -> None:
    """Keep every second event: something moves (with `scales`: yields become about half)."""


def inject_signal(
    mass: float, n: int, column: str | None = None, width: float = 1.7, inputs: Inputs = None, response: str = "moves"
) -> None:
    """Add `n` events around a mass [unit of the column]: what measures a signal moves up."""


def empty_input(inputs: Inputs = None, response: str = "fails_clearly") -> None:
    """Take all events out: the script fails with a clear message, or writes a result that says that it is empty."""


def drop_branch(name: str | None = None, inputs: Inputs = None, response: str = "fails_clearly") -> None:
    """Take a branch out that the script reads: it fails with a message that names it."""


def rename_input(inputs: Inputs = None, response: str = "invariant") -> None:
    """Give the inputs other names: results do not depend on what files are called."""


PROBES: Mapping[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        scale_weights, shuffle_events, half_events, inject_signal, empty_input, drop_branch, rename_input,
    )
}  # fmt: skip
"""Name → declaration."""
RESPONSES = ("scales", "invariant", "moves", "fails_clearly")
DEMANDS: Mapping[str, tuple[str, ...]] = {
    "scale_weights": ("scales", "moves", "invariant"),
    "shuffle_events": ("invariant", "moves"),
    "half_events": ("moves", "scales", "invariant"),
    "inject_signal": ("moves", "invariant"),
    "empty_input": ("fails_clearly",),
    "drop_branch": ("fails_clearly", "invariant", "moves"),
    "rename_input": ("invariant", "moves"),
}
"""Probe → the responses that can be demanded of it, the usual one first."""
