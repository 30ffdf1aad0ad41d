"""Find numbers in the results of scripts that a language model wrote.

Names are taken tolerantly: "N_sig" is "nsig", wherever in nested dictionaries it stands.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

# Names in lower case, without underscores and the like; the first one that is found counts.
YIELD_NAMES = ("nsig", "nsignal", "signalyield", "yieldsignal", "sigyield", "yieldsig", "nsignalevents", "nhiggs", "ns")
STRENGTH_NAMES = ("mu", "signalstrength", "musig", "musignal", "strength")
VALID_NAMES = ("valid", "isvalid", "fitvalid", "converged", "success")
SIGNIFICANCE_NAMES = ("zobs", "observedsignificance", "significanceobs", "significance", "z0")
MAX_STRENGTH = 20.0
"""A parameter called mu above this is the position of a peak [GeV], not a signal strength."""


class Measurement(NamedTuple):
    """A value with its error, and the name it was found under."""

    name: str
    value: float
    error: float


def find_measurement(
    tree: Any, names: tuple[str, ...], *, accept: Callable[[float], bool] = lambda _: True
) -> Measurement | None:
    """Find the first of several names that has a value and an error, anywhere in nested dictionaries."""
    for name in names:
        for key, node in _walk(tree):
            if _plain(key) == name:
                measurement = measurement_of(key, node)
                if measurement is not None and accept(measurement.value):
                    return measurement
    return None


def find_number(tree: Any, names: tuple[str, ...]) -> float | None:
    """Find the first of several names that is a number, anywhere in nested dictionaries."""
    for name in names:
        for key, node in _walk(tree):
            if _plain(key) == name and isinstance(node, int | float) and not isinstance(node, bool):
                return float(node)
    return None


def find_key(tree: Any, names: tuple[str, ...]) -> Any:
    """Find what is under the first of several names, anywhere in nested dictionaries, outermost first."""
    for name in names:
        for key, node in _walk(tree):
            if _plain(key) == name:
                return node
    return None


def measurement_of(name: str, node: Any) -> Measurement | None:
    """Read a value and an error from ``{"value", "error"}`` or what is commonly written instead."""
    if not isinstance(node, dict):
        return None
    value = find_number(node, ("value", "mu", "val"))
    error = find_number(node, ("error", "err", "uncertainty", "muerror", "muerr", "std"))
    return None if value is None or error is None else Measurement(name, value, error)


def _walk(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of nested dictionaries and lists, outer ones first."""
    level = [tree]
    while level:
        pairs = [pair for node in level if isinstance(node, dict) for pair in node.items()]
        yield from pairs
        level = [value for _, value in pairs] + [item for node in level if isinstance(node, list) for item in node]


def _plain(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return "".join(character for character in name.lower() if character.isalnum())


def read(path: str) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
