"""The gates that a candidate passes after its files were found in order: contents, probes, a second script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from snakemake_executor_plugin_llmagent.protocols import Job, Sandbox, Task
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
        beside: what a second run of a job's script may use while the first one goes on, where that is not what its rule
            says; None if there is no room for it, or if neither is kept from the other.
        desk: keeps something at hand, within the context, that makes the worker quicker with the files of a task and of
            a trial in a stage.
    """

    worker: Worker
    sandbox: Sandbox
    folder: Callable[[], Path]
    discard: Callable[[Path], None]
    tell: Callable[[str], None]
    beside: Callable[[Job], Mapping[str, object] | None] = lambda _: None
    desk: Callable[[Task, Path], AbstractContextManager[None]] = lambda *_: nullcontext()
