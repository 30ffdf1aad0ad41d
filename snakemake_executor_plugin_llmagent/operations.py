"""Operations of ours on files that nobody trusts, carried out in confined processes.

Started by `sandbox/alone.py work OPERATION QUESTION ANSWER` for one of them, or `serve NAMES` for several one after the
other, with the usual packages and without those of Snakemake.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from snakemake_executor_plugin_llmagent.data.load import make_ready

PACKAGE = "snakemake_executor_plugin_llmagent"
OPERATIONS: Mapping[str, str] = {
    "measure": "data.measure",
    "examine": "checks.examine",
    "alter": "probes.alter",
    "mask": "blinding.mask",
    "first": "probes.first",
    "thumbnails": "formats.image",
    "described": "formats.tell",
}
"""Operation → module with a function of the same name: question (a mapping) → answer (what JSON can hold)."""


BESIDE_TRIALS = ("alter", "described", "examine")
"""Operations that are asked for at every trial."""
END = "end"
"""A file of this name in the working directory of `serve` says that nothing more will be asked."""
PAUSE_SECONDS = 0.005


def work(operation: str, question: str, answer: str) -> int:
    """Carry out an operation on the question in a file; the answer goes to another one."""
    _answer(operation, json.loads(Path(question).read_text(encoding="utf-8")), Path(answer))
    return 0


def serve(names: str) -> NoReturn:
    """Carry out operations one after the other: `question-N.json` in the working directory becomes `answer-N.json`.

    Args:
        names: a file with a JSON list of paths such as will be read; what reads them is loaded at once.
    """
    for operation in BESIDE_TRIALS:
        _module(operation)
    for name in json.loads(Path(names).read_text(encoding="utf-8")):
        make_ready(Path(name))
    number = 1
    while not Path(END).exists():
        try:
            asked = json.loads(question_file(number).read_text(encoding="utf-8"))
        except FileNotFoundError:
            time.sleep(PAUSE_SECONDS)
            continue
        _answer(asked["operation"], asked["question"], answer_file(number))
        number += 1
    os._exit(0)  # libraries need not tidy up here, which would take as long as an operation


def question_file(number: int) -> Path:
    """Where `serve` looks for a question, counted from 1."""
    return Path(f"question-{number}.json")


def answer_file(number: int) -> Path:
    """Where `serve` puts an answer."""
    return Path(f"answer-{number}.json")


def _module(operation: str) -> ModuleType:
    return import_module(f"{PACKAGE}.{OPERATIONS[operation]}")


def _answer(operation: str, asked: dict[str, Any], answer: Path) -> None:
    function: Callable[[Mapping[str, Any]], Any] = getattr(_module(operation), operation)
    try:
        told = {"answer": function(asked)}
    except Exception as error:
        told = {"problem": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    made = answer.with_name(f"{answer.name}.part")
    made.write_text(json.dumps(told, default=str), encoding="utf-8")
    made.replace(answer)
