"""Kinds of objects, as sentences and names of columns call them: `photons`, `ph1_pt`, `n_photons`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.checks.contents.names import pieces

KINDS: Mapping[str, frozenset[str]] = {
    "photon": frozenset({"photon", "photons", "ph", "phot", "gamma", "gam", "y"}),
    "jet": frozenset({"jet", "jets", "j"}),
    "electron": frozenset({"electron", "electrons", "ele", "el", "e"}),
    "muon": frozenset({"muon", "muons", "mu"}),
    "lepton": frozenset({"lepton", "leptons", "lep", "l"}),
    "tau": frozenset({"tau", "taus"}),
    "track": frozenset({"track", "tracks", "trk"}),
}
"""Kind → the words for it."""
PLACES: Mapping[str, int] = {
    "leading": 1, "lead": 1, "first": 1, "hardest": 1,
    "subleading": 2, "sublead": 2, "second": 2, "subl": 2,
}  # fmt: skip
"""Word → which of the objects, the one with most pT being 1."""
_FREE = frozenset({"good", "sel", "selected", "tight"})


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A column with a quantity of one object of each event.

    Attributes:
        kind: of `KINDS`; None where the name does not say it, as in `pt1`.
        place: which of them by falling pT; None where the name does not say it.
        quantity: such as `pt`.
    """

    kind: str | None
    place: int | None
    quantity: str


def kind_of(word: str) -> str | None:
    """The kind of object that a word stands for."""
    lower = word.lower()
    return next((kind for kind, words in KINDS.items() if lower in words), None)


def noun_of(word: str) -> str | None:
    """The same for words of sentences, which are written out."""
    lower = word.lower()
    return next((kind for kind in KINDS if lower in (kind, f"{kind}s")), None)


def slot_of(name: str, quantities: frozenset[str]) -> Slot | None:
    """What a column of one of these quantities belongs to; None if its name says something else as well."""
    words = list(pieces(name))
    found = [word for word in words if word in quantities]
    if len(found) != 1:
        return None
    kinds: list[str] = []
    places: list[int] = []
    for word in words:
        kind = kind_of(word)
        if word in quantities or word in _FREE:
            continue
        if word.isdigit():
            places.append(int(word))
        elif word in PLACES:
            places.append(PLACES[word])
        elif kind is not None:
            kinds.append(kind)
        else:
            return None
    if len(kinds) > 1 or len(places) > 1:
        return None
    return Slot(kind=kinds[0] if kinds else None, place=places[0] if places else None, quantity=found[0])
