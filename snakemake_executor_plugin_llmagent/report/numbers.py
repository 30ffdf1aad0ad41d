"""The numbers of a small JSON document as rows, as a person reads them: a value and its error together."""

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


def entries(text: str) -> tuple[Entry, ...]:
    """The entries of a JSON document; none if it is no JSON, or holds nothing of the kind."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(_entries("", document, 0))


def _entries(name: str, value: object, depth: int) -> Iterator[Entry]:
    if depth > MOST_DEPTH:
        yield Entry(name, "…")
    elif isinstance(value, dict):
        yield from _of_mapping(name, value, depth)
    elif isinstance(value, list):
        yield from _of_list(name, value, depth)
    else:
        yield Entry(name or "(value)", written(value))


def _of_mapping(name: str, value: Mapping[str, Any], depth: int) -> Iterator[Entry]:
    rest = dict(value)
    error = next((key for key in ERRORS if _is_number(rest.get(key))), None)
    if error is not None and _is_number(rest.get("value")):
        number, width = rest.pop("value"), rest.pop(error)
        yield Entry(name or "value", with_error(number, width))
    for key, inner in list(rest.items()):
        beside = f"{key}_error"
        if key not in rest:
            continue
        place = f"{name}.{key}" if name else str(key)
        if _is_number(inner) and _is_number(rest.get(beside)):
            yield Entry(place, with_error(inner, rest.pop(beside)))
        else:
            yield from _entries(place, inner, depth + 1)


def _of_list(name: str, value: list[Any], depth: int) -> Iterator[Entry]:
    if all(not isinstance(entry, (dict, list)) for entry in value):
        if len(value) <= MOST_ENTRIES:
            yield Entry(name or "(value)", f"[{', '.join(map(written, value))}]")
        else:
            yield Entry(name or "(value)", f"{len(value)} entries")
    elif len(value) > MOST_ROWS:
        yield Entry(name or "(value)", f"{len(value)} entries")
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
    """A number with its error, both to two digits of the error, but never to tens: `124.98 ± 0.21`, `335 ± 127`."""
    if abs(value) > 1e300 or abs(error) > 1e300 or math.isnan(value) or not error > 0:
        return f"{written(value)} ± {written(error)}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    if digits > 8 or max(abs(value), error) > 1e12:
        return f"{value:.6g} ± {error:.2g}"
    return f"{value:.{digits}f} ± {error:.{digits}f}"
