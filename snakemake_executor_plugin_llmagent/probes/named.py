"""The probes that a rule names: on all events of the trial, and with the response that they demand."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from snakemake_executor_plugin_llmagent.probes.catalogue import DEMANDS, PROBES
from snakemake_executor_plugin_llmagent.probes.lab import Altered, Ask, Lab, Ran, flat
from snakemake_executor_plugin_llmagent.probes.renamed import Renamed
from snakemake_executor_plugin_llmagent.probes.responses import (
    EXACT,
    Numbers,
    Verdict,
    changed,
    invariant,
    moves,
    rises,
    scales,
    shown,
)
from snakemake_executor_plugin_llmagent.probes.words import answers_emptiness, fails_over_branch, how_it_ended
from snakemake_executor_plugin_llmagent.protocols import Finding, Task
from snakemake_executor_plugin_llmagent.spec import Call
from snakemake_executor_plugin_llmagent.trials import Evidence

STABLE, RENAME, DROP, EMPTY, HALF = "stable_seed", "rename_input", "drop_branch", "empty_input", "half_events"
SHORT_SECONDS = 5.0
"""Scripts that take no longer are run for all probes before anything is judged."""
MOST_TRIES = 3
"""How many columns are taken out until the script misses one."""
ADVICE: Mapping[str, str] = {
    "scale_weights": "Count events for a yield by summing their weights.",
    "shuffle_events": "Results must not depend on the order of events.",
    "half_events": "They do not come from the events. Compute every number from the inputs.",
    "inject_signal": "Measure the signal in the events.",
    "rename_input": "Results must not depend on what files are called.",
    "stable_seed": "Set the seeds of all random numbers, and take nothing from the time.",
}


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A probe that is ready to be run.

    Attributes:
        call: what the rule names.
        what: what is different, after "With".
        task: what the script is run on.
        copies: the copies, if any were made.
    """

    call: Call
    what: str
    task: Task
    copies: Altered = field(default_factory=Altered)

    @property
    def response(self) -> str:
        """What is demanded."""
        usual = DEMANDS.get(self.call.name, ("invariant",))[0]
        return str(self.call.arguments.get("response", usual))

    def number(self, name: str) -> float:
        """A parameter that is a number, or its default."""
        declared = PROBES.get(self.call.name, _no_probe)
        value = {**_defaults(declared), **self.call.arguments}.get(name, EXACT)
        return float(value) if isinstance(value, int | float) else EXACT


