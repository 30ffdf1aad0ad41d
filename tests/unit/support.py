"""Small builders that unit tests share: specs, jobs, trials, and models without a server."""

from __future__ import annotations

import os
import textwrap
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_llmagent.protocols import (
    Access,
    Completion,
    Confinement,
    Ending,
    Execution,
    Finding,
    Item,
    Job,
    Layout,
    Program,
    Request,
    RunAside,
    Stop,
    Trial,
    Usage,
)
from snakemake_executor_plugin_llmagent.sandbox.confined import run_unconfined
from snakemake_executor_plugin_llmagent.spec import Kind, Slot, Spec

APPROVE = '{"verdict": "approve", "comments": "it does what is asked"}'
REVISE = '{"verdict": "revise", "comments": "use the weights"}'
SCRIPT = """\
from pathlib import Path

text = Path(snakemake.input.data).read_text()
Path(snakemake.output.fit).write_text(text.upper())
"""


def fenced(source: str, tag: str = "python") -> str:
    """A reply of a coder that holds a script."""
    return f"Here it is.\n\n```{tag}\n{textwrap.dedent(source).strip()}\n```\n"


def a_spec(**changes: Any) -> Spec:
    """What a rule `fit` asks for."""
    values: dict[str, Any] = {
        "rule": "fit",
        "text": "fit the mass",
        "inputs": (Slot(name="data", kind=Kind.FILE, suffixes=(".txt",)),),
        "outputs": (Slot(name="fit", kind=Kind.FILE, suffixes=(".txt",)),),
    }
    return Spec(**{**values, **changes})


def a_job(workdir: Path, **changes: Any) -> Job:
    """A job of the rule `fit`, with an input and an output."""
    values: dict[str, Any] = {
        "rule": "fit",
        "workdir": workdir,
        "inputs": (Item(name="data", path="data.txt"),),
        "outputs": (Item(name="fit", path="results/fit.txt"),),
    }
    return Job(**{**values, **changes})


def an_execution(**changes: Any) -> Execution:
    """A run that ended well and opened its input."""
    values: dict[str, Any] = {
        "ending": Ending.EXIT,
        "returncode": 0,
        "seconds": 1.0,
        "log": "",
        "access": {"data.txt": Access(opened=True, read=True)},
        "sandbox": Confinement(backend="test"),
    }
    return Execution(**{**values, **changes})


def a_trial(stage: Path, outputs: Iterable[Item] = (), **changes: Any) -> Trial:
    """A trial whose outputs lie in a stage under their declared paths."""
    items = tuple(outputs) or (Item(name="fit", path="fit.txt"),)
    values: dict[str, Any] = {
        "spec": a_spec(),
        "job": a_job(stage.parent, outputs=items),
        "source": SCRIPT,
        "layout": Layout(stage=stage, links={}, paths={item.path: item.path for item in items}),
        "execution": an_execution(),
    }
    return Trial(**{**values, **changes})


def run_aside(seconds: float = 120.0, cancelled: threading.Event | None = None) -> RunAside:
    """What runs a person's checks."""

    def run(command: tuple[str, ...], directory: Path, log: Path) -> Ending:
        return run_unconfined(
            command, directory=directory, environment=os.environ, log=log, seconds=seconds, token=uuid.uuid4().hex,
            cancelled=cancelled or threading.Event(),
        )  # fmt: skip

    return run


def names(findings: Iterable[Finding]) -> list[str]:
    """The names of findings."""
    return [finding.check for finding in findings]


class Scripted:
    """A model that gives one reply after the other and remembers what it was asked."""

    def __init__(self, *replies: str | Completion, name: str = "openai:scripted") -> None:
        self.name = name
        self.asked: list[Request] = []
        self._replies = list(replies)

    def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        assert self._replies, f"{self.name} was asked once too often: {request.messages[-1].content}"
        reply = self._replies.pop(0)
        return reply if isinstance(reply, Completion) else completion(reply)

    @property
    def silent(self) -> bool:
        """Whether it has nothing more to say."""
        return not self._replies


def completion(text: str, stop: Stop = Stop.END) -> Completion:
    """A reply."""
    return Completion(text=text, stop=stop, model="scripted-1", usage=Usage(input_tokens=1, output_tokens=1))


class FileTask:
    """A task that needs no Snakemake: its `snakemake` object is a few lines in front of the script."""

    @property
    def environment(self) -> str:
        return ""

    def __init__(self, job: Job, python: str, bystanders: frozenset[Path] | None = frozenset()) -> None:
        self.job = job
        self._python = python
        self._bystanders = bystanders

    def program(self, source: str, layout: Layout) -> Program:
        def named(items: tuple[Item, ...]) -> dict[str, str]:
            return {item.name or f"_{index}": layout.paths[item.path] for index, item in enumerate(items)}

        preamble = (
            "from types import SimpleNamespace as _N\n"
            f"snakemake = _N(input=_N(**{named(self.job.inputs)!r}), output=_N(**{named(self.job.outputs)!r}), "
            f"wildcards=_N(**{dict(self.job.wildcards)!r}), params=_N(**{dict(self.job.params)!r}))\n"
        )
        return Program(text=preamble + source, lines_before=2, python=self._python)

    def bystanders(self) -> frozenset[Path] | None:
        return self._bystanders


__all__ = [
    "APPROVE", "REVISE", "SCRIPT", "FileTask", "Item", "Kind", "Scripted", "a_job", "a_spec", "a_trial", "an_execution",
    "completion", "fenced", "names", "run_aside",
]  # fmt: skip
