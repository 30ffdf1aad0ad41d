"""What names of columns and keys tell of what they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from snakemake_executor_plugin_llmagent.data.contents import Sheet
from snakemake_executor_plugin_llmagent.text import one_line

_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_WEIGHT = frozenset({"weight", "weights", "wgt", "wgts"})
_NO_WEIGHT = frozenset(
    {"sum", "sums", "sumw", "mean", "average", "n", "num", "squared", "index", "name", "over", "group"}
)
_EVENT = frozenset({"event", "eventnumber", "evt", "eventid", "evtnumber", "evtid", "eventno", "evtnum"})
_RUN = frozenset(
    {"run", "runnumber", "runid", "runno", "channelnumber", "dsid", "sample", "luminosityblock", "lumiblock"}
)
_MOMENTUM = frozenset({"pt", "et", "met", "ht", "mt"})
_ENERGY = _MOMENTUM | {"mass", "energy", "mjj", "myy", "mll", "mgg", "invmass"}
_NO_ENERGY = frozenset(
    {
        "over", "ratio", "rel", "relative", "frac", "fraction", "sig", "significance", "resolution", "log", "n", "num",
        "count", "phi", "eta", "id", "index", "charge", "type", "error", "cut", "pass", "bin", "weight", "scale", "sf",
        "corr", "rank", "name", "unit", "p", "z", "score", "window", "width", "squared", "cone", "is",
        "entries", "points", "events", "bins", "steps",
    }
)  # fmt: skip


@lru_cache(maxsize=4096)
def pieces(name: str) -> tuple[str, ...]:
    """The words of a name: `mcWeight` and `mc_weight` are both `mc`, `weight`."""
    return tuple(piece.lower() for piece in _PIECES.findall(name.rpartition("/")[2]))


def shown(name: str) -> str:
    """How a message shows a name that comes from a file."""
    return f"`{one_line(name, 80)}`"


def listed(names: list[str], limit: int = 5) -> str:
    """Some names in a message."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(shown, names[:limit])) + more


def is_weight(name: str) -> bool:
    """Whether a column is the weight of its entries."""
    words = set(pieces(name))
    return name == "w" or (bool(words & _WEIGHT) and not words & _NO_WEIGHT)


def is_event(name: str) -> bool:
    """Whether a column says which event it is."""
    return "".join(pieces(name)) in _EVENT


def is_run(name: str) -> bool:
    """Whether a column says where the numbers of events count from one again."""
    return "".join(pieces(name)) in _RUN


def is_momentum(name: str) -> bool:
    """Whether a column is a transverse momentum or energy."""
    words = set(pieces(name))
    return bool(words & _MOMENTUM) and not words & _NO_ENERGY


def is_mass(name: str) -> bool:
    """Whether a column is a mass: `mass`, `m_yy`, `mjj`, `Zmass`."""
    words = pieces(name)
    if set(words) & _NO_ENERGY:
        return False
    named = bool(set(words) & {"mass", "invmass", "mjj", "myy", "mll", "mgg"})
    return named or (len(words) > 1 and words[0] == "m" and name[:1] in "mM")


def is_energy(name: str) -> bool:
    """Whether a column is an energy, a momentum or a mass."""
    words = set(pieces(name))
    return (bool(words & _ENERGY) and not words & _NO_ENERGY) or is_mass(name)


def flat(sheet: Sheet) -> Mapping[str, np.ndarray[Any, Any]]:
    """The columns with one number per entry."""
    return {
        name: array.values
        for name, array in sheet.columns.items()
        if array.offsets is None and array.values.ndim == 1 and array.numeric
    }


def weights_of(sheet: Sheet) -> Mapping[str, np.ndarray[Any, Any]]:
    """The columns that are weights, in double precision."""
    return {
        name: values.astype(np.float64)
        for name, values in flat(sheet).items()
        if is_weight(name) and values.dtype.kind in "iuf"
    }


def varies(values: np.ndarray[Any, Any]) -> bool:
    """Whether not all finite values are the same."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return len(finite) > 1 and bool((finite != finite[0]).any())


def continuous(values: np.ndarray[Any, Any]) -> bool:
    """Whether there are so many values that they are no numbers of something, and no constants of some samples."""
    finite = values[np.isfinite(values)]
    return len(finite) > 20 and len(np.unique(finite)) > max(20, len(finite) // 10)
