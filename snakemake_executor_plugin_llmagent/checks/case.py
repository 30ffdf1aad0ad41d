"""What checks of contents and contracts are shown of a trial, inside of the confined process that looks into its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.data.contents import CannotRead, Contents, Histogram
from snakemake_executor_plugin_llmagent.data.load import format_of, load

MOST_ENTRIES = 2_000_000
"""How many first entries of a table are looked at."""


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
        if not self.place.is_file():
            return None
        try:
            return load(self.place, limit=MOST_ENTRIES)
        except CannotRead:
            return None


@dataclass(frozen=True, kw_only=True)
class Case:
    """A trial to be judged by its files.

    Attributes:
        text: the sentence.
        source: the script.
        inputs, outputs: the files.
        params, wildcards: values of the job.
        slice: how many first entries of its inputs the script was given, 0 for all.
    """

    text: str
    source: str
    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    wildcards: Mapping[str, str] = field(default_factory=dict)
    slice: int = 0

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


def case_of(asked: Mapping[str, Any]) -> Case:
    """The case that a question describes."""

    def parts(entries: list[dict[str, Any]]) -> tuple[Part, ...]:
        return tuple(Part(name=one["name"], path=one["path"], place=Path(one["place"])) for one in entries)

    return Case(
        text=asked["text"], source=asked["source"], inputs=parts(asked["inputs"]), outputs=parts(asked["outputs"]),
        params=asked["params"], wildcards=asked["wildcards"], slice=asked["slice"],
    )  # fmt: skip
