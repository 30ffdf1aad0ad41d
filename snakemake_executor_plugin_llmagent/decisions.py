"""What a sentence leaves open: names of decisions, those that the rule makes itself, and those that an author lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from snakemake_executor_plugin_llmagent.spec import Spec

BY_THE_RULE = "the rule decides it"


def constant_name(name: str) -> str:
    """The name of the constant that holds a decision: `fit range`, `fit-range` and `FIT_RANGE` are one."""
    return re.sub(r"\W+", "_", name.strip()).strip("_").upper()


def pinned_lines(spec: Spec) -> str:
    """The decisions of the rule as lines of Python, one constant each."""
    return "\n".join(f"{name} = {value!r}" for name, value in spec.decide.items())


def recorded(spec: Spec, listed: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The decisions of an author for the record: `pinned` stands at those that the rule makes, and at no others."""
    left = dict(spec.decide)
    made: list[Mapping[str, Any]] = []
    for entry in listed:
        plain = {key: value for key, value in entry.items() if key != "pinned"}
        name = constant_name(str(entry.get("name", "")))
        if name in spec.decide:
            if name not in left:
                continue  # listed twice
            plain = {**plain, "name": name, "value": left.pop(name), "pinned": True}
        made.append(plain)
    rest = ({"name": name, "value": value, "reason": BY_THE_RULE, "pinned": True} for name, value in left.items())
    return (*made, *rest)
