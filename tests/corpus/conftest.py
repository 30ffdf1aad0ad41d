from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.judge import Court
from tests.corpus.tables import Row, markdown

PROPERTY = "corpus"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the inputs of tasks are made once, for all workers."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "corpus-inputs"


@pytest.fixture(scope="session")
def court(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Court]:
    with Court(tmp_path_factory.mktemp("court"), store) as court:
        yield court


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show the table of what was judged, whichever workers did it."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    found = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
    rows = [Row(**row) for rows in found for row in rows]
    if rows:
        terminalreporter.section("corpus")
        terminalreporter.write(markdown(rows))
