"""Describes files in a process of its own, where a file that breaks its reader breaks nothing else.

Started by `sandbox/alone.py describe QUESTION ANSWER` with the usual packages, without those of Snakemake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any


def tell(question: str, answer: str) -> int:
    """Describe the files that a question (a JSON list of paths) names, one line of JSON for each, in order.

    Each line is written as soon as it is known: if a file ends this process, those before it are described.
    """
    paths: Sequence[str] = json.loads(Path(question).read_text(encoding="utf-8"))
    with Path(answer).open("w", encoding="utf-8") as sink:
        for path in paths:
            sink.write(json.dumps(_told(path), default=str) + "\n")
            sink.flush()
    return 0


def described(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operation that describes files: `paths`, all at once."""
    return list(map(_told, asked["paths"]))


def _told(path: str) -> dict[str, Any]:
    from snakemake_executor_plugin_llmagent.formats import describe

    return asdict(describe(Path(path)))
