"""What the numbers of two runs show: whether they respond as a probe demands, in words that help a model to mend it."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Numbers = Mapping[str, float]
"""Name (as `data.measure` gives it) → number."""
EXACT = 1e-9
"""Relative difference below which two numbers are the same."""
LOOSE = 0.25
"""How far a yield may be from what half of the events lead to, relative."""
MOST_SHOWN = 3
PIXELS = "pixels:"
_YIELD = re.compile(
    r"(\w*_)?(yields?|sumw|sum_?of_?weights|sum_?weights)(_(error|err|unc|uncertainty|total|mc|sig\w*|bkg\w*|back\w*))?",
    re.IGNORECASE,
)
_COUNT = re.compile(r"n_?(events|entries|rows)|entries", re.IGNORECASE)
_RESULT = re.compile(
    r"n|n_\w+|num_\w+|mu|z_\w+|p0|std|"
    r"\w*(yield|events|entries|counts?|contents|sum|total|integral|mean|value|error|mass|sigma|width|signal|background|"
    r"chi2|limit|observed|expected)\w*",
    re.IGNORECASE,
)
_SIGNAL = re.compile(r"mu|z_obs|n_?sig\w*|signal\w*|\w*_sig(nal)?|s|significance|strength", re.IGNORECASE)
_ERROR = re.compile(r"(^|_)(errors?|err|unc|uncertainty)$", re.IGNORECASE)
_MATRIX = re.compile(r"(.*covariance)\[(\d+)\]\[(\d+)\]")
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a response holds; None if that cannot be said.

    Attributes:
        holds: whether the numbers respond as they must.
        text: what they show instead, or why nothing can be said; empty if all is well.
    """

    holds: bool | None
    text: str = ""


PASSED = Verdict(holds=True)


def same(one: float, other: float, tolerance: float = EXACT, floor: float = 0.0) -> bool:
    """Whether two numbers agree, relative to the larger of them (or to `floor`)."""
    return abs(one - other) <= tolerance * max(abs(one), abs(other), abs(floor))


def changed(before: Numbers, after: Numbers, tolerance: float = EXACT) -> list[str]:
    """The names of numbers that are not the same, or only in one of both; of images only if there is nothing else."""
    names = list(dict.fromkeys((*before, *after)))
    better = [name for name in names if PIXELS not in name]
    return [name for name in better or names if not _same_there(before, after, name, tolerance)]


def _same_there(before: Numbers, after: Numbers, name: str, tolerance: float) -> bool:
    if name not in before or name not in after:
        return False
    return same(before[name], after[name], tolerance, _floor(before, name))


def _floor(numbers: Numbers, name: str) -> float:
    """What a difference is compared with beside the number itself, which may be zero by chance."""
    stem, _, kind = name.rpartition(":")
    if kind in ("mean", "sum"):
        return numbers.get(f"{stem}:std", 0.0) * (numbers.get(f"{stem}:n", 1.0) if kind == "sum" else 1.0)
    if name.endswith("value"):
        return numbers.get(f"{name.removesuffix('value')}error", 0.0)
    if last(name).startswith("correlation"):
        return 1.0
    element = _MATRIX.fullmatch(name)
    if element is not None:
        start, row, column = element.groups()
        variances = (numbers.get(f"{start}[{place}][{place}]", 0.0) for place in (row, column))
        return math.sqrt(math.prod(max(variance, 0.0) for variance in variances))
    return 0.0


def last(name: str) -> str:
    """The last word of a name: `yield` of `cutflow[2].yield`, `counts` of `hist.counts[3]`."""
    return re.split(r"[./: ]", _INDEX.sub("", name))[-1]


def results(numbers: Numbers) -> list[str]:
    """The names of numbers that can hardly be anything but results of events: counts, sums, bins, parameters.

    Not 0, which a selection may leave, and not 1, which may be a truth value.
    """
    return [name for name, value in numbers.items() if value not in (0, 1) and _RESULT.fullmatch(last(name))]


def shown(names: Iterable[str], before: Numbers, after: Numbers) -> str:
    """The first few numbers in words: "`yield` stays 102.3, `n` goes from 4 to 2"."""
    parts = [_shown(name, before.get(name), after.get(name)) for name in list(dict.fromkeys(names))[:MOST_SHOWN]]
    return ", ".join(parts)


