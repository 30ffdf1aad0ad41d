"""The package's own way to bring outputs out of a stage."""

from __future__ import annotations

import os
from pathlib import Path

from snakemake_executor_plugin_llmagent.errors import AgentError
from snakemake_executor_plugin_llmagent.sandbox import collect, layout


def publish(stage: Path, moves: list[tuple[Path, Path]]) -> str:
    """Move those that are there; says what was refused."""
    try:
        collect.publish([move for move in moves if os.path.lexists(move[0])], stage=stage)
    except AgentError as error:
        return f"refused: {error}"
    return "published"


def cleans_up(stage: Path) -> str:
    """Remove a stage as the package does; says why not."""
    try:
        layout.remove(stage)
    except Exception as error:  # whatever it is, a run would die of it
        return f"{type(error).__name__}: {error}"
    return "it is still there" if stage.exists() else ""
