"""Thresholds and windows of a sentence: `jets with pT > 25 GeV`, `pt1 above params.min_pt[0]`, `105 < m_yy < 160`.

Only what leaves no doubt is read. A statement that counts, draws, vetoes, or speaks of alternatives selects nothing for
sure, and is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from snakemake_executor_plugin_llmagent.checks.contents.kinds import KINDS, PLACES, noun_of
from snakemake_executor_plugin_llmagent.checks.contents.quantities import NUMBER, UNIT, in_gev, value
from snakemake_executor_plugin_llmagent.checks.contents.sentence import blocks, mentions

_ENDS = re.compile(r"(?<=[.;])\s+|\|")
_NOTHING_SELECTED = (
    r"\b(number of|count\w*|how many|fraction|share|efficienc\w+|flag\w*|bool\w*|whether|label\w*|regions?|categor\w+"
    r"|plot\w*|draw\w*|histogram\w*|bins?|binned|fit|fits|fitted|fitting|train\w*|learn\w*|side-?bands?|blind\w*"
    r"|sums?|integra\w+|significance|expected|observed|trigger\w*|skim\w*|pre-?select\w*|already|for example"
    r"|e\.g|or|not|no|neither|nor|outside|except|unless|veto\w*|reject\w*|remov\w*|drop\w*|discard\w*|exclud\w*"
    r"|without|if any|(?:is|pass|passes|has)_\w+|standardi[sz]\w*|inputs? (has|have|holds?|is|are)|were|was|generated"
    r"|truth|otherwise|pre-?scal\w*|weights?|weighted|reweight\w*|scales?|factors?|correct\w*|smear\w*|called"
    r"|multipl\w+|HT|scalar|made of|adds? up|defin\w+|tagg?\w*|overlap\w*)\b"
)
_SELECTING = (
    r"\b(select\w*|require\w*|keep|take|cuts?|must|(?:is|are) \*?good\b|good (?:if|ones|\w+s?)|numbered|sorted"
    r"|ordered|(?:first|leading) (?:two|three|four|five|six|\d+)|only)\b"
)
_ABOVE = r"(?:>=?|≥|above|(?:of )?at least|greater than|larger than|more than|exceeding|exceeds|over)"
_BEFORE_BOUND = r"\s*(?:\[\w+\]\s*)?(?:is |are |be |must be |has to be |have to be |should be |lies |lie )?\s*"
_ENERGY = rf"(?P<low>{NUMBER})(?:\s*[\[(]?(?P<unit>{UNIT})[\])]?)?"
_ENDED = r"(?=\s*(?:$|[,.;:)\]|]|(?:and|both|each|are|is|for|in|as)\b|\())"
_WORDS = r"(?:[\w-]+ ){0,4}?"
_PT = re.compile(
    r"(?P<before>(?:[\w-]+ ){0,2})(?<![\w/*+^`-])(?:p_?T|p_\{T\}|\bpt|transverse moment(?:um|a))(?![\w/_])"
    rf"(?P<of> of (?:the |each |every |all |both )*{_WORDS}(?:one|ones|[a-z]+s?))?"
    rf"{_BEFORE_BOUND}{_ABOVE}\s*{_ENERGY}{_ENDED}"
)
_NEXT = re.compile(
    rf"\s*,?\s*(?:and|,) (?:that )?(?P<of>of (?:the )?{_WORDS}(?:one|ones|[a-z]+s?))\s*{_ABOVE}\s*{_ENERGY}{_ENDED}"
)
_SECOND = re.compile(rf"\s*(?:,|and|/|\()\s*(?P<low>{NUMBER})(?:\s*(?P<unit>{UNIT}))?(?!\s*[<≤\w])")
_ANY = frozenset(
    {"the", "a", "an", "each", "every", "all", "both", "two", "three", "four", "any", "good", "tight", "selected",
     "isolated", "first", "one", "ones", "of", "other", "and", "these", "such", "those", "take", "select", "require",
     "keep", "are", "with"} | PLACES.keys()
)  # fmt: skip
"""Words before a noun that do not make a smaller class of it."""
_NUMBERS = {"a": 1, "an": 1, "one": 1, "any": 1, "two": 2, "three": 3, "four": 4}
_BESIDE = frozenset({"with", "of", "have", "has", "having", "that", "is", "are"})
"""Words between objects and their pT."""
_BEFORE = frozenset(
    {"its", "their", "whose", "and", "if", "require", "requires", "where", "a", "the", "minimum", "cuts", "cut"}
    | PLACES.keys()
)  # fmt: skip
"""Words before `pT` that leave it to what was named before whose it is."""


@dataclass(frozen=True, kw_only=True)
class Whose:
    """Kind and place of objects, and how many of them, as of a `Threshold`."""

    kind: str | None = None
    place: int | None = None
    first: int | None = None


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A least transverse momentum of objects.

    Attributes:
        kind: of the objects; None where none is named.
        place: of the object by falling pT; None for all.
        first: how many objects, from the first one on, have to pass it; None for all.
        low: the least value [GeV].
        said: the words of the sentence.
        certain: whether there is a unit with it.
    """

    kind: str | None
    place: int | None
    first: int | None
    low: float
    said: str
    certain: bool


