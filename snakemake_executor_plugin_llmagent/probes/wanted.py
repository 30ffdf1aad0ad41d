"""Which columns and params a sentence asks to be used: those it names, or describes with their words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")
_TAG = re.compile(r"[a-z]{1,6}\d")
"""The first word of columns of one object among several: `ph1`, `jet2`."""
_LEAST = 3
"""Shorter words say nothing."""
_BEFORE = r"\b(?:not|never|no|without|ignor\w+|drop\w*|exclud\w+|except|instead of|rather than)\W+(?:\w+\W+){0,3}"
_AFTER = r"\W+(?:\w+\W+){0,3}(?:not|never|ignored|unused|dropped|excluded|reference)\b"


def asked_for(name: str, text: str) -> bool:
    """Whether a sentence asks for a column or param of this name to be used, as far as words can tell."""
    whole = rf"(?<!\w){re.escape(name)}(?!\w)"
    if re.search(whole, text):
        return not _declined(whole, text)
    words = words_of(name)
    if len(words) > 1 and _TAG.fullmatch(words[0]):
        words = words[1:]
    words = [word for word in words if len(word) >= _LEAST]
    said = {word.lower() for word in re.findall(r"\w+", text)}
    if not words or not all(word in said for word in words):
        return False
    return not _declined(rf"(?<!\w){re.escape(words[-1])}(?!\w)", text)


def words_of(name: str) -> list[str]:
    """The words of a name in lower case: `photon`, `is`, `tight`, `id` of `photon_isTightID`."""
    return [word.lower() for word in _WORD.findall(name)]


def _declined(name: str, text: str) -> bool:
    """Whether each time that it is named, a word beside it says that it is not to be used."""
    found = list(re.finditer(name, text, re.IGNORECASE))
    return all(
        re.search(_BEFORE + r"\Z", text[: one.start()], re.IGNORECASE)
        or re.match(_AFTER, text[one.end() :], re.IGNORECASE)
        for one in found
    )


def columns(found: Iterable[str], names: Sequence[str], patterns: Sequence[str], text: str) -> list[str]:
    """The columns that a script names and its sentence asks for, those first that the script names first.

    Args:
        found: columns of inputs.
        names: texts of the script that may name columns, in order.
        patterns: of texts that it puts together; what they name comes first.
        text: the sentence.
    """
    place = {name: number for number, name in enumerate(names)}
    made = [re.compile(pattern) for pattern in patterns]
    wanted = [name for name in dict.fromkeys(found) if name in place or any(one.fullmatch(name) for one in made)]
    wanted.sort(key=lambda name: place.get(name, -1))
    return [name for name in wanted if asked_for(name, text)]
