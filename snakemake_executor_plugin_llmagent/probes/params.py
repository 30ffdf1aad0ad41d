"""Parameters of a job with other numbers, to find out whether they have any effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from snakemake_executor_plugin_llmagent.probes.wanted import asked_for, words_of

FREE = frozenset(
    {
        "seed", "seeds", "random", "thread", "threads", "cores", "workers", "processes", "jobs", "dpi", "figsize",
        "font", "fontsize", "color", "colour", "verbose", "verbosity", "debug", "log", "level", "chunk", "chunksize",
        "batch", "buffer", "step", "steps", "tolerance", "precision", "iterations", "calls", "retries", "timeout",
        "memory", "cache", "toys", "label", "title", "version", "year", "run", "compression", "max", "maximum", "limit",
    }
)  # fmt: skip
"""Parameters with one of these words may rightly change nothing: how something is computed or looks, or a cap on it."""
CAPS = frozenset({"events", "entries", "rows", "files", "jobs", "calls", "iterations", "steps", "memory"})
FACTORS = (0.5, 0.0, 10.0, -1.0)
"""Numbers of a parameter that seems to have no effect are also multiplied by these."""
MOST = 6


def candidates(params: Mapping[str, object]) -> list[str]:
    """The parameters whose numbers a script is told, and that have to matter."""
    return [name for name, value in params.items() if _fit(name) and doubled(value) is not None][:MOST]


def _fit(name: str) -> bool:
    words = set(words_of(name))
    free = FREE & words
    if free <= {"max", "maximum", "limit"} and not CAPS & words:
        free = frozenset()  # a cut, rather than a cap on how much is done
    return name.isidentifier() and not free


def doubled(value: object) -> object | None:
    """The same with all numbers doubled; None if it holds none, or something else too."""
    return times(value, 2.0)


def times(value: object, factor: float) -> object | None:
    """The same with all numbers multiplied; None if it holds none, or something else too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return round(value * factor)
    if isinstance(value, float):
        return value * factor
    if isinstance(value, list | tuple) and value:
        inner = [times(one, factor) for one in value]
        return None if any(one is None for one in inner) else inner
    return None


def others(value: object) -> Iterator[object]:
    """Other values that one can have in the place of a value."""
    yield from (made for factor in FACTORS if (made := times(value, factor)) is not None and made != value)


def is_asked_for(name: str, text: str) -> bool:
    """Whether a sentence asks for a parameter to be used."""
    return bool(re.search(rf"params[.\[]['\"]?{re.escape(name)}\b", text)) or asked_for(name, text)


def copies(value: object, new: object, before: Mapping[str, float], after: Mapping[str, float]) -> set[str]:
    """The names of numbers that are the parameter itself, written down."""
    pairs = list(_pairs(value, new))
    return {
        name
        for name in before.keys() & after.keys()
        if any(before[name] == old and after[name] == other for old, other in pairs)
    }


def _pairs(value: object, new: object) -> Iterator[tuple[float, float]]:
    if isinstance(value, list | tuple) and isinstance(new, list | tuple):
        for old, other in zip(value, new, strict=False):
            yield from _pairs(old, other)
    elif isinstance(value, int | float) and isinstance(new, int | float):
        yield float(value), float(new)
