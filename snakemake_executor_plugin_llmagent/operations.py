"""Operations of ours on files that nobody trusts, each carried out in a confined process of its own.

Started by `sandbox/alone.py work OPERATION QUESTION ANSWER`, with the usual packages and without those of Snakemake.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = "snakemake_executor_plugin_llmagent"
OPERATIONS: Mapping[str, str] = {
    "measure": "data.measure",
    "examine": "checks.examine",
    "alter": "probes.alter",
    "mask": "blinding.mask",
    "first": "probes.first",
    "thumbnails": "formats.image",
}
"""Operation → module with a function of the same name: question (a mapping) → answer (what JSON can hold)."""


def work(operation: str, question: str, answer: str) -> int:
    """Carry out an operation on the question in a file; the answer goes to another one."""
    asked: dict[str, Any] = json.loads(Path(question).read_text(encoding="utf-8"))
    module = import_module(f"{PACKAGE}.{OPERATIONS[operation]}")
    function: Callable[[Mapping[str, Any]], Any] = getattr(module, operation)
    try:
        told = {"answer": function(asked)}
    except Exception as error:
        told = {"problem": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    Path(answer).write_text(json.dumps(told, default=str), encoding="utf-8")
    return 0
