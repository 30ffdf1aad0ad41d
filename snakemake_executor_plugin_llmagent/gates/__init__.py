"""The gates that a candidate passes after its files were found in order: contents, probes, a second script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_llmagent.protocols import Sandbox
from snakemake_executor_plugin_llmagent.trials import Worker


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What gates work with.

    Attributes:
        worker: carries out operations on files.
        sandbox: runs scripts.
        folder: makes up a place for a folder that is removed with the session's stages.
        discard: removes a folder.
        tell: says what happens.
    """

    worker: Worker
    sandbox: Sandbox
    folder: Callable[[], Path]
    discard: Callable[[Path], None]
    tell: Callable[[str], None]
