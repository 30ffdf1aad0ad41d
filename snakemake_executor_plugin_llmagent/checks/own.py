"""Checks that a rule names as `path.py:function`. They run in a process of their own."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from snakemake_executor_plugin_llmagent.checks import runner
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.protocols import Finding, Item, Severity, Trial
from snakemake_executor_plugin_llmagent.spec import Document

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
        tree = ast.parse(text)
    except OSError as error:
        raise ConfigError(f"The check {label!r} cannot be read: {path}: {error.strerror}.") from error
    except SyntaxError as error:
        raise ConfigError(f"The check {label!r} is not valid Python: {path}, line {error.lineno}: {error.msg}.") from None
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
            command = [sys.executable, runner.__file__, str(question), str(answer)]
            try:
                done = subprocess.run(
                    command, cwd=trial.job.workdir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT_SECONDS, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise ConfigError(f"The check {self._label!r} did not end within {TIMEOUT_SECONDS:.0f} s.") from None
            if not answer.exists():
                raise ConfigError(f"The check {self._label!r} cannot be run:\n{done.stdout[-2000:]}")
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
        return Finding(check=f"check.{self._label}", message=entry["message"], severity=severity)
