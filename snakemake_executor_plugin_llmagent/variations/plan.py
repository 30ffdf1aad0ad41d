"""Which scripts are run: one for each alternative, or for each combination of alternatives."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from snakemake_executor_plugin_llmagent.decisions import constant_name
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.text import one_line
from snakemake_executor_plugin_llmagent.variations.constants import (
    Constant,
    NoValue,
    constants,
    listed,
    with_values,
    written,
)

MOST_COMBINED = 64
"""So many combinations are run at once."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A decision with its alternatives.

    Attributes:
        constant: where it stands in the script.
        alternatives: other values, as Python.
        unit: of the values, empty if there is none.
        problems: alternatives that cannot be taken, and why.
    """

    constant: Constant
    alternatives: tuple[str, ...]
    unit: str = ""
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Variation:
    """A script with other decisions.

    Attributes:
        label: the decisions that differ, such as `FIT_RANGE = (100, 160)`.
        changes: name → value as Python; empty for the script as it is.
        source: the script; empty if there is none to run.
        problem: why there is none.
    """

    label: str
    changes: Mapping[str, str]
    source: str = ""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run.

    Attributes:
        nominal: the script as it is.
        variations: the others.
        choices: what is varied.
        left: decisions that are not varied, and why.
    """

    nominal: Variation
    variations: tuple[Variation, ...]
    choices: tuple[Choice, ...]
    left: Mapping[str, str]


def plan(
    source: str, decisions: Sequence[Mapping[str, Any]], wanted: Iterable[str] = (), *, combined: bool = False
) -> Plan:
    """Which variations of a script there are.

    Args:
        source: the script.
        decisions: what its lock lists.
        wanted: names of the decisions to vary; without any, all that the rule does not decide itself.
        combined: whether all combinations are run, and not one change at a time.

    Raises:
        ConfigError: a name is unknown, or there are too many combinations.
    """
    entries = {constant_name(str(entry.get("name", ""))): entry for entry in decisions}
    names = [_known(name, entries) for name in wanted]
    found, others = constants(source)
    choices: list[Choice] = []
    left: dict[str, str] = {}
    for name, entry in entries.items():
        if names and name not in names:
            continue
        if not names and entry.get("pinned"):
            left[name] = "the rule decides it (name it with --decision to vary it all the same)"
        elif name not in found:
            left[name] = others.get(name, "is no constant at the top level of the script")
        else:
            choice = _choice(found[name], entry)
            if choice.alternatives or choice.problems:
                choices.append(choice)
            else:
                left[name] = "has no alternatives in the lock"
    variations = tuple(_combined(source, choices) if combined else _one_by_one(source, choices))
    nominal = Variation(label="nominal", changes={}, source=source)
    return Plan(nominal=nominal, variations=variations, choices=tuple(choices), left=left)


def _known(name: str, entries: Mapping[str, object]) -> str:
    wanted = constant_name(name)
    if wanted in entries:
        return wanted
    near = difflib.get_close_matches(wanted, entries, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ConfigError(f"The lock lists no decision {name!r}.{hint} There are: {', '.join(entries) or 'none'}.")


def _choice(constant: Constant, entry: Mapping[str, Any]) -> Choice:
    taken: dict[str, None] = {}
    problems: list[tuple[str, str]] = []
    own = written_as_it_is(constant)
    for value in listed(entry.get("alternatives"), constant.value):
        try:
            text = written(value, constant.value)
        except NoValue as error:
            problems.append((one_line(repr(value), 60), str(error)))
            continue
        if text != own:
            taken[text] = None
    unit = one_line(str(entry.get("unit") or ""), 20)
    return Choice(constant=constant, alternatives=tuple(taken), unit=unit, problems=tuple(problems))


def written_as_it_is(constant: Constant) -> str:
    """The value that a constant has, in the form in which alternatives are written."""
    try:
        value = constant.value
        return written(sorted(value) if isinstance(value, set) else value, value)
    except (NoValue, TypeError):
        return repr(constant.value)


def _label(changes: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in changes.items())


def _one_by_one(source: str, choices: Sequence[Choice]) -> Iterator[Variation]:
    for choice in choices:
        for value in choice.alternatives:
            changes = {choice.constant.name: value}
            yield Variation(
                label=_label(changes), changes=changes, source=with_values(source, {choice.constant: value})
            )
        for value, problem in choice.problems:
            changes = {choice.constant.name: value}
            yield Variation(label=_label(changes), changes=changes, problem=f"was not run: {problem}")


def _combined(source: str, choices: Sequence[Choice]) -> Iterator[Variation]:
    axes = [(None, *choice.alternatives) for choice in choices]
    number = 1
    for axis in axes:
        number *= len(axis)
    if number > MOST_COMBINED + 1:
        raise ConfigError(
            f"These are {number - 1} combinations; at most {MOST_COMBINED} are run. Name fewer decisions with "
            "--decision, or leave out --all: then one is changed at a time."
        )
    for values in product(*axes):
        chosen = {c.constant: value for c, value in zip(choices, values, strict=True) if value is not None}
        if chosen:
            changes = {constant.name: value for constant, value in chosen.items()}
            yield Variation(label=_label(changes), changes=changes, source=with_values(source, chosen))
