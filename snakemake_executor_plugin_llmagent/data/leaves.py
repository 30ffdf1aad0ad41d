"""The numbers of a document by their place; standard library alone, so that they can be had anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

MOST_LEAVES = 5000
LIKE_PROVENANCE = frozenset(
    {"provenance", "created", "timestamp", "date", "time", "version", "versions", "seconds", "path", "file"}
)
"""Keys of documents that say where a result comes from, and are no part of it."""


def leaves(found: Any, place: str = "", leave_out: frozenset[str] = frozenset()) -> Iterator[tuple[str, float]]:
    """Places (`a.b[0].c`) and numbers of a document, at most so many; truth values are numbers too.

    Args:
        found: the document, or a part of it.
        place: of that part.
        leave_out: places of parts that are passed over.
    """
    left = [MOST_LEAVES]
    yield from _leaves(found, place, leave_out, left)


def _leaves(found: Any, place: str, leave_out: frozenset[str], left: list[int]) -> Iterator[tuple[str, float]]:
    if left[0] <= 0 or place in leave_out:
        return
    if isinstance(found, int | float):
        left[0] -= 1
        try:
            yield place, float(found)
        except OverflowError:  # a whole number beyond all floating-point ones
            yield place, float("inf")
    elif isinstance(found, dict):
        for key, value in found.items():
            if str(key).lower() not in LIKE_PROVENANCE:
                yield from _leaves(value, f"{place}.{key}" if place else str(key), leave_out, left)
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from _leaves(value, f"{place}[{number}]", leave_out, left)


def of_document(document: Any) -> dict[str, str]:
    """The fingerprint of a document, texts and all, under the name `document`."""
    text = json.dumps(document, sort_keys=True, default=str)
    return {"document": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]}
