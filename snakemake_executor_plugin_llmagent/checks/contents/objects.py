"""Objects in tables that are not what the sentence says of them: their order, what is missing, what was cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.names import (
    continuous,
    flat,
    is_energy,
    is_mass,
    is_momentum,
    listed,
    pieces,
    shown,
)
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions
from snakemake_executor_plugin_llmagent.data.contents import Sheet

FEW = 100
_FALLING = r"(falling|descending|decreasing|order of|ordered (in|by)|sorted (in|by)) (\w+ ){0,3}p_?T\b"
_HIGHEST = r"(highest|largest|two leading) (\w+ ){0,3}p_?T\b"
_SELECTED = r"select|require|keep|kept|reject|remov|veto|exclud|\bcut|take (events|only)"
_NAN = (
    r"\b(is|as|are|be|with|to|by|of|holds?|becomes?|are set to|filled with) NaN\b|\bNaN (where|if|for|when|without)\b"
)
_ZERO = (
    r"\b(0|zero|-1|-99+) (without|with|if|where|for|when|instead)\b"
    r"|(missing|absent)[^.;]{0,40}\b(0|zero|-1|-99+)\b"
)
_CRACK = re.compile(
    r"(?:not|neither|no|nor|outside|exclud\w*|without|veto\w*|except|remov\w*)\b[^.;:]{0,80}?"
    r"(1\.3\d*|1\.4\d*)\s*(?:<=?|≤|to|-|–|and|,)[^.;:0-9]{0,25}(1\.5\d*)",
    re.IGNORECASE,
)
_FLAGS = frozenset({"is", "pass", "passes", "good", "tight", "flag", "selected", "category"})
Numbers = np.ndarray[Any, Any]


def objects_as_told(case: Case) -> Iterable[Found]:
    """Numbered objects fall in pT, are not twice the same, are missing as it is said, and not where they were cut."""
    for part, sheet in case.tables():
        if sheet.entries < FEW:
            continue
        columns = {name: values for name, values in flat(sheet).items() if values.dtype.kind == "f"}
        yield from _numbered(case, part, columns)
        yield from _missing(case, part, columns)
        yield from _in_the_crack(case, part, sheet, columns)
        yield from _masses(case, part, columns)


def _pairs(columns: Mapping[str, Numbers]) -> Iterator[tuple[str, str]]:
    """Columns whose names differ in a 1 and a 2 alone."""
    for name in columns:
        for match in re.finditer(r"(?<!\d)1(?!\d)", name):
            other = f"{name[: match.start()]}2{name[match.end() :]}"
            if other in columns:
                yield name, other


def _numbered(case: Case, part: Part, columns: Mapping[str, Numbers]) -> Iterator[Found]:
    falling = mentions(case.text, _FALLING)
    ordered = falling or mentions(case.text, _HIGHEST)
    for first, second in _pairs(columns):
        one, two = columns[first].astype(np.float64), columns[second].astype(np.float64)
        both = np.isfinite(one) & np.isfinite(two) & (two != 0)
        if np.count_nonzero(both) < FEW:
            continue
        if np.array_equal(one[both], two[both]) and continuous(one[both]):
            yield Found(
                check="objects.same",
                message=f"{shown(first)} and {shown(second)} of {part.label} are the same in all rows: the first "
                "object is there twice.",
            )
        elif ordered and "pt" in pieces(first) and is_momentum(first):
            wrong = float(np.mean(one[both] < two[both]))
            if wrong > 0.001:
                yield Found(
                    check="objects.order",
                    warning=wrong < 0.05 or not falling,
                    message=f"{shown(first)} of {part.label} is smaller than {shown(second)} in {wrong:.1%} of the "
                    "rows, but objects are numbered by falling pT. Sort them, and all their quantities with them.",
                )


def _missing(case: Case, part: Part, columns: Mapping[str, Numbers]) -> Iterator[Found]:
    said = re.search(rf"[^.;\n]*(?:{_NAN})[^.;\n]*", case.text)
    if said is None or mentions(said[0], r"\binputs?\b") or mentions(case.text, _ZERO):
        return
    if any(np.isnan(values).any() for values in columns.values()):
        return
    filled = {
        name: values[0]
        for name, found in columns.items()
        if is_energy(name)
        and len(values := found[found <= 0]) >= max(10, len(found) // 100)
        and not np.any(values != values[0])
    }
    if filled:
        value = next(iter(filled.values()))
        yield Found(
            check="output.missing_as_number",
            message=f"{listed(list(filled))} of {part.label} are {float(value):g} in many rows, and nothing is NaN. "
            "What an event does not have is NaN, says the rule.",
        )


def _in_the_crack(case: Case, part: Part, sheet: Sheet, columns: Mapping[str, Numbers]) -> Iterator[Found]:
    match = _CRACK.search(case.text)
    if match is None or any(set(pieces(name)) & _FLAGS for name in sheet.columns):
        return
    low, high = float(match[1]), float(match[2])
    for name, values in columns.items():
        words = [word for word in pieces(name) if not word.isdigit()]
        if words[-1:] != ["eta"] or set(words) & {
            "delta",
            "d",
            "jet",
            "j",
            "track",
            "mu",
            "muon",
            "lep",
            "lepton",
            "l",
        }:
            continue
        size = np.abs(values[np.isfinite(values)])
        share = float(np.mean((size > low) & (size < high))) if len(size) >= FEW else 0.0
        if share > 0.005:
            yield Found(
                check="cut.not_applied",
                warning=not mentions(case.text, _SELECTED),
                message=f"{share:.1%} of {shown(name)} of {part.label} lie in {low:g} < |eta| < {high:g}, which the "
                "rule excludes. Is `or` written for `and`?",
            )


# --- masses ---------------------------------------------------------------------------------------------------------


def _masses(case: Case, part: Part, columns: Mapping[str, Numbers]) -> Iterator[Found]:
    """The mass of a pair of massless objects follows from their momenta beside it."""
    masses = [
        name for name in columns if is_mass(name) and set(pieces(name)) & {"yy", "gg", "ll", "ee", "myy", "mgg", "mll"}
    ]
    first = {word: name for name, _ in _pairs(columns) for word in ("pt", "eta", "phi") if word in pieces(name)}
    if len(masses) != 1 or len(first) != 3 or len([name for name, _ in _pairs(columns) if "pt" in pieces(name)]) != 1:
        return
    second = {word: dict(_pairs(columns))[name] for word, name in first.items()}
    pt, eta, phi = (columns[first[word]].astype(np.float64) for word in ("pt", "eta", "phi"))
    pt2, eta2, phi2 = (columns[second[word]].astype(np.float64) for word in ("pt", "eta", "phi"))
    right = np.sqrt(np.maximum(0.0, 2 * pt * pt2 * (np.cosh(eta - eta2) - np.cos(phi - phi2))))
    mass = columns[masses[0]].astype(np.float64)
    good = np.isfinite(right) & np.isfinite(mass) & (right > 0)
    ratios = mass[good] / right[good]
    # A factor is a unit, which is looked at elsewhere.
    ratios = ratios / np.median(ratios) if len(ratios) and not 0.5 < float(np.median(ratios)) < 2 else ratios
    wrong = float(np.mean(np.abs(ratios - 1) > 0.05)) if len(ratios) >= FEW else 0.0
    if wrong > 0.05:
        yield Found(
            check="objects.mass",
            warning=not mentions(case.text, r"massless"),
            message=f"{shown(masses[0])} of {part.label} is not the mass of the two objects beside it in {wrong:.1%} "
            "of the rows: m^2 = 2 pt1 pt2 (cosh(eta1 - eta2) - cos(phi1 - phi2)) for massless ones. Look at the "
            "formula, and whether all columns belong to the same objects.",
        )
