"""Numbers of objects that disagree with the objects that are there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.case import Case, Found, Part
from snakemake_executor_plugin_llmagent.checks.contents.kinds import KINDS, kind_of, slot_of
from snakemake_executor_plugin_llmagent.checks.contents.names import flat, pieces, shown
from snakemake_executor_plugin_llmagent.checks.contents.sentence import mentions

FEW = 100
SHARE = 1e-3
"""Less than this share of the rows may disagree."""
_QUANTITIES = frozenset({"pt", "eta", "phi"})
_QUALITIES = r"\b(good|selected|tight|isolated|medium|baseline|signal|passing|identified)\b"
_OTHERS = r"\b(all|total|raw|before|any|every|without|reconstructed|additional|other|extra|than)\b"


def counts_agree(case: Case) -> Iterable[Found]:
    """Where `n_photons` is 2 or more there is a second photon, and where it is less there is none."""
    for part, sheet in case.tables():
        if sheet.entries >= FEW:
            columns = flat(sheet)
            for name, kind in _counts(columns):
                yield from _against(case, part, columns, name, kind)


def _counts(columns: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Columns that are called as numbers of objects of a kind, if there is one of the kind alone."""
    found: dict[str, list[str]] = {}
    for name, values in columns.items():
        words = pieces(name)
        kind = kind_of(words[1]) if len(words) == 2 and words[0] in ("n", "num", "nr") else None
        if kind is not None and values.dtype.kind in "iuf":
            found.setdefault(kind, []).append(name)
    for kind, names in found.items():
        if len(names) == 1:
            yield names[0], kind


def _against(case: Case, part: Part, columns: Mapping[str, Any], name: str, kind: str) -> Iterator[Found]:
    count = columns[name].astype(np.float64)
    numbered = {place: column for column, place in _numbered(columns, kind)}
    for place, column in sorted(numbered.items(), reverse=True):
        there = np.isfinite(columns[column])
        if there.all() or not there.any():
            continue
        lost, more = (count >= place) & ~there, (count < place) & there
        wrong = lost if np.count_nonzero(lost) >= np.count_nonzero(more) else more
        if float(np.mean(wrong)) > SHARE:
            what = (
                f"is {place} or more in {np.mean(wrong):.1%} of the rows where {shown(column)} is NaN"
                if wrong is lost
                else f"is less than {place} in {np.mean(wrong):.1%} of the rows where {shown(column)} is there"
            )
            yield Found(
                check="objects.count",
                warning=not _same_objects(case.text, name, kind),
                message=f"{shown(name)} of {part.label} {what}: the number and the objects disagree. Count the objects "
                "that are numbered, after the same cuts.",
            )
            return


def _numbered(columns: Mapping[str, Any], kind: str) -> Iterator[tuple[str, int]]:
    """The columns of the first, second, ... object of a kind that may be missing."""
    found = [
        (name, slot.place)
        for name, values in columns.items()
        if values.dtype.kind == "f" and (slot := slot_of(name, _QUANTITIES)) and slot.kind == kind
        if slot.place is not None
    ]
    first = min((place for _, place in found), default=1)
    for name, place in found:
        yield name, place + 1 if first == 0 else place


def _same_objects(text: str, name: str, kind: str) -> bool:
    """Whether a sentence says that it counts the objects that it numbers: the good ones."""
    match = re.search(rf"\b{re.escape(name)}\b`?([^\n,;.(]*(?:\([^()\n]*\))?[^\n,;.(]*)", text)
    said = match[1] if match is not None else ""
    if mentions(said, _OTHERS):
        return False
    quality = re.search(_QUALITIES, said, re.IGNORECASE)
    words = "|".join(sorted(KINDS[kind]))
    return quality is not None and mentions(
        text, rf"\*?{quality[1]}\*? (?:{words})\b|\b(?:{words}) (?:is|are) \*?{quality[1]}\b"
    )
