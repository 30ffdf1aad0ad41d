"""How much of one file may be read, and which of many columns are worth it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_TOTAL = 64 * 1024 * 1024
"""How much is read of one file, packed [bytes]."""
MOST_EACH = 16 * 1024 * 1024
"""How much is read of one column, packed [bytes]."""
MOST_UNPACKED = 64 * 1024 * 1024
"""How much one column may unpack to [bytes]."""
MOST_COLUMNS = 400
"""How many columns of one file are looked into."""
MOST_IN_TREE = 150
"""How many columns of one tree are looked into."""
MOST_ENTRIES = 10_000
"""How many entries of a column are looked at."""
MOST_LISTED = 5000
"""How many columns of one file are listed."""

_TELLING = ("pt", "e", "energy", "eta", "phi", "m", "mass", "charge", "weight", "px", "py", "pz", "n")


@dataclass(kw_only=True)
class Budget:
    """What may still be read of a file."""

    bytes: int = MOST_TOTAL
    columns: int = MOST_COLUMNS
    in_tree: int = MOST_IN_TREE
    listed: int = MOST_LISTED

    def begin_tree(self, columns: int) -> int:
        """How many of the columns of another tree may be listed; they count as listed."""
        self.in_tree = MOST_IN_TREE
        granted = min(columns, self.listed)
        self.listed -= granted
        return granted

    def take(self, packed: int, unpacked: int) -> bool:
        """Whether a column of this size [bytes] may be read; if so it counts as read."""
        if min(self.columns, self.in_tree) <= 0 or packed > min(MOST_EACH, self.bytes) or unpacked > MOST_UNPACKED:
            return False
        self.bytes -= packed
        self.columns -= 1
        self.in_tree -= 1
        return True


def by_worth(names: Sequence[str]) -> list[int]:
    """The positions of columns, those first that tell most.

    Large trees name columns after objects, such as `Muon_pt`. Each object gets its turn, its kinematics first.
    """
    turns: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        turns.setdefault(_object_of(name), []).append(index)
    ranked: list[tuple[int, int, int]] = []
    for order, members in enumerate(turns.values()):
        members.sort(key=lambda index: (_rank(names[index]), index))
        ranked.extend((turn, order, index) for turn, index in enumerate(members))
    return [index for _, _, index in sorted(ranked)]


def _object_of(name: str) -> str:
    for separator in ("_", "."):
        head, found, _ = name.partition(separator)
        if found and head:
            return head
    return ""


def _rank(name: str) -> int:
    tail = name.replace(".", "_").rpartition("_")[2].lower()
    return _TELLING.index(tail) if tail in _TELLING else len(_TELLING)
