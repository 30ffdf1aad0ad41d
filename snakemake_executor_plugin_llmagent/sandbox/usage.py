"""How much a script has written, seen so that no name and no depth can hide anything.

The supervisor of a script runs this in a process of its own, again and again: the standard library only, and little.
"""

from __future__ import annotations

import os
import stat

OVER = 1 << 60
"""What a tree holds that cannot be counted: more than any limit [bytes, entries]."""
MAX_DEPTH = 100
"""A deeper tree cannot be counted [levels]."""
MAX_ENTRIES = 1_000_000
"""So many entries are counted before a tree is too large to be counted [entries]."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def usage(
    roots: list[str] | tuple[str, ...], *, max_depth: int = MAX_DEPTH, max_entries: int = MAX_ENTRIES
) -> tuple[int, int]:
    """The room that directories take on disk [bytes], and how many entries lie below them.

    Links are never followed, and a file with several names counts once. What vanishes meanwhile does not count; a
    root that is not there is empty. A tree that is too deep, too large or closed counts as `OVER` in both respects.

    Args:
        roots: directories.
        max_depth: how deep the trees may be [levels].
        max_entries: how many entries the trees may have together.
    """
    room = entries = 0
    several: set[tuple[int, int]] = set()
    for root in roots:
        # One open directory for each level, with the names of its subdirectories that are still to be seen.
        levels: list[tuple[int, list[str]]] = []
        pending: list[tuple[str, int | None]] = [(root, None)]
        try:
            while pending or levels:
                if pending:
                    name, within = pending.pop()
                    folder = _opened(name, within)
                    if folder is None:
                        continue
                    inner: list[str] = []
                    levels.append((folder, inner))
                    found, number = _look(folder, inner, several, max_entries - entries)
                    room, entries = room + found, entries + number
                    if entries > max_entries or (inner and len(levels) > max_depth):
                        return OVER, OVER
                elif levels[-1][1]:
                    pending.append((levels[-1][1].pop(), levels[-1][0]))
                else:
                    os.close(levels.pop()[0])
        except OSError:
            return OVER, OVER
        finally:
            for folder, _ in levels:
                os.close(folder)
    return room, entries


def _opened(name: str, within: int | None) -> int | None:
    try:
        return os.open(name, _FOLDER, dir_fd=within)
    except FileNotFoundError:
        return None
    except NotADirectoryError:  # a link or a file took its place, and is counted the next time
        if within is None:
            raise
        return None


def _look(folder: int, inner: list[str], several: set[tuple[int, int]], left: int) -> tuple[int, int]:
    """The room and the number of the entries of one directory; notes its subdirectories and files of several names."""
    room = number = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            number += 1
            if number > left:
                break
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(found.st_mode):
                inner.append(entry.name)
            elif found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in several:
                    continue
                several.add((found.st_dev, found.st_ino))
            room += found.st_blocks * 512
    return room, number
