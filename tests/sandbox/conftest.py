"""What the attacks share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sandbox import batches
from tests.sandbox.batches import Batch, User

GetBatch = Callable[[User, str], Batch]


@pytest.fixture(scope="session")
def batch(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GetBatch:
    """The verdicts of one user against one wall; only attacks that this session asks for are run."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "attack" in callspec.params:
            slot = (callspec.params["user"], callspec.params["backend"])
            wanted.setdefault(slot, []).append(callspec.params["attack"])
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = Path(shared, "attacks")
    folder.mkdir(exist_ok=True)

    def get(user: User, backend: str) -> Batch:
        return batches.get(user, backend, wanted[user, backend], folder)

    return get
