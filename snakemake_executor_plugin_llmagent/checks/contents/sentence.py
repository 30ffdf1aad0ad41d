"""What can be read out of the sentence of a rule without understanding it: units, windows, keys of documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_GEV = {"kev": 1e-6, "mev": 1e-3, "gev": 1.0, "tev": 1e3}
_NUMBER = r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?"
_UNIT = re.compile(r"(?<![A-Za-z])([kMGT]eV)(?![A-Za-z])")
_BETWEEN = r"(?:to|and|-|–|—|\.\.+|,\s|(?:<|<=|≤)[^<≤\n]{1,30}(?:<|<=|≤))"
_WITH_UNIT = re.compile(
    rf"(?:\[\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\]|(?:({_NUMBER})\s*{_BETWEEN}\s*)?({_NUMBER}))\s*([kMGT]eV)\b",
    re.IGNORECASE,
)
_WINDOW = re.compile(
    rf"({_NUMBER})\s*(?:[kMGT]eV)?\s*(?:<|<=|≤)\s*`?([A-Za-z_]\w*)`?\s*(?:<|<=|≤)\s*({_NUMBER})", re.IGNORECASE
)
_UNWEIGHTED = re.compile(
    r"unweight|(unit|equal|same|constant|no) weights?\b"
    r"|weights? (of|is|are|=|==|set to|to|all|equal to) (all )?(1|one|unity)\b"
    r"|(ignor\w*|without|drop\w*|not|leave out) (\w+ ){0,3}weight|reset\w* (\w+ ){0,3}weight",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r".*[<>{}*].*|\.\.\.|…|[A-Z][A-Z_]*\d*")
"""A key that stands for others, such as `<sample>` or `NAME`."""
_BARE = re.compile(
    r"\b(?:list of|each|with|keys|json(?: \w+)?|objects?|holding)[:,]?\s*\{(\s*[a-z_]\w*(?:\s*,\s*[a-z_]\w*)+\s*)\}"
)
"""Keys in braces without quotes: `a list of {low, high, events}`."""
_BY_MEANS = re.compile(
    r"(?:\b(?:by|from|using|per|in|as|than|via|for|like|named|called)|\w+(?:ed|es|en|de) with)\s*(?:the |each )?$"
)
"""What stands before a name that is no key: `computed with`."""
_BULLET = re.compile(r"\s*(?:[-*•]|\d+[.)])\s+")


def mentions(text: str, pattern: str) -> bool:
    """Whether a text says something, in any case of letters."""
    return re.search(pattern, text, re.IGNORECASE) is not None


def unweighted(text: str) -> bool:
    """Whether the sentence wants weights left out, or all the same."""
    return _UNWEIGHTED.search(text) is not None


def units(text: str) -> frozenset[str]:
    """The units of energy that a text names, such as `GeV`."""
    return frozenset(_UNIT.findall(text))


def _number(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return float("nan")


def energies(text: str) -> list[float]:
    """The energies that a text gives with their unit [GeV]."""
    found = [
        _number(number) * _GEV[match[5].lower()]
        for match in _WITH_UNIT.finditer(text)
        for number in match.groups()[:4]
        if number
    ]
    return [energy for energy in found if energy > 0]


def windows(text: str) -> dict[str, tuple[float, float]]:
    """The widest range that a text gives for each name, as in `105 < m_yy < 160`, in whatever unit."""
    found: dict[str, tuple[float, float]] = {}
    for match in _WINDOW.finditer(text):
        low, high = _number(match[1]), _number(match[3])
        if low < high:
            before = found.get(match[2], (low, high))
            found[match[2]] = (min(low, before[0]), max(high, before[1]))
    return found


def blocks(text: str) -> Iterator[str]:
    """The points of lists and the paragraphs of a text."""
    block: list[str] = []
    for line in text.splitlines():
        if block and (not line.strip() or _BULLET.match(line)):
            yield "\n".join(block)
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield "\n".join(block)


def starts_with(block: str, names: set[str]) -> bool:
    """Whether a point of a list is about something that goes by one of these names."""
    said = _BULLET.sub("", block, count=1) if _BULLET.match(block) else block.lstrip()
    match = re.match(r"`(?:snakemake\.)?(?:output\.)?([^`\s]+)`|(\w+)\s*:", said)
    return match is not None and (match[1] or match[2]) in names


@dataclass(frozen=True)
class Braces:
    """A piece of JSON in a sentence, such as `[{"cut", "events"}]`.

    Attributes:
        keys: what stands where JSON has its keys.
        example: whether it is only an example, or optional.
    """

    keys: tuple[str, ...]
    example: bool


def braces(block: str) -> Iterator[Braces]:
    """The pieces of JSON in a text."""
    place = 0
    while (start := block.find('{"', place)) >= 0:
        keys, place = _keys(block, start)
        told = tuple(key for key in keys if not _PLACEHOLDER.fullmatch(key))
        yield Braces(keys=told, example=_is_example(block, start))
    for match in _BARE.finditer(block):
        yield Braces(keys=tuple(re.findall(r"\w+", match[1])), example=_is_example(block, match.start()))


def _is_example(block: str, start: int) -> bool:
    before = block[max(0, start - 40) : start]
    return mentions(before, r"such as|for example|e\.\s?g\.|for instance|like|may |option")


def _keys(block: str, start: int) -> tuple[tuple[str, ...], int]:
    """The keys in the braces that begin here, and where these end."""
    keys: list[str] = []
    open_ones: list[str] = []
    place, after_colon = start, False
    while place < len(block):
        mark = block[place]
        if mark in "{[":
            open_ones.append(mark)
            after_colon = False
        elif mark in "}]":
            if open_ones:
                open_ones.pop()
            after_colon = False
            if not open_ones:
                return tuple(keys), place + 1
        elif mark == ",":
            after_colon = False
        elif mark == ":":
            after_colon = True
        elif mark == '"':
            end = block.find('"', place + 1)
            if end < 0:
                break
            if open_ones[-1] == "{" and not after_colon:
                keys.append(block[place + 1 : end])
            place = end
        place += 1
    return tuple(keys), max(place, start + 1)


def named_keys(block: str) -> list[str]:
    """The names in backticks that a text lists as keys: `a JSON file with `auc` (area), `n_signal``."""
    match = re.search(
        r"\bjson\b[^.;`{]*?(?:\b(?:with|holds|holding|contains|containing|keys?)\b|:(?=\s*`))", block, re.IGNORECASE
    )
    if match is None:
        return []
    said = re.split(r"\.\s|;|\n\s*\n", re.sub(r"\([^()]*\)", " ", block[match.end() :]), maxsplit=1)[0]
    named = [
        match[1] for match in re.finditer(r"`([A-Za-z_]\w*)`", said) if not _BY_MEANS.search(said[: match.start()])
    ]
    # Without backticks names can be told from words if they are joined by underscores.
    listed = re.match(r"\s*(?:the )?(?:keys? )?(\w+(?:(?:, (?:and )?| and )\w+)+)", said)
    plain = re.findall(r"\w+", listed[1]) if listed is not None else []
    return named or [name for name in plain if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name)]