@dataclass(frozen=True, kw_only=True)
class Window:
    """What values of a column are to lie in, ends included; None for an end that is open."""

    column: str
    low: float | None
    high: float | None
    said: str


def statements(text: str) -> Iterator[str]:
    """The pieces of a text that each say one thing, if it selects something for sure."""
    for block in blocks(text):
        for statement in _ENDS.split(re.sub(r"\s+", " ", block)):
            if mentions(statement, _SELECTING) and not mentions(statement, _NOTHING_SELECTED):
                yield statement


def thresholds(text: str, params: Mapping[str, Any], columns: frozenset[str]) -> Iterator[Threshold]:
    """The least transverse momenta that a text asks for; not those by which it explains one of these columns."""
    for statement in statements(text):
        for match in _PT.finditer(statement):
            whose = _whose(statement, match)
            if whose is None or _explains(statement, match, columns):
                continue
            yield from _threshold(statement, match, whose, params)
            after = _NEXT.match(statement, match.end())
            while after is not None:
                also = _named(after["of"])
                if also is not None:
                    yield from _threshold(statement, after, replace(also, kind=also.kind or whose.kind), params)
                after = _NEXT.match(statement, after.end())


def _explains(statement: str, match: re.Match[str], columns: frozenset[str]) -> bool:
    """Whether a condition says what a column holds, as in `is boosted` (pT > 200 GeV)."""
    found = re.search(r"`(\w+)`\s*[(:=][^`]*$", statement[: match.start()])
    return found is not None and found[1] in columns


def _threshold(statement: str, match: re.Match[str], whose: Whose, params: Mapping[str, Any]) -> Iterator[Threshold]:
    low = value(match["low"], params)
    if low is None:
        return
    second = _SECOND.match(statement, match.end())
    more = value(second["low"], params) if second is not None else None
    unit = match["unit"] or (second["unit"] if second is not None else None) or _unit_behind(statement, match.end())
    # `pT > 40 and 30 GeV`: of two objects, of which any has to pass the lower one.
    least = in_gev(low if more is None else min(low, more), unit)
    if unit is None and not 1 <= least <= 500:
        return
    yield Threshold(
        kind=whose.kind, place=None if more is not None else whose.place, first=whose.first, low=least,
        said=re.sub(r"^(and|,) ", "", match[0].strip()), certain=unit is not None,
    )  # fmt: skip


def _unit_behind(statement: str, at: int) -> str | None:
    """A unit in brackets further on, as in `(both in GeV)`."""
    found = re.search(rf"\((?:both |all |each )?(?:in )?({UNIT})\)", statement[at:])
    return found[1] if found is not None else None


def _whose(statement: str, match: re.Match[str]) -> Whose | None:
    """Kind and place of the objects of a pT; None if they are not among those that are known."""
    if match["of"]:
        return _named(match["of"])
    before = statement[: match.end("before")].rstrip()
    words = re.findall(r"[\w-]+", before)
    if before[-1:] in ("", ":", ",", "(", "*"):
        return _subject(words)
    last = words[-1].lower()
    if noun_of(last) is not None:
        return _named(" ".join(words[-2:]))
    if last in _BESIDE:
        return _counted(words[:-1]) if len(words) > 1 else Whose()
    if last in _BEFORE:
        found = _subject(words)
        return found if found is None or last not in PLACES else Whose(kind=found.kind, place=PLACES[last])
    return None