class Named:
    """Makes the probes that a rule names for one candidate."""

    def __init__(self, lab: Lab, calls: Sequence[Call]) -> None:
        """Prepare in a lab."""
        self._lab = lab
        self._calls = calls
        self._findings: list[Finding] = []
        self._results: dict[str, object] = {}

    def judge(self) -> Evidence:
        """What they show, those of one batch after the other until something stands against the candidate."""
        planned = self._planned()
        threads = max(1, self._lab.task.job.threads)
        size = len(planned) if self._lab.base.execution.seconds <= SHORT_SECONDS else threads
        for start in range(0, len(planned), max(1, size)):
            if self._findings:
                break
            batch = planned[start : start + size]
            ran = self._lab.run_all([one.task for one in batch], threads)
            well = [run for run in ran if run.execution.succeeded]
            numbers = dict(zip(map(id, well), self._lab.numbers(well), strict=True))
            for one, run in zip(batch, ran, strict=True):
                self._note(one, self._judged(one, run, flat(numbers.get(id(run), {}))), run)
        for one in planned:
            self._results.setdefault(_label(one.call), "not run, because another probe failed")
        return Evidence(findings=tuple(self._findings), results=self._in_order())

    def _in_order(self) -> dict[str, object]:
        return {label: self._results[label] for label in map(_label, self._calls) if label in self._results}

    def _note(self, one: Planned, verdict: Verdict, ran: Ran) -> None:
        call, label = one.call, _label(one.call)
        if verdict.holds is False:
            advice = ADVICE.get(call.name, "") if ran.execution.succeeded else ""
            message = f"{label}: {verdict.text}" + (f". {advice}" if advice else "")
            self._findings.append(Finding(check=f"probe.{call.name}", message=message))
            self._results[label] = verdict.text
        elif verdict.holds is None:
            self._results[label] = f"not applied: {verdict.text}"
        else:
            left = "; ".join(f"`{path}` was not altered: {why}" for path, why in one.copies.left.items())
            self._results[label] = f"passed, but {left}" if left else "passed"

    # --- preparing ---------------------------------------------------------------------------------------------

    def _planned(self) -> list[Planned]:
        planned = []
        with_copies = [call for call in self._calls if call.name not in (STABLE, RENAME)]
        copies = dict(zip(map(id, with_copies), self._copies(with_copies), strict=True))
        for call in self._calls:
            if call.name == STABLE:
                planned.append(Planned(call=call, what="the same inputs again", task=self._lab.on({})))
            elif call.name == RENAME:
                renamed = Renamed(self._lab.task, _inputs(call))
                if renamed.names:
                    planned.append(Planned(call=call, what="other names of the input files", task=renamed))
                else:
                    self._results[_label(call)] = "not applied: there is no such input"
            else:
                made = copies[id(call)]
                if made.problem:
                    self._results[_label(call)] = f"not applied: {made.problem}"
                else:
                    task = self._lab.on(made.files)
                    planned.append(Planned(call=call, what=made.what, task=task, copies=made))
        return planned

    def _copies(self, calls: Sequence[Call]) -> list[Altered]:
        return self._lab.copies([Ask(probe=call.name, arguments=call.arguments) for call in calls]) if calls else []

    # --- judging -----------------------------------------------------------------------------------------------

    @cached_property
    def _before(self) -> Numbers:
        return flat(self._lab.numbers([self._lab.base])[0])

    def _judged(self, one: Planned, ran: Ran, after: Numbers) -> Verdict:
        if one.response == "fails_clearly":
            if one.call.name == EMPTY:
                verdict = answers_emptiness(ran.execution, after)
                return replace(verdict, text=f"With {one.what}, {verdict.text}") if verdict.holds is False else verdict
            return self._without(one, ran, after)
        if not ran.execution.succeeded:
            verdict = Verdict(holds=False, text=f"With {one.what}, {how_it_ended(ran.execution)}")
        else:
            verdict = _response(one, self._before, after)
        if verdict.holds is not False or one.call.name in (STABLE, RENAME):
            return verdict
        return self._against_control(one, ran, after, verdict)

    def _against_control(self, one: Planned, ran: Ran, after: Numbers, verdict: Verdict) -> Verdict:
        """A second look at what went wrong, in comparison with a run on copies in which nothing was changed."""
        control, numbers = self._control
        if control is None:
            return verdict
        if not control.execution.succeeded:
            return Verdict(holds=None, text=f"with unaltered copies of its inputs, {how_it_ended(control.execution)}")
        drift = invariant(self._before, numbers, "the same events again", one.number("tolerance"))
        if drift.holds is not False or not ran.execution.succeeded:
            return verdict
        again = _response(one, numbers, after)
        if again.holds is False and one.response == "invariant":
            return drift  # it does not even give the same numbers for the same events
        return again

    @cached_property
    def _control(self) -> tuple[Ran | None, Numbers]:
        (made,) = self._lab.copies([Ask(probe="copy")])
        if made.problem:
            return None, {}
        (ran,) = self._lab.run_all([self._lab.on(made.files)])
        return ran, flat(self._lab.numbers([ran])[0]) if ran.execution.succeeded else {}

    def _without(self, one: Planned, ran: Ran, after: Numbers) -> Verdict:
        """What a script does without a column; if it never missed the one that was chosen for it, without others."""
        made, explicit = one.copies, one.call.arguments.get("name") is not None
        for candidate in ("", *made.candidates[: MOST_TRIES - 1]):
            if candidate:
                ask = Ask(probe=DROP, arguments={**one.call.arguments, "name": candidate})
                (made,) = self._lab.copies([ask])
                if made.problem:
                    continue
                (ran,) = self._lab.run_all([self._lab.on(made.files)])
                after = flat(self._lab.numbers([ran])[0]) if ran.execution.succeeded else {}
            if not ran.execution.succeeded:
                verdict = fails_over_branch(ran.execution, made.column)
                text = f"With {made.what}, {verdict.text}. Say in the message which column is missing"
                return verdict if verdict.holds else self._if_copies_are_fit(replace(verdict, text=text))
            different = changed(self._before, after)
            if different:
                seen = shown(different, self._before, after)
                text = f"With {made.what}, the script goes on as if nothing were missing ({seen}). Let it fail instead"
                return Verdict(holds=False, text=f"{text}, with a message that names the column")
            if explicit:
                return Verdict(holds=False, text=f"With {made.what}, nothing changes: the script does not use it")
        return Verdict(holds=None, text="the script misses none of the columns that it names")

    def _if_copies_are_fit(self, verdict: Verdict) -> Verdict:
        control, _ = self._control
        if control is None or control.execution.succeeded:
            return verdict
        return Verdict(holds=None, text=f"with unaltered copies of its inputs, {how_it_ended(control.execution)}")


def _response(one: Planned, before: Numbers, after: Numbers) -> Verdict:
    call = one.call
    if one.response == "scales":
        factor = 0.5 if call.name == HALF else one.number("factor")
        return scales(before, after, one.what, factor, column=one.copies.column, events=call.name == HALF)
    if one.response == "invariant":
        return invariant(before, after, one.what, one.number("tolerance"))
    return rises(before, after, one.what) if call.name == "inject_signal" else moves(before, after, one.what)


def _no_probe() -> None:
    """A declaration without parameters, as of a contract."""


def _defaults(declared: Callable[..., None]) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(declared).parameters.items()}


def _label(call: Call) -> str:
    return call.label or call.name


def _inputs(call: Call) -> list[str] | None:
    value: Any = call.arguments.get("inputs")
    return None if value is None else [value] if isinstance(value, str) else list(value)
