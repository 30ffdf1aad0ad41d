"""What one reader of one format hands back, and what it says when its package is missing."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from snakemake_executor_plugin_llmagent.protocols import Table

EXTRA = "pip install 'snakemake-executor-plugin-llmagent[hep]'"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a reader found in a file.

    Attributes:
        tables: its objects.
        excerpt: a piece of it as text.
    """

    tables: tuple[Table, ...] = ()
    excerpt: str | None = None


class Unreadable(Exception):
    """A file is not what its format promises. The text says why, as a continuation of "The file …"."""


class ReaderMissing(Exception):
    """The package that reads a format is not installed. The text names it and how to get it."""


class NotLookedAt(Exception):
    """Nothing is known to be wrong with a file, but nothing here can look into it. The text says why."""


def need(module: str, package: str) -> Any:
    """An optional module.

    Args:
        module: what to import, such as `pyarrow.parquet`.
        package: what to install for it.

    Raises:
        ReaderMissing: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ReaderMissing(f"needs the package {package} to be read: {EXTRA}") from error


def left_out(what: str) -> Table:
    """A table that says what else the file holds.

    Args:
        what: such as `812 more objects were not looked at`.
    """
    return Table(name="", kind="left out", note=what)
