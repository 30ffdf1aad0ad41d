"""The numbers of a small JSON document as rows: results first read as a person reads them, value and error together."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 256 * 1024
"""Larger documents are described, not listed [bytes]."""
MOST_ROWS = 40
MOST_ENTRIES = 4
"""Longer lists are counted and not shown."""
TEXT_LIMIT = 120
MOST_DEPTH = 12
ERRORS = ("error", "uncertainty", "unc", "sigma", "std")


@dataclass(frozen=True)
class Entry:
    """A number, a truth value or a short text: its place in the document, and how it is written."""

    name: str
    text: str
    number: bool


def entries(text: str) -> tuple[Entry, ...]:
    """The entries of a JSON document; none if it is no JSON, or holds nothing of the kind."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(_entries("", document, 0))


def _entries(name: str, value: object, depth: int) -> Iterator[Entry]:
    if depth > MOST_DEPTH:
        yield Entry(name, "…", False)
    elif isinstance(value, dict):
        yield from _of_mapping(name, value, depth)
    elif isinstance(value, list):
        yield from _of_list(name, value, depth)
    else:
        yield Entry(name or "(value)", written(value), _is_number(value))


def _of_mapping(name: str, value: Mapping[str, Any], depth: int) -> Iterator[Entry]:
    rest = dict(value)
    error = next((key for key in ERRORS if _is_number(rest.get(key))), None)
    if error is not None and _is_number(rest.get("value")):
        number, width = rest.pop("value"), rest.pop(error)
        yield Entry(name or "value", with_error(number, width), True)
    for key, inner in list(rest.items()):
        beside = f"{key}_error"
        if key not in rest:
            continue
        place = f"{name}.{key}" if name else str(key)
        if _is_number(inner) and _is_number(rest.get(beside)):
            yield Entry(place, with_error(inner, rest.pop(beside)), True)
        else:
            yield from _entries(place, inner, depth + 1)


def _of_list(name: str, value: list[Any], depth: int) -> Iterator[Entry]:
    if all(not isinstance(entry, (dict, list)) for entry in value):
        if len(value) <= MOST_ENTRIES:
            numbers = bool(value) and all(map(_is_number, value))
            yield Entry(name or "(value)", f"[{', '.join(map(written, value))}]", numbers)
        else:
            yield Entry(name or "(value)", f"{len(value)} entries", False)
    elif len(value) > MOST_ROWS:
        yield Entry(name or "(value)", f"{len(value)} entries", False)
    else:
        for number, entry in enumerate(value):
            yield from _entries(f"{name}[{number}]", entry, depth + 1)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def written(value: object) -> str:
    """A value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:d}" if abs(value) < 10**15 else f"{value:.6e}" if abs(value) < 10**300 else "a huge number"
    text = str(value)
    return text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"


def with_error(value: float, error: float) -> str:
    """A number with its error, both to two digits of the error: `124.98 ± 0.21`."""
    if abs(value) > 1e300 or not (math.isfinite(value) and math.isfinite(error) and 0 < error < 1e300):
        return f"{written(value)} ± {written(error)}"
    digits = 1 - math.floor(math.log10(error))
    if not -6 <= digits <= 8:
        return f"{value:.6g} ± {error:.2g}"
    return f"{round(value, digits):.{max(digits, 0)}f} ± {round(error, digits):.{max(digits, 0)}f}"