def _shown(name: str, before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return f"`{name}` is {'new' if before is None else 'gone'}"
    return f"`{name}` stays {before:.6g}" if same(before, after) else f"`{name}` goes from {before:.6g} to {after:.6g}"


# --- the responses --------------------------------------------------------------------------------------------------


def moves(before: Numbers, after: Numbers, what: str) -> Verdict:
    """At least one number changes."""
    if not before and not after:
        return Verdict(holds=None, text="the outputs hold no numbers that can be compared")
    if changed(before, after):
        return PASSED
    first = [*results(before), *before]
    text = f"With {what}, not one of the {len(before)} numbers in the outputs changes ({shown(first, before, after)})"
    return Verdict(holds=False, text=text)


def invariant(before: Numbers, after: Numbers, what: str, tolerance: float = EXACT) -> Verdict:
    """No number changes; those of a list may be in another order."""
    if not before and not after:
        return Verdict(holds=None, text="the outputs hold no numbers that can be compared")
    different = changed(before, after, tolerance)
    permuted = _permuted(before, after, tolerance)
    different = [name for name in different if _INDEX.sub("[]", name) not in permuted]
    if not different:
        return PASSED
    more = f", and {len(different) - MOST_SHOWN} more numbers change" if len(different) > MOST_SHOWN else ""
    return Verdict(holds=False, text=f"With {what}, {shown(different, before, after)}{more}")


def _permuted(before: Numbers, after: Numbers, tolerance: float) -> set[str]:
    """Names of lists (`a[].b`) that hold the same numbers, in whatever order."""
    lists: tuple[dict[str, list[float]], dict[str, list[float]]] = (defaultdict(list), defaultdict(list))
    for found, numbers in zip(lists, (before, after), strict=True):
        for name, value in numbers.items():
            if _INDEX.search(name):
                found[_INDEX.sub("[]", name)].append(value)
    return {
        name
        for name, values in lists[0].items()
        if len(values) == len(lists[1][name])
        and all(same(a, b, tolerance) for a, b in zip(sorted(values), sorted(lists[1][name]), strict=True))
    }


def rises(before: Numbers, after: Numbers, what: str) -> Verdict:
    """Something changes, and of what measures a signal, something goes up."""
    moved = moves(before, after, what)
    signals = [name for name in _common(before, after) if _measures_signal(name)]
    if not moved.holds or not signals or any(after[name] > before[name] for name in signals):
        return moved
    return Verdict(
        holds=False, text=f"With {what}, nothing that measures a signal goes up ({shown(signals, before, after)})"
    )


def _measures_signal(name: str) -> bool:
    words = re.split(r"[./: ]", _INDEX.sub("", name))
    if words[-1] in ("value", "yield", "sum") and len(words) > 1:
        words = words[:-1]
    return bool(_SIGNAL.fullmatch(words[-1]))


def scales(
    before: Numbers, after: Numbers, what: str, factor: float, *, column: str = "", events: bool = False
) -> Verdict:
    """Yields change by a factor, numbers of events do not.

    What scales is decided by names: `yield`, `sum_of_weights` and the like (with their errors) must change by the
    factor, and so must the sum of the altered column in an output; `n_events` and rows of tables must not change. All
    other numbers are free, but if there is no yield among them, one at least has to change by the factor.

    Args:
        before: the numbers of the trial.
        after: those of the run on altered inputs.
        what: what is different, after "With".
        factor: by how much.
        column: of weights that were multiplied.
        events: whether it is events that there are fewer of, so that their numbers change too and nothing is exact.
    """
    tolerance = LOOSE if events else 1e-6
    common = [name for name in _common(before, after) if before[name]]
    if not common:
        return Verdict(holds=None, text="the outputs hold no numbers that can be compared")
    yields = [name for name in common if _is_yield(name, before, column)]
    if events:
        yields = [name for name in yields if not _ERROR.search(last(name))]  # these follow the root of the events
    wrong = [name for name in yields if not same(after[name], factor * before[name], tolerance)]
    if wrong:
        return Verdict(holds=False, text=_wrong_yield(wrong, before, after, what, factor))
    counts = [] if events else [name for name in common if _COUNT.fullmatch(last(name)) and name not in yields]
    moved = [name for name in counts if not same(before[name], after[name])]
    if moved:
        text = f"With {what}, {shown(moved, before, after)}: numbers of events must not depend on weights"
        return Verdict(holds=False, text=text)
    if not yields and not any(same(after[name], factor * before[name], tolerance) for name in common):
        first = [name for name in (*results(before), *common) if name in common]
        text = f"With {what}, none of the {len(common)} numbers in the outputs follows ({shown(first, before, after)})"
        return Verdict(holds=False, text=text)
    return PASSED


def _common(before: Numbers, after: Numbers) -> Iterator[str]:
    return (name for name in before if name in after)


def _is_yield(name: str, numbers: Numbers, column: str) -> bool:
    if column and re.search(rf"(^|[/ ]){re.escape(column)}:(sum|mean)$", name):
        return True
    word = last(name)
    if word in ("error", "err") and any(f"{name.removesuffix(word)}{key}" in numbers for key in ("yield", "yields")):
        return True
    return bool(_YIELD.fullmatch(word))


def _wrong_yield(names: list[str], before: Numbers, after: Numbers, what: str, factor: float) -> str:
    still = [name for name in names if same(before[name], after[name])]
    if still:
        return f"With {what}, {shown(still, before, after)}: the weights are not used"
    name = names[0]
    text = f"With {what}, {shown(names, before, after)} instead of {factor * before[name]:.6g}"
    if factor > 0 and same(after[name], factor**0.5 * before[name], 1e-4):
        return (
            f"{text}: it grows with the root, as sqrt(yield) does; an error of weights is sqrt(sum of squared weights)"
        )
    return text
