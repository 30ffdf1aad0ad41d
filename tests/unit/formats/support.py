"""Small files of every format, and how much of a file was read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.formats import describe
from snakemake_executor_plugin_llmagent.protocols import Column, FileDescription, Table

DATA = Path(__file__).parents[4] / "shared" / "data"
IO = Path("/proc/self/io")


def real_file(name: str) -> Path:
    """A published file; the test is skipped where the files are not at hand."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the published file {name} is not at hand")
    return path


def table(description: FileDescription, name: str = "") -> Table:
    """The table of this name, of a file that opened."""
    assert description.opened is True, description.problem
    return next(each for each in description.tables if each.name == name)


def column(described: Table, name: str) -> Column:
    return next(each for each in described.columns if each.name == name)


def bytes_read(action: Callable[[], object]) -> int:
    """How much this process reads from anywhere while it does something [bytes]."""
    if not IO.exists():
        pytest.skip("the system does not count what a process reads")

    def count() -> int:
        return int(next(line for line in IO.read_text().splitlines() if line.startswith("rchar")).split()[1])

    start = count()
    overhead = count() - start
    before = count()
    action()
    return count() - before - overhead


def read_by_describe(path: Path, warm_up: Path) -> int:
    """How much is read to describe a file [bytes]; a small file is described first, for the imports."""
    assert describe(warm_up).opened
    return bytes_read(lambda: describe(path))
