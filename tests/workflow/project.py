"""A project in a temporary directory, run by real Snakemake in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.loopback import Asked, ScriptedModel

SNAKEMAKE = (sys.executable, "-m", "snakemake")
LLMAGENT = (sys.executable, "-m", "snakemake_executor_plugin_llmagent.cli")
APPROVE = '{"verdict": "approve", "comments": "it does what is asked"}'


def fenced(source: str) -> str:
    """A coder's reply that holds a script."""
    return f"Here it is.\n\n```python\n{textwrap.dedent(source).strip()}\n```\n"


def team(*drafts: str, review: str = APPROVE) -> Any:
    """A scripted model: the drafts in order (the last one again and again), and one verdict for every review."""
    pending = list(drafts)

    def answer(asked: Asked) -> str:
        if asked.role == "supervisor":
            return review
        return fenced(pending.pop(0) if len(pending) > 1 else pending[0])

    return answer


@dataclass(frozen=True)
class Done:
    """A finished command."""

    returncode: int
    output: str
    seconds: float

    def __bool__(self) -> bool:
        return self.returncode == 0


@dataclass
class Project:
    """Files, and the commands that work on them.

    Attributes:
        root: the working directory.
        env: what the commands' environment has beside a clean one.
    """

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def write(self, name: str, text: str) -> Path:
        """Write a file, its text dedented."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def snakefile(self, text: str, name: str = "Snakefile") -> Path:
        """Write a Snakefile."""
        return self.write(name, text)

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.root / name).read_text()

    def json(self, name: str) -> Any:
        """Read a JSON file."""
        return json.loads(self.read(name))

    def environment(self) -> dict[str, str]:
        """The environment of commands: this one without any key or setting of a model."""
        others = ("OPENAI", "ANTHROPIC", "SNAKEMAKE", "LLMAGENT", "XDG_CONFIG")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        kept["HOME"] = str(self.root.parent / f"{self.root.name}-home")
        Path(kept["HOME"]).mkdir(exist_ok=True)
        return {**kept, **self.env}

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start Snakemake and do not wait."""
        return subprocess.Popen(
            (*SNAKEMAKE, *arguments), cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **options,
        )  # fmt: skip

    def snakemake(self, *arguments: str, cores: int = 2) -> Done:
        """Run Snakemake as it is without the plugin's executor."""
        return self._run((*SNAKEMAKE, "--cores", str(cores), *arguments))

    def run(self, *arguments: str, cores: int = 2, model: str = "openai:scripted") -> Done:
        """Run Snakemake with the plugin's executor and a model."""
        chosen = ("--llmagent-model", model) if model else ()
        return self.snakemake("--executor", "llmagent", *chosen, *arguments, cores=cores)

    def llmagent(self, *arguments: str) -> Done:
        """Run the command `llmagent`."""
        return self._run((*LLMAGENT, *arguments))

    def _run(self, command: tuple[str, ...]) -> Done:
        started = time.monotonic()
        done = subprocess.run(
            command, cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=240, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, time.monotonic() - started)

    def states(self) -> Mapping[str, str]:
        """Agent rule → state."""
        done = self.llmagent("status", "--json")
        return {rule["rule"]: rule["state"] for rule in json.loads(done.output)["rules"]}

    def uses(self, server: ScriptedModel, provider: str = "openai") -> None:
        """Point the commands at a scripted model."""
        self.env.update(server.env(provider))

    def events(self, rule: str) -> list[dict[str, Any]]:
        """The events of all sessions of a rule, in order."""
        files = sorted((self.root / ".snakemake/llmagent/sessions" / rule).glob("*/events.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and its group, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
