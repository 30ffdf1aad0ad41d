"""The gate of probes: a candidate is run again on altered copies of its inputs, and its results must respond."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.gates.aside import Aside
from snakemake_executor_plugin_llmagent.probes.lab import Lab
from snakemake_executor_plugin_llmagent.probes.named import STABLE, Named
from snakemake_executor_plugin_llmagent.probes.usual import Usual
from snakemake_executor_plugin_llmagent.protocols import Job, Task, Trial
from snakemake_executor_plugin_llmagent.spec import Call, Spec
from snakemake_executor_plugin_llmagent.trials import Ahead, Evidence, First, Gate, OnSlices, StandIn

MOST_COPIED = 64 << 20
"""So much is copied before a trial, so that its probes can be begun [bytes]; more would take longer than it saves."""


def probes_gate(bench: Bench, first: First) -> Gate:
    """The usual probes and those that a rule names; `first` cuts large inputs down to their first entries."""
    probes = _Probes(bench, first)
    return Gate(name="probes", judge=probes.judge, on_slices=OnSlices.ONLY, ahead=probes.ahead)


def named(spec: Spec) -> tuple[Call, ...]:
    """The probes that a rule names, and what else takes a second run: the contract `stable_seed`."""
    return (*(spec.probes or ()), *(call for call in spec.contracts if call.name == STABLE))


class _Begun:
    """The usual probes of one trial, made beside it and beside the checks that look at it; implements `Ahead`."""

    def __init__(self, usual: Usual, *, early: bool, known: dict[Path, _Begun], clear: Callable[[], None]) -> None:
        """Begin now, or once the trial is over.

        Args:
            usual: the probes.
            early: whether there is room for them beside the trial.
            known: stage of a trial → its probes, as long as these are not ended.
            clear: removes what they leave.
        """
        self._usual = usual
        self._known = known
        self._clear = clear
        self._made = Aside(usual.begin, "usual probes")
        self._told: Aside[None] | None = None
        self._stage: Path | None = None
        if early:
            self._made.start()

    def ran(self, trial: Trial) -> None:
        """The trial is over."""
        assert trial.layout is not None
        self._stage = trial.layout.stage
        self._known[self._stage] = self
        self._made.start()
        self._told = Aside(partial(self._usual.ran, trial), "pace of the usual probes")
        self._told.start()

    def evidence(self) -> Evidence:
        """What they show, once they are made."""
        assert self._told is not None
        self._told.result()
        return self._usual.judge(self._made.result())

    def end(self) -> None:
        """Wait until nothing of it is left; what was not begun is not begun any more."""
        try:
            self._usual.enough()
        finally:
            self._made.wait()
            if self._told is not None:
                self._told.wait()
            if self._stage is not None:
                del self._known[self._stage]
            self._clear()


def _copied(job: Job, folder: Path) -> dict[str, Path] | None:
    """Copies of inputs, for those who read them while the script runs: who opens an input then is taken for the script.

    None if they are too large, or no ordinary files, or if there is no place for them.
    """
    places = {item.path: job.real(item) for item in job.inputs}
    copies = {path: folder / str(number) / place.name for number, (path, place) in enumerate(places.items())}
    try:
        if not all(place.is_file() for place in places.values()):
            return None
        if sum(place.stat().st_size for place in places.values()) > MOST_COPIED:
            return None
        for path, copy in copies.items():
            copy.parent.mkdir(parents=True)
            shutil.copyfile(places[path], copy)
    except OSError:
        return None  # the disk is full, perhaps: the trial itself has to say so
    return copies


class _Probes:
    """Judges candidates."""

    def __init__(self, bench: Bench, first: First) -> None:
        """Prepare."""
        self._bench = bench
        self._first = first
        self._begun: dict[Path, _Begun] = {}

    def ahead(self, task: Task, trial: Trial, stage: Path) -> Ahead | None:
        """Begin the usual probes of a trial, unless its rule wants none."""
        if trial.spec.probes == ():
            return None
        folder, beside = self._folder(), stage.with_name(f"{stage.name}.inputs")

        def clear() -> None:
            self._bench.discard(folder)
            self._bench.discard(beside)

        resources = self._bench.beside(task.job) if trial.execution is None else None
        copies = None if resources is None else _copied(task.job, beside)
        if copies is None:
            self._bench.discard(beside)
        lab = self._lab(StandIn(task, copies or {}), trial, folder)
        usual = Usual(lab, alone=trial.spec.probes is None, resources=None if copies is None else resources)
        return _Begun(usual, early=copies is not None, known=self._begun, clear=clear)

    def judge(self, task: Task, trial: Trial) -> Evidence:
        """What the probes show of a trial."""
        usual, calls = Evidence(), named(trial.spec)
        if trial.spec.probes != ():
            usual = self._usual(task, trial)
        if not calls:
            return usual
        folder = self._folder()
        try:
            lab = self._lab(task, trial, folder)
            asked = Named(self._on_slice(lab), calls).judge()
        finally:
            self._bench.discard(folder)
        said = {finding.check for finding in asked.findings}
        more = [finding for finding in usual.findings if finding.check not in said]
        return Evidence(findings=(*more, *asked.findings), results={**usual.results, **asked.results})

    def _usual(self, task: Task, trial: Trial) -> Evidence:
        """What the usual probes show, whether they were begun before or not."""
        assert trial.layout is not None
        begun = self._begun.get(trial.layout.stage)
        if begun is not None:
            return begun.evidence()
        ahead = self.ahead(task, trial, trial.layout.stage)
        assert ahead is not None
        try:
            ahead.ran(trial)
            return self._begun[trial.layout.stage].evidence()
        finally:
            ahead.end()

    def _folder(self) -> Path:
        folder = self._bench.folder()
        folder.mkdir(parents=True)
        return folder

    def _lab(self, task: Task, trial: Trial, folder: Path) -> Lab:
        return Lab(worker=self._bench.worker, sandbox=self._bench.sandbox, folder=folder, task=task, trial=trial)

    def _on_slice(self, lab: Lab) -> Lab:
        """The lab for the first entries of large inputs, if the trial saw all and the script can do with few."""
        part = None if lab.trial.slice else self._first(lab.task)
        return lab if part is None else lab.of(part) or lab
