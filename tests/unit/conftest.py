"""What unit tests share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from snakemake_executor_plugin_llmagent.sandbox.confined import ConfinedSandbox, Ground
from snakemake_executor_plugin_llmagent.sandbox.walls import choose
from snakemake_executor_plugin_llmagent.sandbox.warden import Warden

MakeSandbox = Callable[..., ConfinedSandbox]


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
        seconds: float = 120.0,
        outer: dict[str, str] | None = None,
        cancelled: threading.Event | None = None,
        wanted: str = "auto",
        readable: tuple[Path, ...] = (),
        max_abi: int | None = None,
    ) -> ConfinedSandbox:
        home = tmp_path / "llmagent"
        ground = Ground(
            project=tmp_path / "project",
            home=home,
            outer={"PATH": os.environ.get("PATH", os.defpath)} if outer is None else outer,
            readable=readable,
            walls=partial(choose, wanted, home / "cache", max_abi=max_abi),
        )
        return ConfinedSandbox(ground=ground, timeout=seconds, warden=warden, cancelled=cancelled or threading.Event())

    return make
