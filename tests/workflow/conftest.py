from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.project import Project
from tests.workflow.sessions import assert_sessions_fit


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    root = tmp_path / "project"
    root.mkdir()
    yield Project(root)


@pytest.fixture(autouse=True)
def sessions_fit_their_schema(tmp_path: Path) -> Iterator[None]:
    """Whatever a test here has had authored: what was written down about it is what the schema says."""
    yield
    assert_sessions_fit(tmp_path)
