"""The numbers in the outputs of a trial by name, and which of them belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.protocols import Item, Layout
from snakemake_executor_plugin_llmagent.spec import Kind
from snakemake_executor_plugin_llmagent.text import clean, one_line
from snakemake_executor_plugin_llmagent.trials import Worker

MOST_FILES = 100
"""Of a directory so many files are looked at."""
ERRORS = ("error", "err", "unc", "uncertainty")
BETWEEN = ": "
"""Stands between the name of an output and that of a number in it, where there are several outputs."""


def numbers_of(worker: Worker, outputs: Sequence[Item], layout: Layout) -> tuple[dict[str, float], dict[str, str]]:
    """All numbers that a script wrote, by name, and outputs that could not be read, with the reason."""
    places = {label: path for item in outputs for label, path in _files(item, layout.inside(item))}
    question = {"files": [str(path) for path in places.values()], "texts": True}
    worked = worker("measure", question, read=places.values())
    answer: Any = worked.answer
    if not isinstance(answer, dict):
        return {}, dict.fromkeys(places, worked.problem)
    numbers: dict[str, float] = {}
    problems: dict[str, str] = {}
    for label, path in places.items():
        found = answer.get(str(path), {"numbers": {}, "problem": "was not looked at"})
        start = f"{label}{BETWEEN}" if len(outputs) > 1 or label != outputs[0].path else ""
        numbers |= {f"{start}{clean(str(name))}": float(value) for name, value in found["numbers"].items()}
        if found["problem"]:
            problems[label] = one_line(str(found["problem"]))
    return numbers, problems


def _files(item: Item, place: Path) -> list[tuple[str, Path]]:
    if item.kind is not Kind.DIRECTORY:
        return [(item.path, place)]
    members = sorted(path for path in place.rglob("*") if path.is_file() and not path.is_symlink())
    return [(f"{item.path}/{path.relative_to(place)}", path) for path in members[:MOST_FILES]]


def error_beside(name: str, numbers: Mapping[str, float]) -> float | None:
    """The uncertainty that stands beside a number: `mu.error` for `mu.value`, `yield_error` for `yield`."""
    stem, dot, last = name.rpartition(".")
    known = [f"{name}_{word}" for word in ERRORS]
    if last == "value":
        known += [f"{stem}{dot}{word}" for word in ERRORS]
    for one in known:
        if (found := numbers.get(one)) is not None and found > 0:
            return found
    return None
