"""The gate of probes: a candidate is run again on altered copies of its inputs, and its results must respond."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from snakemake_executor_plugin_llmagent.gates import Bench
from snakemake_executor_plugin_llmagent.probes.lab import Lab
from snakemake_executor_plugin_llmagent.probes.named import STABLE, Named
from snakemake_executor_plugin_llmagent.probes.usual import Tried, Usual
from snakemake_executor_plugin_llmagent.protocols import Task, Trial
from snakemake_executor_plugin_llmagent.spec import Call, Spec
from snakemake_executor_plugin_llmagent.trials import Evidence, First, Gate, OnSlices


def probes_gate(bench: Bench, first: First) -> Gate:
    """The usual probes and those that a rule names; `first` cuts large inputs down to their first entries."""
    probes = _Probes(bench, first)
    return Gate(name="probes", judge=probes.judge, on_slices=OnSlices.ONLY, ahead=probes.ahead)


def named(spec: Spec) -> tuple[Call, ...]:
    """The probes that a rule names, and what else takes a second run: the contract `stable_seed`."""
    return (*(spec.probes or ()), *(call for call in spec.contracts if call.name == STABLE))


class _Begun:
    """The usual probes of one trial, made in a thread while other checks look at the trial."""

    def __init__(self, usual: Usual) -> None:
        """Begin."""
        self._usual = usual
        self._tried: Tried | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._make, name="usual probes", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        try:
            self._tried = self._usual.begin()
        except BaseException as failure:  # told to whoever waits for the outcome
            self._failure = failure

    def evidence(self) -> Evidence:
        """What they show, once they are made."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        assert self._tried is not None
        return self._usual.judge(self._tried)

    def end(self) -> None:
        """Wait until nothing of it is left; what was not begun is not begun any more."""
        self._usual.enough()
        self._thread.join()


class _Probes:
    """Judges candidates."""

    def __init__(self, bench: Bench, first: First) -> None:
        """Prepare."""
        self._bench = bench
        self._first = first
        self._begun: dict[Path, _Begun] = {}

    def ahead(self, task: Task, trial: Trial) -> Callable[[], None]:
        """Begin the usual probes of a trial, unless its rule wants none."""
        if trial.spec.probes == () or trial.layout is None:
            return lambda: None
        stage, folder = trial.layout.stage, self._folder()
        begun = self._begun[stage] = _Begun(Usual(self._lab(task, trial, folder), alone=trial.spec.probes is None))

        def end() -> None:
            begun.end()
            del self._begun[stage]
            self._bench.discard(folder)

        return end

    def judge(self, task: Task, trial: Trial) -> Evidence:
        """What the probes show of a trial."""
        assert trial.layout is not None
        usual, calls = Evidence(), named(trial.spec)
        if trial.spec.probes != ():
            ended = None if trial.layout.stage in self._begun else self.ahead(task, trial)
            try:
                usual = self._begun[trial.layout.stage].evidence()
            finally:
                if ended is not None:
                    ended()
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
