"""Results of known shapes, in which one number tells of another: what must follow it, and what must not.

A limit has `observed` beside `expected`, a counting experiment `observed` beside `background`, and both may have
`counts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.probes.responses import Numbers, same

OBSERVED, BACKGROUND = "observed", "background"
_COUNTED = ("counts.observed", "counts.n_observed", "n_observed", "n_obs")
_MEASURED = ("z_obs", "p0")
_DATA = re.compile(r"(^|[^a-z])(data|observed|obs|collision)([^a-z]|$)", re.IGNORECASE)
_WINDOW = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*<=?\s*([A-Za-z_]\w*)\s*<=?\s*(\d+(?:\.\d+)?)(?![\w.]*\d)")
_SIDEBANDS = re.compile(r"side-?\s?bands?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window that a sentence names, such as `122 < m_yy < 128`."""

    column: str
    low: float
    high: float

    @property
    def centre(self) -> float:
        """Its middle."""
        return 0.5 * (self.low + self.high)


def window_of(text: str) -> Window | None:
    """The only window of a sentence on a background from sidebands; None without, or if there are several."""
    if not _SIDEBANDS.search(text):
        return None
    found = [Window(column=name, low=float(low), high=float(high)) for low, name, high in _WINDOW.findall(text)]
    return found[0] if len(found) == 1 and found[0].low < found[0].high else None


def is_data(name: str | None, path: str) -> bool:
    """Whether an input is data, by its name in the rule, or the name of its file if it has none."""
    return bool(_DATA.search(name if name is not None else path.rpartition("/")[2]))


def measures_data(numbers: Iterable[str]) -> bool:
    """Whether there is a result of data among numbers."""
    return any(_key(name) == OBSERVED for name in numbers)


def counting(numbers: Iterable[str]) -> bool:
    """Whether there is a background beside what was observed."""
    names = set(numbers)
    return any(f"{_start(name)}{BACKGROUND}" in names for name in names if _key(name) == OBSERVED)


def constant_background(before: Numbers, after: Numbers) -> Iterator[str]:
    """Backgrounds that keep all digits although what was observed beside them changes."""
    for name in _at(before, after, OBSERVED):
        background = f"{_start(name)}{BACKGROUND}"
        if not same(before[name], after[name]) and _stays(before, after, background):
            yield background


def deaf_to_data(before: Numbers, after: Numbers) -> Iterator[tuple[str, str]]:
    """A count of data that changes, and a result of data beside it that keeps all digits."""
    for name in _at(before, after, OBSERVED):
        start = _start(name)
        results = [f"{start}{key}" for key in _MEASURED]
        counted = [f"{start}{key}" for key in _COUNTED]
        if f"{start}{BACKGROUND}" in before:
            counted = [name]
        else:
            results.append(name)
        moved = [one for one in counted if one in before and one in after and not same(before[one], after[one])]
        yield from ((moved[0], result) for result in results if moved and _stays(before, after, result))


def follows_window(before: Numbers, after: Numbers) -> Iterator[tuple[str, str]]:
    """What was observed, and a background beside it that changes with it when events are added to the window."""
    for name in _at(before, after, OBSERVED):
        background = f"{_start(name)}{BACKGROUND}"
        rises = after[name] > before[name]
        if rises and background in before and background in after and not same(before[background], after[background]):
            yield name, background


def all_numeric(values: Mapping[str, object]) -> list[str]:
    """The names of values that are numbers, or hold some."""
    return [name for name, value in values.items() if _has_number(value)]


def _has_number(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return True
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return any(map(_has_number, inner))


def _at(before: Numbers, after: Numbers, key: str) -> Iterator[str]:
    return (name for name in before if _key(name) == key and name in after)


def _stays(before: Numbers, after: Numbers, name: str) -> bool:
    return name in before and name in after and before[name] != 0 and before[name] == after[name]


def _key(name: str) -> str:
    """The last key, of numbers that are in no list."""
    return "" if "[" in name else re.split(r"[.: ]", name)[-1]


def _start(name: str) -> str:
    return name[: len(name) - len(_key(name))]
