"""Energies in another unit than they should have: MeV for GeV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents import sources
from snakemake_executor_plugin_llmagent.checks.contents.names import (
    flat,
    is_energy,
    is_mass,
    is_momentum,
    listed,
    pieces,
    shown,
)
from snakemake_executor_plugin_llmagent.checks.contents.results import Place, fits, number, places
from snakemake_executor_plugin_llmagent.checks.contents.sentence import energies, mentions, units, windows

FEW, MANY = 10, 100
LARGEST = 2e4
"""No transverse momentum at a collider is usually larger [GeV]."""
POSITION = frozenset({"mean", "mu", "mass", "peak", "position", "mpv", "m0", "x0", "mh", "mean1"})
_OTHER_UNIT = frozenset({"mev", "kev", "tev", "ev"})


def magnitudes(case: Case) -> Iterable[Found]:
    """Energies in tables have the magnitude that sentence and inputs give them."""
    for part, sheet in case.tables():
        columns = {
            name: values[np.isfinite(values) & (values != 0)]
            for name, values in flat(sheet).items()
            if values.dtype.kind == "f" and is_energy(name) and not set(pieces(name)) & _OTHER_UNIT
        }
        columns = {name: values for name, values in columns.items() if len(values) >= FEW}
        wrong = (
            list(_outside(case, part, columns))
            or list(_too_large(case, part, columns))
            or list(_too_small(case, part, columns))
        )
        yield from wrong
        if columns and not wrong:
            yield from _unlike_the_input(case, part, columns)


def _outside(case: Case, part: Part, columns: dict[str, np.ndarray[Any, Any]]) -> Iterator[Found]:
    """Columns that lie in a window of the sentence only if they are taken in another unit."""
    for name, (low, high) in windows(case.text).items():
        if name in columns and low > 0:
            values = columns[name]
            inside = {by: float(np.mean((values * by >= low) & (values * by <= high))) for by in (1.0, 1e-3, 1e3)}
            by, share = max(inside.items(), key=lambda each: each[1])
            if by != 1.0 and share > 0.5 and inside[1.0] < 0.01:
                yield Found(
                    check="output.magnitude",
                    warning=len(units(case.text)) > 1 or _carried_over(case, name, values),
                    message=f"{shown(name)} of {part.label} runs from {values.min():.5g} to {values.max():.5g}; the "
                    f"rule says {low:g} to {high:g}. It seems to be in {'MeV' if by < 1 else 'TeV'} where GeV is "
                    "meant: convert once, where it is read.",
                )


def _too_large(case: Case, part: Part, columns: dict[str, np.ndarray[Any, Any]]) -> Iterator[Found]:
    if units(case.text) != {"GeV"}:
        return
    large = [name for name, values in columns.items() if np.median(np.abs(values)) > LARGEST]
    if large:
        yield Found(
            check="output.magnitude",
            warning=not any(is_momentum(name) and not _carried_over(case, name, columns[name]) for name in large),
            message=f"The rule speaks of GeV, but {listed(large)} of {part.label} are typically "
            f"{float(np.median(np.abs(columns[large[0]]))):.4g}: that looks like MeV. Convert where it is read.",
        )


def _too_small(case: Case, part: Part, columns: dict[str, np.ndarray[Any, Any]]) -> Iterator[Found]:
    """Transverse momenta far below all that the rule speaks of."""
    said = [energy for energy in energies(case.text) if energy >= 1]
    if units(case.text) != {"GeV"} or not said:
        return
    for name, values in columns.items():
        size = np.abs(values)
        far = len(size) >= MANY and float(size.max()) < 0.1 * min(said)
        typical = 1000 * float(np.median(size))
        if (
            not far
            or not is_momentum(name)
            or not min(said) / 3 < typical < LARGEST
            or _carried_over(case, name, values)
        ):
            continue
        yield Found(
            check="output.magnitude",
            message=f"{shown(name)} of {part.label} is nowhere larger than {size.max():.3g}, but the rule speaks of "
            f"{min(said):g} GeV: it seems to be in TeV. Convert once, where it is read, and only what is not in GeV "
            "yet.",
        )


def _carried_over(case: Case, name: str, values: np.ndarray[Any, Any]) -> bool:
    """Whether the input has a column of this name, in the same unit."""
    before = sources.column(case, name)
    return before is not None and 0.1 < float(np.median(np.abs(values))) / (_typical(before) or np.inf) < 10


def _typical(values: np.ndarray[Any, Any]) -> float:
    """The median of what is neither missing nor 0; 0 if that is not enough to tell."""
    kept = np.abs(values[np.isfinite(values) & (values != 0)])
    return float(np.median(kept)) if len(kept) >= FEW else 0.0


def _unlike_the_input(case: Case, part: Part, columns: dict[str, np.ndarray[Any, Any]]) -> Iterator[Found]:
    ratios: dict[str, float] = {}
    for name, values in columns.items():
        before = sources.column(case, name)
        if before is not None and (typical := _typical(before)):
            ratios[name] = float(np.median(np.abs(values))) / typical
    moved = [name for name, ratio in ratios.items() if 300 < ratio < 3000 or 300 < 1 / ratio < 3000]
    kept = [name for name, ratio in ratios.items() if 0.1 < ratio < 10]
    asked = bool(units(case.text)) or mentions(case.text, r"\bunits?\b|convert|divid")
    if moved and kept:
        yield Found(
            check="output.magnitude",
            warning=True,
            message=f"In {part.label} {listed(moved)} changed by a factor of 1000 against the input, {listed(kept)} "
            "did not. Are energies in two units mixed?",
        )
    elif moved and not asked:
        yield Found(
            check="output.magnitude",
            warning=True,
            message=f"{listed(moved)} of {part.label} changed by a factor of 1000 against the column of the same name "
            "in the input, which the rule does not ask for.",
        )


def units_of_results(case: Case) -> Iterable[Found]:
    """Fitted positions and masses in documents are in GeV where nothing else is said."""
    said = energies(case.text)
    mixed = bool(units(case.text) - {"GeV"})
    for place, name, value, fitted in _positions(case):
        if said and 3 * max(said) < abs(value) and min(said) / 3 <= abs(value) / 1000 <= 3 * max(said):
            yield Found(
                check="json.units",
                warning=mixed,
                message=f"{place.label(name)} is {value:.6g}, but the rule speaks of {min(said):g} to {max(said):g} "
                "GeV: it seems to be in MeV. Energies in results are in GeV, unless the key ends in another unit.",
            )
        elif not said and fitted and (column := _near(case, value)):
            yield Found(
                check="json.units",
                warning=True,
                message=f"{place.label(name)} is {value:.6g}, a thousand times as large as the values of "
                f"{shown(column)} in the input. Energies in results are in GeV, unless the key ends in another unit.",
            )


def _positions(case: Case) -> Iterator[tuple[Place, str, float, bool]]:
    """Masses and positions of peaks: where, what they are called, their value, and whether a fit found it."""
    for fit in fits(case):
        for one in fit.parameters:
            words = pieces(one.name)
            named = bool(set(words) & POSITION) or is_mass(one.name)
            if named and one.value is not None and not set(words) & _OTHER_UNIT:
                yield fit.place, f"parameters.{one.name}", one.value, True
    for place in places(case):
        for key, value in place.found.items():
            found = number(value.get("value") if isinstance(value, dict) else value)
            if found is not None and is_mass(str(key)) and not set(pieces(str(key))) & _OTHER_UNIT:
                yield place, str(key), found, False


def _near(case: Case, value: float) -> str | None:
    """A mass in the inputs among whose values this one would be if it were divided by 1000."""
    for name in sorted(filter(is_mass, sources.names(case))):
        column = sources.column(case, name)
        if column is not None:
            finite = column[np.isfinite(column)]
            if len(finite) >= FEW and finite.min() <= value / 1000 <= finite.max() < value / 30:
                return name
    return None
