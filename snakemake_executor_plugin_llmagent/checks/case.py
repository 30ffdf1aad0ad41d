"""What checks of contents and contracts are shown of a trial, inside the confined process that reads its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.data.contents import CannotRead, Contents, Histogram, Sheet
from snakemake_executor_plugin_llmagent.data.load import format_of, load

MOST_ENTRIES = 2_000_000
"""How many first entries of a table are looked at."""
GLANCE = 10_000
"""How many first entries tell what a column is like."""
SMALL = 4 << 20
"""A file that is smaller is read as a whole at once [bytes]."""
TABLES = frozenset({"root", "parquet", "npz", "npy", "csv", "hdf5"})
"""Formats whose sheets are tables of events or of results, and no parts of a document."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Something that a check of contents or a contract noticed; becomes a `Finding`.

    Attributes:
        check: stable name, such as `weights.all_one`.
        message: what is wrong where, and what to mend.
        warning: whether it is shown without stopping the candidate.
    """

    check: str
    message: str
    warning: bool = False


class Needs(Exception):
    """A contract does not find what it needs; the text says what that is, and where it was looked for."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One input or output of the job.

    Attributes:
        name: the keyword in the rule, None for a positional entry.
        path: as the rule gives it, for messages.
        place: where it can be read now.
    """

    name: str | None
    path: str
    place: Path

    @property
    def label(self) -> str:
        """How a message names it."""
        return f"`{self.path}`" + (f" (`{self.name}`)" if self.name else "")

    @property
    def format(self) -> str:
        """What its name says that it is, such as `parquet`; empty for what cannot be read as data."""
        return format_of(self.place) or format_of(Path(self.path))

    @cached_property
    def contents(self) -> Contents | None:
        """What it holds; None if that cannot be read as data."""
        return self._read(MOST_ENTRIES)

    @cached_property
    def glance(self) -> Contents | None:
        """The same with the first entries of tables alone, which takes less time."""
        small = self.place.is_file() and self.place.stat().st_size < SMALL
        return self.contents if small or "contents" in self.__dict__ else self._read(GLANCE)

    def _read(self, limit: int) -> Contents | None:
        if not self.place.is_file():
            return None
        try:
            return load(self.place, limit=limit)
        except CannotRead:
            return None

    @property
    def tables(self) -> tuple[Sheet, ...]:
        """Its tables; none for documents."""
        return self.contents.sheets if self.format in TABLES and self.contents is not None else ()

    @property
    def first_rows(self) -> tuple[Sheet, ...]:
        """Its tables, of which only the first entries need to be there."""
        return self.glance.sheets if self.format in TABLES and self.glance is not None else ()


@dataclass(frozen=True, kw_only=True)
class Sibling:
    """An output of another job of the rule that is as long as one of this job.

    Attributes:
        wildcards: of the other job.
        path: as the rule would give it.
        place: where it can be read.
        own: path of the output of this job in whose place it stands there.
        inputs: of this job and in their place there, as far as both can be found.
    """

    wildcards: Mapping[str, str]
    path: str
    place: Path
    own: str
    inputs: tuple[tuple[Path, Path], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """A trial to be judged by its files.

    Attributes:
        text: the sentence.
        source: the script.
        inputs, outputs: the files.
        params, wildcards: values of the job.
        slice: how many first entries of its inputs the script was given, 0 for all.
        siblings: outputs of other jobs of the rule that may be the same.
        blinded: whether inputs are masked twins of the data.
    """

    text: str
    source: str
    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    wildcards: Mapping[str, str] = field(default_factory=dict)
    slice: int = 0
    siblings: tuple[Sibling, ...] = ()
    blinded: bool = False

    def documents(self) -> Iterator[tuple[Part, Any]]:
        """The outputs that are JSON or YAML, and what they hold."""
        for part in self.outputs:
            if part.contents is not None and part.contents.document is not None:
                yield part, part.contents.document

    def histograms(self) -> Iterator[tuple[Part, Histogram]]:
        """All histograms among the outputs."""
        for part in self.outputs:
            if part.contents is not None:
                for histogram in part.contents.histograms:
                    yield part, histogram

    def tables(self) -> Iterator[tuple[Part, Sheet]]:
        """All tables among the outputs."""
        for part in self.outputs:
            for sheet in part.tables:
                yield part, sheet


def case_of(asked: Mapping[str, Any]) -> Case:
    """The case that a question describes."""

    def parts(entries: list[dict[str, Any]]) -> tuple[Part, ...]:
        return tuple(Part(name=one["name"], path=one["path"], place=Path(one["place"])) for one in entries)

    siblings = tuple(
        Sibling(
            wildcards=one["wildcards"], path=one["path"], place=Path(one["place"]), own=one["own"],
            inputs=tuple((Path(here), Path(there)) for here, there in one["inputs"]),
        )
        for one in asked.get("siblings", ())
    )  # fmt: skip
    return Case(
        text=asked["text"], source=asked["source"], inputs=parts(asked["inputs"]), outputs=parts(asked["outputs"]),
        params=asked["params"], wildcards=asked["wildcards"], slice=asked["slice"], siblings=siblings,
        blinded=asked.get("blinded", False),
    )  # fmt: skip
