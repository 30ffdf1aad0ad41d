"""Checks that a rule names as `path.py:function`. They run in a process of their own."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from snakemake_executor_plugin_llmagent.checks import runner
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.protocols import Finding, Item, Severity, Trial
from snakemake_executor_plugin_llmagent.spec import Document
from snakemake_executor_plugin_llmagent.syntax import parse
from snakemake_executor_plugin_llmagent.text import clean

TIMEOUT_SECONDS = 600.0


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

    def __init__(self, document: Document) -> None:
        """Call the check that a document holds."""
        self._label = document.label
        self._path = document.path
        self._function = document.label.rpartition(":")[2]

    def __call__(self, trial: Trial) -> Iterable[Finding]:
        """Call it for a trial."""
        with tempfile.TemporaryDirectory(prefix="llmagent-check-") as folder:
            question, answer = Path(folder, "job.json"), Path(folder, "findings.json")
            question.write_text(json.dumps(self._question(trial), default=str), encoding="utf-8")
            # Neither our folder nor a `__pycache__` beside the person's file: it finds its own neighbours.
            command = (sys.executable, "-B", "-P", runner.__file__, str(question), str(answer))
            printed = self._run(command, trial.job.workdir, Path(folder, "log.txt"))
            if not answer.exists():
                raise ConfigError(f"The check {self._label!r} cannot be run:\n{clean(printed[-2000:])}")
            return [self._finding(entry) for entry in json.loads(answer.read_text(encoding="utf-8"))]

    def _run(self, command: Sequence[str], workdir: Path, log: Path) -> str:
        """Run the check to its end or to the time limit, with whatever it starts; returns what it printed."""
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command, cwd=workdir, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        try:
            process.wait(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise ConfigError(f"The check {self._label!r} did not end within {TIMEOUT_SECONDS:.0f} s.") from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return log.read_text(encoding="utf-8", errors="replace")

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
