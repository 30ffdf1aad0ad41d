"""What the real checks say of a script of the corpus: static look, sandboxed trial, files, contents, contracts, probes.

A workshop of the real assembly does what it does in a run, up to the review; the model in it raises if it is asked.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from snakemake_executor_plugin_llmagent.assembly import Assembly, Settings
from snakemake_executor_plugin_llmagent.authoring import Workshop, try_out
from snakemake_executor_plugin_llmagent.config import DEFAULTS, KEY_VARIABLES, Keys, Options
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity
from snakemake_executor_plugin_llmagent.roles import Draft
from tests.corpus.jobs import CorpusTask, spec_of
from tests.corpus.problems import Problem, inputs_of

OPTIONS = Options(model="openai:never-asked", supervision="none", timeout=120.0).over(DEFAULTS)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a script before anybody would review it.

    Attributes:
        findings: all of them.
        evidence: what gates have shown.
        log: what the script printed, None if it was not run.
        seconds: how long all of it took [s].
    """

    findings: tuple[Finding, ...]
    evidence: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    log: str | None = None
    seconds: float = 0.0

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop it."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def rejected(self) -> bool:
        """Whether it is sent back."""
        return bool(self.errors)

    @property
    def caught_by(self) -> str:
        """The findings that stop it, or that something warns of it."""
        names = dict.fromkeys(finding.check for finding in self.errors)
        if names:
            return ", ".join(names)
        warnings = ", ".join(dict.fromkeys(finding.check for finding in self.findings))
        return f"warned of by {warnings}" if warnings else "nothing"


class Court:
    """Judges scripts; use it as a context manager."""

    def __init__(self, folder: Path, store: Path | None = None) -> None:
        """Work in a folder; inputs are made in the store, which several processes may share."""
        self._folder = folder
        self._store = store or folder / "inputs"
        self._shops: dict[str, tuple[Assembly, Workshop]] = {}
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for assembly, _ in self._shops.values():
            assembly.close()

    def judge(self, problem: Problem, script: str) -> Verdict:
        """What the checks say of a script."""
        spec, workdir = spec_of(problem), self._folder / problem.name
        shop = self._shop(problem, workdir)
        started = time.monotonic()
        attempt = try_out(shop, spec, CorpusTask(problem, workdir), Draft(source=script), number=1)
        if attempt.layout is not None:
            shop.discard(attempt.layout.stage)
        return Verdict(
            findings=attempt.findings, evidence=attempt.evidence, seconds=time.monotonic() - started,
            log=None if attempt.execution is None else attempt.execution.log,
        )  # fmt: skip

    def _shop(self, problem: Problem, workdir: Path) -> Workshop:
        with self._opening:
            if problem.name not in self._shops:
                shutil.copytree(inputs_of(problem, self._store), workdir)
                assembly = Assembly(_settings(workdir))
                shop = assembly.workshop(spec_of(problem), OPTIONS, tell=lambda *_: None)
                self._shops[problem.name] = assembly, shop
            return self._shops[problem.name][1]


def _settings(workdir: Path) -> Settings:
    return Settings(
        options=OPTIONS, record=None, read_keys=Keys, context_tokens=None, locked=True, workdir=workdir,
        environment={name: value for name, value in os.environ.items() if name not in KEY_VARIABLES},
        cancelled=threading.Event(),
    )  # fmt: skip
