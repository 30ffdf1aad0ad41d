"""Checks of what the outputs hold, from the same descriptions that the author was shown of the inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from snakemake_executor_plugin_llmagent.checks.files import label
from snakemake_executor_plugin_llmagent.protocols import (
    Column,
    Describe,
    FileDescription,
    Finding,
    Item,
    Severity,
    Table,
    Trial,
)
from snakemake_executor_plugin_llmagent.spec import Kind
from snakemake_executor_plugin_llmagent.text import one_line

_NAN = re.compile(r"\bnans?\b", re.IGNORECASE)
MANY = 20
"""From so many values on, a table in which nothing varies is not a result [values]."""


class ContentCheck:
    """Every output opens in its format, and its numbers are numbers that vary."""

    def __init__(self, describe: Describe) -> None:
        """Check with the descriptions that `describe` gives."""
        self._describe = describe

    def __call__(self, trial: Trial) -> Iterable[Finding]:
        """Look into the outputs of a trial."""
        if trial.layout is None:
            return
        for item in trial.job.outputs:
            place = trial.layout.inside(item)
            if item.kind is not Kind.DIRECTORY and place.is_file() and place.stat().st_size:
                yield from _look(item, self._describe(place), trial.spec.text)


def _look(item: Item, description: FileDescription, text: str) -> Iterable[Finding]:
    name = label(item, "snakemake.output")
    if description.opened is False:
        problem = description.problem or "it does not open"
        yield Finding(
            check="output.unreadable",
            message=f"The output {name} is not a readable {description.format} file: {problem}.",
        )
        return
    for table in description.tables:
        yield from _numbers(name, table, description.format, text)
    yield from _nothing_varies(name, description)


def _numbers(name: str, table: Table, file_format: str, text: str) -> Iterable[Finding]:
    where = f" in `{one_line(table.name)}`" if table.name else ""
    for column in table.columns:
        values = f"values of `{one_line(column.name)}`{where} of {name}"
        if column.n_values and column.n_nonfinite == column.n_values:
            yield Finding(
                check="output.all_nan",
                message=f"All {column.n_values} {values} are NaN or infinite.",
            )
        elif column.n_nonfinite and not _NAN.search(text):
            yield Finding(
                check="output.some_nan",
                severity=Severity.WARNING,
                message=f"{column.n_nonfinite} of {column.n_values} {values} are NaN or infinite.",
            )
        if file_format == "image" and column.name == "pixels" and column.n_distinct_capped == 1:
            yield Finding(check="output.constant", message=f"The image {name} shows nothing: all pixels are the same.")


def _nothing_varies(name: str, description: FileDescription) -> Iterable[Finding]:
    if description.format == "image":
        return
    columns = [column for table in description.tables for column in table.columns]
    # A column of one value (a key of a JSON object, a table of one row) cannot vary, and says nothing.
    repeated = [column for column in columns if column.n_values > 1]
    if sum(column.n_values for column in repeated) >= MANY and all(map(_constant, repeated)):
        yield Finding(
            check="output.constant",
            message=f"Nothing varies in {name}: every number in it is the same within its column.",
        )


def _constant(column: Column) -> bool:
    return column.n_distinct_capped == 1 and column.n_nonfinite < column.n_values
