"""Binnings of a sentence: `55 bins from 105 to 160`, `between 105 and 160 GeV in bins of 2.5 GeV`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.checks.contents.quantities import NUMBER, UNIT, in_gev, value

_APART = r"(?<![\w.,])"
_RANGE = (
    rf"[\[(]?{_APART}(?P<low>{NUMBER})\s*(?P<low_unit>{UNIT})?\s*(?:to|and|up to|-|–|—|\.\.+|,)\s*"
    rf"(?P<high>{NUMBER})(?:[\])]|\s*\[|\s*\()?\s*(?P<high_unit>{UNIT})?[\])]?"
)
_EQUAL = r"(?:(?:equal|equally|evenly|uniform|regular|equidistant|spaced|sized|linear|wide|fixed|width)[\s-]+)*"
_COUNT = rf"{_APART}(?P<count>{NUMBER})[\s-]+{_EQUAL}bins?\b(?! of \d)(?: histogram| axis)?"
_WIDTH = (
    rf"(?:{_APART}(?P<width>{NUMBER})[\s-]*(?P<width_unit>{UNIT})[\s-]+{_EQUAL}bins?\b"
    rf"|bins? (?:of|with) (?:a |the )?(?:width )?(?:of )?(?P<width2>{NUMBER})\s*(?P<width_unit2>{UNIT})?"
    rf"|(?:a )?bin[\s-]width of (?P<width3>{NUMBER})\s*(?P<width_unit3>{UNIT})?"
    rf"|bins? (?P<width4>{NUMBER})\s*(?P<width_unit4>{UNIT}) wide)(?:[\s-]wide\b)?"
)
_OF_WHAT = r"(?:\s+(?:of|in|for) `?\w+`?)?(?:\s*\[\w+\])?"
_FROM = r",?\s+(?:from|between|over|within|in|on|covering|spanning)\s+(?:the )?(?:range )?(?:of |from )?"
_INTO = r"(?:\s*[\[(]\w+[\])])?,?\s*(?:\s(?:in|with|using|into|and|by|divided into|split into)\s+|\s\(|\s)(?:a )?"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"{_COUNT}{_OF_WHAT}{_FROM}{_RANGE}",
        rf"{_WIDTH}{_OF_WHAT}{_FROM}{_RANGE}",
        rf"{_RANGE}{_INTO}{_COUNT}",
        rf"{_RANGE}{_INTO}{_WIDTH}",
    )
)
_OTHER = re.compile(
    rf"{_APART}{NUMBER}[\s-]*(?:{UNIT})?[\s-]+(?:\w+[\s-]+){{0,2}}?bins?\b|\bbins? (?:of|with) [^.;,]{{0,20}}?{NUMBER}"
    r"|\bbin[\s-]?widths?\b|\bbin edges (?:of|from|are)\b"
)
_NOT_EVEN = re.compile(
    r"re-?bin|merg|combin|variable|quantile|adaptive|\blog|populated|coarse|finer|split|divide|blind|without|exclud"
    r"|except|leav\w+[^.;]{0,40}\bout\b|omit|hid(?:e|den)\b|side-?band|outside|\bgap"
    r"|\binputs?\b[^.;:]{0,60}\bbin|histograms? (?:of|in|from) the input|input: hist",
    re.IGNORECASE,
)
"""Words of a sentence by which bins may become others, or belong to something else."""


@dataclass(frozen=True, kw_only=True)
class Binning:
    """Bins of equal width, in GeV where a unit is given.

    Attributes:
        low, high: the ends of the axis.
        bins: how many.
        said: the words of the sentence.
        in_gev: whether there is a unit.
    """

    low: float
    high: float
    bins: int
    said: str
    in_gev: bool = False

    @property
    def width(self) -> float:
        """Of each bin."""
        return (self.high - self.low) / self.bins

    @property
    def edges(self) -> np.ndarray[Any, Any]:
        """The ends of all bins, shape (bins + 1,)."""
        return np.linspace(self.low, self.high, self.bins + 1)


def binnings(text: str, params: Mapping[str, Any]) -> tuple[list[Binning], bool]:
    """The binnings that a text gives, and whether it speaks of no bins besides these.

    None where bins may be combined, left out or of unequal width.
    """
    text = re.sub(r"\s+", " ", text)
    found: list[Binning] = []
    if _NOT_EVEN.search(text):
        return found, False
    rest = text
    for form in _FORMS:
        for match in form.finditer(rest):
            binning = _binning(match, params)
            if binning is not None:
                found.append(binning)
                rest = rest[: match.start()] + " " * len(match[0]) + rest[match.end() :]
    return found, _OTHER.search(rest) is None


def _binning(match: re.Match[str], params: Mapping[str, Any]) -> Binning | None:
    """What the words say; None if they do not fit together."""
    groups = match.groupdict()
    low_unit = groups["low_unit"] or groups["high_unit"]
    low, high = value(groups["low"], params), value(groups["high"], params)
    if low is None or high is None:
        return None
    low, high = in_gev(low, low_unit), in_gev(high, groups["high_unit"] or low_unit)
    if groups.get("count"):
        bins = value(groups["count"], params)
    else:
        said, unit = next(_widths(groups))
        width = value(said, params)
        bins = None if not width else (high - low) / in_gev(width, unit or low_unit)
        if bins is not None and unit and not low_unit and unit.lower() != "gev":
            return None  # the range has the unit of the width, or that of the column
    if bins is None or not 1 <= bins <= 100_000 or abs(bins - round(bins)) > 1e-6 or not low < high:
        return None
    return Binning(low=low, high=high, bins=round(bins), said=match[0].strip(" ,"), in_gev=low_unit is not None)


def _widths(groups: Mapping[str, str | None]) -> Iterator[tuple[str, str | None]]:
    for at in ("", "2", "3", "4"):
        said = groups.get(f"width{at}")
        if said:
            yield said, groups.get(f"width_unit{at}")
