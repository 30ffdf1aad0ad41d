"""Which inputs are looked at, and which of them hold the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from snakemake_executor_plugin_llmagent.formats.render import structure_of
from snakemake_executor_plugin_llmagent.protocols import Describe, FileDescription, Item, Job

MOST_LOOKED_AT = 8
"""How many inputs of a job are looked at, unless more differ in name or format."""
MOST_KINDS = 24
SHOWN_ALIKE = 2
"""How many inputs of one name and structure are described in full: data and simulation differ in ranges alone."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An input that was looked at.

    Attributes:
        item: the input.
        description: what it holds, None if it is not there.
        missing: why there is no description.
        like: an earlier input with the same name and structure, None if this one is described in full.
    """

    item: Item
    description: FileDescription | None = None
    missing: str | None = None
    like: Item | None = None


def survey(job: Job, describe: Describe) -> tuple[Seen, ...]:
    """Look at the inputs of a job, at a few representatives if they are many."""
    seen: list[Seen] = []
    alike: dict[tuple[object, ...], list[Item]] = {}
    for item in representatives(job.inputs):
        try:
            description = describe(job.real(item))
        except FileNotFoundError:
            seen.append(Seen(item=item, missing="does not exist yet"))
            continue
        except (OSError, ValueError) as error:
            seen.append(Seen(item=item, missing=f"cannot be looked at: {error}"))
            continue
        twins = alike.setdefault((item.name, structure_of(description)), [])
        known = len(twins) >= SHOWN_ALIKE and bool(description.tables) and bool(description.opened)
        seen.append(Seen(item=item, description=description, like=twins[0] if known else None))
        twins.append(item)
    return tuple(seen)


def representatives(items: Sequence[Item]) -> list[Item]:
    """All items if they are few; else the first of each name and format, and a spread over the others."""
    unique = list({item.path: item for item in items}.values())
    if len(unique) <= MOST_LOOKED_AT:
        return unique
    kinds: dict[tuple[str | None, str], Item] = {}
    for item in unique:
        kinds.setdefault((item.name, PurePath(item.path).suffix), item)
    chosen = {item.path for item in list(kinds.values())[:MOST_KINDS]}
    # The ends and the middle of a list are where its files differ, if they do.
    last = len(unique) - 1
    for position in (last, last // 2, last // 4, 3 * last // 4):
        if len(chosen) < MOST_LOOKED_AT:
            chosen.add(unique[position].path)
    return [item for item in unique if item.path in chosen]
