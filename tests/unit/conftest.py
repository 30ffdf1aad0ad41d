"""What unit tests share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox.process import Limits
from snakemake_executor_plugin_llmagent.sandbox.staged import StagedSandbox
from snakemake_executor_plugin_llmagent.sandbox.warden import Warden

MakeSandbox = Callable[..., StagedSandbox]


@pytest.fixture
def warden() -> Iterator[Warden]:
    warden = Warden()
    yield warden
    warden.end_scripts()
    warden.close()


@pytest.fixture
def make_sandbox(tmp_path: Path, warden: Warden) -> MakeSandbox:
    """Makes sandboxes; may be given limits, an outer environment and an event that cancels."""

    def make(
        seconds: float = 120.0, outer: dict[str, str] | None = None, cancelled: threading.Event | None = None
    ) -> StagedSandbox:
        return StagedSandbox(
            outer={"PATH": os.environ.get("PATH", os.defpath)} if outer is None else outer,
            cache=tmp_path / "cache",
            limits=Limits(seconds=seconds),
            warden=warden,
            cancelled=cancelled or threading.Event(),
        )

    return make
