"""Directories: a bounded listing, and what a few representative members hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from snakemake_executor_plugin_llmagent.formats.contents import Contents, left_out
from snakemake_executor_plugin_llmagent.formats.numbers import NAME_LIMIT
from snakemake_executor_plugin_llmagent.protocols import FileDescription, Table
from snakemake_executor_plugin_llmagent.text import clean_value

MOST_MEMBERS = 2000
MOST_LISTED = 50
MOST_DESCRIBED = 3
DEEPEST = 6


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file below a directory.

    Attributes:
        name: path relative to the directory.
        size_bytes: size on disk [bytes].
    """

    name: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files below a directory.

    Attributes:
        members: sorted by name.
        complete: whether these are all.
    """

    members: tuple[Member, ...]
    complete: bool


def list_files(path: Path) -> Listing:
    """The files below a directory, bounded in number and depth. Links to directories are not followed.

    Raises:
        OSError: the directory cannot be listed.
    """
    members: list[Member] = []
    complete = True
    os.scandir(path).close()
    for member in _walk(path, "", 0):
        if member is None or len(members) == MOST_MEMBERS:
            complete = False
            if member is not None:
                break
        else:
            members.append(member)
    return Listing(members=tuple(sorted(members, key=lambda member: member.name)), complete=complete)


def _walk(path: Path, prefix: str, depth: int) -> Iterator[Member | None]:
    """The files below a directory; None stands for a place that was not looked into."""
    if depth > DEEPEST:
        yield None
        return
    folders = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    yield Member(name=prefix + entry.name, size_bytes=entry.stat(follow_symlinks=False).st_size)
    except OSError:
        yield None
    for folder in sorted(folders):
        yield from _walk(path / folder, f"{prefix}{folder}/", depth + 1)


def read(path: Path, listing: Listing, describe: Callable[[Path], FileDescription]) -> Contents:
    """Describe a directory from its listing.

    Args:
        path: the directory.
        listing: its files.
        describe: describes one member.
    """
    shown = listing.members[:MOST_LISTED]
    lines = [f"{member.size_bytes:>12}  {clean_value(member.name, NAME_LIMIT)}" for member in shown]
    hidden = len(listing.members) - len(shown)
    if hidden or not listing.complete:
        lines.append(f"[… {hidden if listing.complete else f'{hidden} or more'} more files …]")
    table = Table(
        name="",
        kind="directory",
        entries=len(listing.members) if listing.complete else None,
        looked_at=len(listing.members),
        note=None if listing.complete else "too many or too deep to list them all",
    )
    tables = [table]
    representatives = _representatives(listing)
    for member in representatives:
        tables.extend(_tables(member, path, describe))
    others = len(listing.members) - len(representatives)
    if others:
        tables.append(left_out(f"{others} other files were not looked at"))
    return Contents(tables=tuple(tables), excerpt="\n".join(lines))


def _representatives(listing: Listing) -> list[Member]:
    """The first file of each suffix, those of the most frequent suffixes first."""
    by_suffix: dict[str, list[Member]] = {}
    for member in listing.members:
        by_suffix.setdefault(Path(member.name).suffix, []).append(member)
    groups = sorted(by_suffix.values(), key=len, reverse=True)
    return [group[0] for group in groups[:MOST_DESCRIBED]]


def _tables(member: Member, path: Path, describe: Callable[[Path], FileDescription]) -> Iterator[Table]:
    name = clean_value(member.name, NAME_LIMIT)
    real = path / member.name
    if real.is_symlink() and not real.exists():
        yield Table(name=name, kind="file", note="is a link to nothing")
        return
    description = describe(real) if not real.is_dir() else None
    if description is None:
        return
    if description.problem:
        yield Table(name=name, kind=description.format, note=description.problem)
    for table in description.tables:
        # The colon is uproot's own way to name an object in a file.
        yield replace(table, name=f"{name}:{table.name}" if table.name else name)
