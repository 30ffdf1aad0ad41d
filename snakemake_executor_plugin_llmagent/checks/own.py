"""Checks that a rule names as `path.py:function`. They run in a process of their own."""

from __future__ import annotations

import ast
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from snakemake_executor_plugin_llmagent.checks import runner
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.protocols import Ending, Finding, Item, RunAside, Severity, Trial
from snakemake_executor_plugin_llmagent.spec import Document
from snakemake_executor_plugin_llmagent.syntax import parse
from snakemake_executor_plugin_llmagent.text import clean

_TOO_MUCH = {
    Ending.TIMEOUT: "did not end within the time limit of the rule (`timeout`)",
    Ending.LOG_FLOOD: "printed too much and was ended",
}


def load(label: str, base: Path) -> Document:
    """Read a check that a rule names, relative to the file that defines the rule.

    Raises:
        ConfigError: it is not of the form `path.py:function`, the file is missing or not Python, or has no such
            function.
    """
    file, separator, function = label.rpartition(":")
    if not separator or not file.endswith(".py") or not function.isidentifier():
        raise ConfigError(f"The check {label!r} is not of the form 'path.py:function'.")
    path = base / file
    try:
        text = path.read_text(encoding="utf-8")
        tree = parse(text)
    except OSError as error:
        raise ConfigError(f"The check {label!r} cannot be read: {path}: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise ConfigError(f"The check {label!r} cannot be read: {path} is not a text in UTF-8.") from None
    except SyntaxError as error:
        raise ConfigError(
            f"The check {label!r} is not valid Python: {path}, line {error.lineno}: {error.msg}."
        ) from None
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if function not in functions:
        known = ", ".join(functions) or "none"
        raise ConfigError(f"The file {path} has no function {function!r} for the check {label!r}; it has: {known}.")
    return Document(label=label, path=path, text=text)


class OwnCheck:
    """Calls a person's check `(job) -> list of findings`."""

    def __init__(self, document: Document, run: RunAside) -> None:
        """Call the check that a document holds; `run` runs its process to the end."""
        self._run = run
        self._label = document.label
        self._path = document.path
        self._function = document.label.rpartition(":")[2]

    def __call__(self, trial: Trial) -> Iterable[Finding]:
        """Call it for a trial."""
        # Beside the stage, where a later run sweeps up what a killed one leaves.
        beside = trial.layout.stage.parent if trial.layout is not None and trial.layout.stage.parent.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="llmagent-check-", dir=beside) as folder:
            question, answer = Path(folder, "job.json"), Path(folder, "findings.json")
            question.write_text(json.dumps(self._question(trial), default=str), encoding="utf-8")
            # Neither our folder nor a `__pycache__` beside the person's file: it finds its own neighbours.
            command = (sys.executable, "-B", "-P", runner.__file__, str(question), str(answer))
            log = Path(folder, "log.txt")
            ending = self._run(command, trial.job.workdir, log)
            if ending in _TOO_MUCH:
                raise ConfigError(f"The check {self._label!r} {_TOO_MUCH[ending]}.")
            if not answer.exists():
                raise ConfigError(f"The check {self._label!r} cannot be run:\n{_end_of(log)}")
            return [self._finding(entry) for entry in json.loads(answer.read_text(encoding="utf-8"))]

    def _question(self, trial: Trial) -> dict[str, object]:
        job, layout, execution = trial.job, trial.layout, trial.execution

        def files(items: Iterable[Item], inside: bool) -> list[tuple[str | None, str]]:
            return [(i.name, str(layout.inside(i) if inside and layout else job.real(i))) for i in items]

        return {
            "file": str(self._path),
            "function": self._function,
            "job": {
                "rule": job.rule,
                "input": files(job.inputs, inside=False),
                "output": files(job.outputs, inside=True),
                "params": dict(job.params),
                "wildcards": dict(job.wildcards),
                "script": trial.source,
                "log": execution.log if execution else "",
            },
        }

    def _finding(self, entry: dict[str, str]) -> Finding:
        severity = Severity.WARNING if entry.get("severity") == "warning" else Severity.ERROR
        return Finding(check=f"check.{self._label}", message=clean(entry["message"]), severity=severity)


def _end_of(log: Path, size: int = 2000) -> str:
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - size))
        return clean(handle.read().decode("utf-8", errors="replace"))
