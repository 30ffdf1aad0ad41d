"""The names that inputs hold, described as late as possible and no more often than needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from snakemake_executor_plugin_llmagent.protocols import Describe, FileDescription, Job
from snakemake_executor_plugin_llmagent.spec import Kind

MOST_FILES = 20
"""How many inputs are described to find a name; the first of each keyword come first."""
_CUT = ("not listed", "not looked at", "not followed", "are no arrays", "cannot be read")
"""What the note of a table says when names are left out of its description."""
_ALWAYS = frozenset({"index", "entry", "subentry", "subsubentry", "values"})
"""Names that pandas and awkward give to what has none."""


class Columns:
    """What the inputs of a job hold."""

    def __init__(self, job: Job, describe: Describe) -> None:
        """Describe nothing yet."""
        files = [item for item in job.inputs if item.kind is not Kind.DIRECTORY]
        heads = {item.name: item for item in reversed(files)}.values()
        ordered = [*heads, *(item for item in files if item not in heads)]
        self._job = job
        self._describe = describe
        self._left = ordered[:MOST_FILES]
        self._known: list[FileDescription] = []
        self.complete = len(ordered) <= MOST_FILES

    def lacks(self, name: str, formats: Iterable[str]) -> bool:
        """Whether no input of these formats has a name; not if there are none, or if not all their names are known."""
        wanted, found = frozenset(formats), False
        for each in self._described():
            if each.format in wanted:
                if each.opened is not True or _is_cut(each) or _has(each, name):
                    return False
                found = True
        return found

    def names(self, formats: Iterable[str]) -> frozenset[str]:
        """The names in the inputs of these formats that were looked at."""
        wanted = frozenset(formats)
        return frozenset(name for each in self._known if each.format in wanted for name in _names(each))

    def weights(self) -> bool:
        """Whether any input has a column that is called a weight."""
        return any(
            "weight" in column.name.lower()
            for each in self._described()
            for table in each.tables
            for column in table.columns
        )

    def _described(self) -> Iterator[FileDescription]:
        """The inputs one by one, those that were described before first."""
        yield from tuple(self._known)
        while self._left:
            item = self._left.pop(0)
            try:
                description = self._describe(self._job.real(item))
            except OSError:
                self.complete = False
                continue
            self._known.append(description)
            yield description


def _has(description: FileDescription, name: str) -> bool:
    """Whether a file has a name, or a path of names such as `tree/branch`."""
    known = frozenset(_names(description))
    parts = [part for each in name.split("/") if (part := each.split(";")[0])]
    return name in known or name in _ALWAYS or all(part in known for part in parts)


def _is_cut(description: FileDescription) -> bool:
    return any(
        table.kind == "left out" or any(text in (table.note or "") for text in _CUT) for table in description.tables
    )


def _names(description: FileDescription) -> Iterator[str]:
    for table in description.tables:
        for name in (table.name, *(column.name for column in table.columns)):
            bare = name.split(";")[0]
            yield from (name, bare, *bare.split("/"), *bare.split("."))
