"""Numbers and results of fits anywhere in the documents among the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Part
from snakemake_executor_plugin_llmagent.text import one_line

MOST_PLACES = 50_000
DEEPEST = 30


def number(value: Any) -> float | None:
    """A finite or infinite number; None for anything else, also for truth values."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def numbers(values: Any) -> np.ndarray[Any, Any] | None:
    """A list of numbers, with NaN for what is missing; None if it is something else."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        return None
    told = [math.nan if value is None else number(value) for value in values]
    return None if any(value is None for value in told) else np.array(told, dtype=float)


def matrix(rows: Any) -> np.ndarray[Any, Any] | None:
    """A square matrix of numbers; None if it is something else."""
    if not isinstance(rows, list) or not rows:
        return None
    told = [numbers(row) for row in rows]
    found = [row for row in told if row is not None and len(row) == len(rows)]
    return np.array(found) if len(found) == len(rows) else None


@dataclass(frozen=True, kw_only=True)
class Place:
    """A mapping somewhere in a document.

    Attributes:
        part: the output.
        path: keys and numbers that lead there.
        found: the mapping.
    """

    part: Part
    path: tuple[str, ...]
    found: Mapping[str, Any]

    def label(self, *more: str) -> str:
        """How a message names it, or something in it."""
        key = ".".join((*self.path, *more)).replace(".[", "[")
        return f"`{one_line(key, 100)}` of {self.part.label}" if key else self.part.label


def places(case: Case) -> Iterator[Place]:
    """All mappings in all documents, those outside first; not what is inside of models and provenance."""
    for part, document in case.documents():
        level: list[tuple[tuple[str, ...], Any]] = [((), document)]
        seen = 0
        for _ in range(DEEPEST):
            below: list[tuple[tuple[str, ...], Any]] = []
            for path, found in level:
                seen += 1
                if seen > MOST_PLACES:
                    return
                if isinstance(found, dict):
                    yield Place(part=part, path=path, found=found)
                below += [((*path, key), value) for key, value in _children(found)]
            level = below


def _children(found: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(found, dict):
        for key, value in found.items():
            if isinstance(value, dict | list) and key not in ("provenance", "metadata"):
                yield str(key), value
    elif isinstance(found, list):
        for index, value in enumerate(found):
            if isinstance(value, dict | list):
                yield f"[{index}]", value


# --- fits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a fit; value and error are None where there is none."""

    name: str
    value: float | None
    error: float | None
    limits: tuple[float | None, float | None] = (None, None)
    fixed: bool = False
    held: bool = False
    """Whether the fit itself says that it was held at a limit, or that the data do not determine it."""

    @property
    def at_limit(self) -> bool:
        """Whether it lies at one of its limits."""
        if self.value is None or self.fixed:
            return False
        low, high = self.limits
        span = high - low if low is not None and high is not None else max(abs(self.value), 1.0)
        near = max(1e-6 * abs(span), 1e-3 * min(self.error or 0.0, abs(span)))
        return any(limit is not None and abs(self.value - limit) <= near for limit in self.limits)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A result of a fit.

    Attributes:
        place: where it stands.
        valid, accurate: what it says of itself; None if it says nothing.
        parameters: in the order of covariance and correlation.
        covariance, correlation: None if there are none, or if they are no square matrices.
    """

    place: Place
    valid: bool | None
    accurate: bool | None
    parameters: tuple[Parameter, ...]
    covariance: np.ndarray[Any, Any] | None = field(repr=False)
    correlation: np.ndarray[Any, Any] | None = field(repr=False)

    def covered(self) -> tuple[Parameter, ...] | None:
        """The parameters that the rows of the covariance belong to; None if they fit neither all nor the free ones."""
        rows = -1 if self.covariance is None else len(self.covariance)
        free = tuple(one for one in self.parameters if not one.fixed)
        return self.parameters if rows == len(self.parameters) else free if rows == len(free) else None


_OF_A_FIT = ("valid", "covariance", "fmin", "gof", "correlation", "accurate", "converged", "edm", "nll")


def fits(case: Case) -> list[Fit]:
    """All results of fits: mappings with `parameters` and something else that a fit has."""
    found = []
    for place in places(case):
        if any(key in place.found for key in _OF_A_FIT):
            parameters = _parameters(place.found)
            if parameters:
                valid, accurate = place.found.get("valid", place.found.get("converged")), place.found.get("accurate")
                found.append(
                    Fit(
                        place=place, parameters=parameters, valid=valid if isinstance(valid, bool) else None,
                        accurate=accurate if isinstance(accurate, bool) else None,
                        covariance=matrix(place.found.get("covariance")),
                        correlation=matrix(place.found.get("correlation")),
                    )
                )  # fmt: skip
    return found


def _parameters(found: Mapping[str, Any]) -> tuple[Parameter, ...]:
    listed = found.get("parameters")
    held = {str(name) for key in ("at_limit", "undetermined") for name in _as_list(found.get(key))}
    if isinstance(listed, list) and all(isinstance(one, dict) and "name" in one for one in listed):
        listed = {str(one["name"]): one for one in listed}
    if not isinstance(listed, dict) or not all(isinstance(one, dict) and "value" in one for one in listed.values()):
        return ()
    told = []
    for name, one in listed.items():
        limits = one.get("limits")
        low, high = limits if isinstance(limits, list) and len(limits) == 2 else (None, None)
        told.append(
            Parameter(
                name=str(name), value=number(one["value"]), error=number(one.get("error")),
                limits=(number(low), number(high)), fixed=one.get("fixed") is True, held=str(name) in held,
            )
        )  # fmt: skip
    return tuple(told)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | dict) else []