def _subject(words: list[str]) -> Whose | None:
    """The object that was named last; what is named nowhere may be any."""
    for at in range(len(words) - 1, -1, -1):
        if noun_of(words[at]) is not None:
            return _named(" ".join(words[max(0, at - 1) : at + 1]))
        if any(words[at].lower().endswith((kind, f"{kind}s")) for kind in KINDS):
            return None  # a smaller class of objects: b-jets, a diphoton
    return Whose()


def _counted(words: list[str]) -> Whose | None:
    """The objects at the end of some words, of which so many have to pass: `a jet`, `at least two photons`."""
    found, before = _named(" ".join(words[-2:])), words[-2].lower() if len(words) > 1 else ""
    return found if found is None or before not in _NUMBERS else replace(found, first=_NUMBERS[before])


def _named(words: str) -> Whose | None:
    """Kind and place that a few words name, such as `of the subleading photon`; None if they name something else."""
    found = re.findall(r"[\w-]+", words)
    kind = noun_of(found[-1])
    if kind is None and found[-1].lower() not in ("one", "ones", "each", "both"):
        return None
    before = found[-2].lower() if len(found) > 1 else "the"
    if before not in _ANY:
        return None
    place = PLACES.get(before)
    return Whose(kind=kind, place=place)


# --- columns ---------------------------------------------------------------------------------------------------------

_NAME = r"(?<![\w.|/*+^-])`?(?P<column>[A-Za-z_]\w*)`?(?![\w.(/*|^])"
_INSIDE = re.compile(
    rf"(?<![\w.])(?P<low>{NUMBER})\s*(?P<low_unit>{UNIT})?\s*(?:<=?|≤)\s*{_NAME}\s*(?:<=?|≤)\s*(?P<high>{NUMBER})"
    rf"\s*[\[(]?(?P<unit>{UNIT})?"
)
_BETWEEN = re.compile(
    rf"{_NAME}{_BEFORE_BOUND}(?:between|from|within|in)\s+[\[(]?(?P<low>{NUMBER})\s*(?P<low_unit>{UNIT})?\s*"
    rf"(?:and|to|-|–|—|,)\s*(?P<high>{NUMBER})\]?\s*[\[(]?(?P<unit>{UNIT})?{_ENDED}"
)
_LEAST = re.compile(rf"{_NAME}{_BEFORE_BOUND}{_ABOVE}\s*{_ENERGY}{_ENDED}")


def windows_of_columns(text: str, params: Mapping[str, Any], columns: frozenset[str]) -> Iterator[Window]:
    """What a text says of columns by their names; of one that it says several things of, what all of them allow."""
    found: dict[str, list[Window]] = {}
    for statement in statements(text):
        for form in (_INSIDE, _BETWEEN, _LEAST):
            for match in form.finditer(statement):
                if match["column"] in columns and not _explains(statement, match, columns):
                    window = _window(match, params)
                    if window is not None:
                        found.setdefault(match["column"], []).append(window)
    for column, told in found.items():
        lows, highs = [one.low for one in told], [one.high for one in told]
        yield Window(
            column=column,
            low=None if None in lows else min(low for low in lows if low is not None),
            high=None if None in highs else max(high for high in highs if high is not None),
            said=told[0].said,
        )


def _window(match: re.Match[str], params: Mapping[str, Any]) -> Window | None:
    groups = match.groupdict()
    unit, low_unit = groups.get("unit"), groups.get("low_unit")
    low = value(groups["low"], params)
    high = value(groups["high"], params) if groups.get("high") else None
    if low is None or (groups.get("high") and (high is None or high <= low)):
        return None
    return Window(
        column=groups["column"], low=in_gev(low, low_unit or unit), said=match[0].strip(),
        high=None if high is None else in_gev(high, unit or low_unit),
    )  # fmt: skip
