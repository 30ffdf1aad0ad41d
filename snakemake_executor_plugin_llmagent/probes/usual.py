"""The probes that are made of every candidate: cheap, on a few of the events, and careful with a script that is right.

What seems to have no effect on few events is looked at again on all of them (`suspects`), and stops a script only if
its sentence asks for it. What cannot be judged on a few events (a script that asks for more of them) is left alone.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from snakemake_executor_plugin_llmagent.probes import params, shapes, suspects
from snakemake_executor_plugin_llmagent.probes.batch import Pace, Reins, Terms, Variant
from snakemake_executor_plugin_llmagent.probes.lab import Altered, Ask, Lab, Look, Ran, flat
from snakemake_executor_plugin_llmagent.probes.responses import Numbers, changed, moves, results, shown
from snakemake_executor_plugin_llmagent.probes.suspects import (
    COLUMN,
    DATA,
    IF_RIGHT,
    INJECT,
    PARAM,
    SCALE,
    TURN,
    Suspect,
)
from snakemake_executor_plugin_llmagent.probes.words import fails_over_branch, how_it_ended
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity, Trial
from snakemake_executor_plugin_llmagent.spec import Kind
from snakemake_executor_plugin_llmagent.trials import Evidence

TAKE: Final[Mapping[str, object]] = {"least": 1000, "most": 20_000, "share": 10}
"""One event in ten, but no fewer than 1000, no more than 20,000, and no more than half of them."""
SECONDS, FIRST, SHARE, LEAST = 10.0, 1.1, 0.5, 0.75
"""How long a run may take, at least [s]; how long the first may take, and each other, as shares of the trial's time;
the last is also the share of the trial's CPU time that all runs but the first may use, of which they have so many
seconds at least."""
TOO_LONG = "it would have taken longer than half of the trial"
HALF, DROP = "half_events", "drop_branch"
MOST_COLUMNS = 12
ADDED = 50
"""How many events are added to a window."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What was tried.

    Attributes:
        copies: what for → the copies of inputs that were made.
        asks: what for → what was asked for.
        params: parameter → its value in a run of its own.
        runs: what for → the run, None if there was no time for it; parameters by `param NAME`.
    """

    copies: Mapping[str, Altered]
    asks: Mapping[str, Ask] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    runs: Mapping[str, Ran | None] = field(default_factory=dict)


class Usual:
    """Makes the usual probes of one candidate."""

    def __init__(self, lab: Lab, *, alone: bool = True, resources: Mapping[str, object] | None = None) -> None:
        """Prepare.

        Args:
            lab: where they are made.
            resources: what they may use beside the trial, where it is not what the rule says.
            alone: whether the rule names no probes. Otherwise those that it could have named are not judged, and what
                stops nobody is not said.
        """
        self._lab = lab
        self._alone = alone
        self._findings: list[Finding] = []
        self._results: dict[str, object] = {}
        self._suspects: list[Suspect] = []
        self._resources = resources
        self._reins = Reins()
        self._over = threading.Event()
        self._order: Future[tuple[str, ...]] = Future()

    def enough(self) -> None:
        """Begin nothing more, and end the runs that are under way."""
        self._reins.enough()
        self._over.set()

    def begin(self) -> Tried:
        """Make the runs that are always made, as far as there is time.

        The trial need not be over: how much time there is says `ran`, in another thread.
        """
        try:
            return self._tried()
        finally:
            if not self._order.done():
                self._order.set_result(())

    def ran(self, trial: Trial) -> None:
        """Take in how the trial went, which says how much time there is, and which runs make no sense."""
        self._lab.ran(trial)
        self._over.set()
        base, order = self._lab.base.execution, self._order.result()
        unwanted = self._unwanted() if set(order) & {DATA, INJECT} else ()
        self._reins.pace(
            Pace(
                first=max(SECONDS, FIRST * base.seconds),
                seconds=max(SECONDS, SHARE * base.seconds),
                budget=max(LEAST, SHARE * base.cpu_seconds),
                skip=tuple(number for number, name in enumerate(order) if name in unwanted),
            )
        )

    def _tried(self) -> Tried:
        asks = self._asks()
        copies = dict(zip(asks, self._lab.copies(list(asks.values()), unasked=True), strict=True))
        half, job = copies[HALF], self._lab.task.job
        if half.problem:
            return Tried(copies=copies)
        chosen = params.candidates(job.params)
        values = {name: params.doubled(job.params[name]) for name in chosen}
        last = [name for name in asks if name.startswith(COLUMN) or name == DROP]
        names = [name for name in asks if name not in last and not copies[name].problem]
        variants = {name: Variant(files={**half.files, **copies[name].files}) for name in names}
        variants |= {f"param {name}": Variant(files=half.files, params={name: values[name]}) for name in values}
        variants |= {name: Variant(files=copies[name].files) for name in last if not copies[name].problem}
        order = tuple(variants)
        self._order.set_result(order)
        unsure = tuple(number for number, name in enumerate(order) if name in (DATA, INJECT))
        terms = Terms(free=LEAST, unsure=unsure, resources=self._resources or {})
        runs = self._lab.batch(list(variants.values()), self._reins, terms, before_again=self._over.wait)
        return Tried(copies=copies, asks=asks, params=values, runs=dict(zip(variants, runs, strict=True)))

    def _asks(self) -> dict[str, Ask]:
        asks = {HALF: Ask(probe="copy", take=TAKE), SCALE: Ask(probe="uneven_weights", take=TAKE)}
        asks[TURN] = Ask(probe=TURN, take=TAKE)
        asks |= self._asks_of_data()
        for rank in range(MOST_COLUMNS):
            asks[f"{COLUMN} {rank}"] = Ask(probe=COLUMN, arguments={"rank": rank}, take=TAKE)
        if self._alone:
            asks[DROP] = Ask(probe=DROP, take=TAKE)
        return asks

    def _asks_of_data(self) -> dict[str, Ask]:
        """Fewer events of data, and more in a window, for results of known shapes."""
        inputs = [item for item in self._lab.task.job.inputs if item.kind is Kind.FILE]
        data = [item.path for item in inputs if shapes.is_data(item.name, item.path)]
        asks: dict[str, Ask] = {}
        if data and len(data) < len(inputs):
            asks[DATA] = Ask(probe=HALF, arguments={"inputs": data}, take=TAKE)
        window = shapes.window_of(self._lab.trial.spec.text) if data else None
        if window is not None:
            arguments = {
                "mass": window.centre, "n": ADDED, "column": window.column, "width": (window.high - window.low) / 24,
                "inputs": data,
            }  # fmt: skip
            asks[INJECT] = Ask(probe=INJECT, arguments=arguments, take=TAKE)
        return asks

    def _unwanted(self) -> tuple[str, ...]:
        """Which of the runs for results of known shapes make no sense, as the trial came to other ones."""
        (numbers,) = self._lab.numbers([self._lab.base])
        if not shapes.measures_data(flat(numbers)):
            return (DATA, INJECT)
        return () if shapes.counting(flat(numbers)) else (INJECT,)

    # --- judging -----------------------------------------------------------------------------------------------

    def judge(self, tried: Tried) -> Evidence:
        """What they show."""
        half, ran = tried.copies[HALF], tried.runs.get(HALF)
        if half.problem or ran is None:
            return Evidence(results={HALF: f"not applied: {half.problem or TOO_LONG}"} if self._alone else {})
        well = {name: one for name, one in tried.runs.items() if one is not None and one.execution.succeeded}
        base, *looks = self._lab.looks([self._lab.base, *well.values()])
        seen = dict(zip(well, looks, strict=True))
        if self._alone:
            self._half(half, ran, base, seen.get(HALF))
            self._dropped(tried, seen)
        self._scaled(tried, seen)
        if HALF in seen:
            self._effects(tried, seen)
            self._shapes(tried, base, seen)
        if self._suspects:
            self._confirm()
        if not self._alone:
            self._findings = [one for one in self._findings if one.severity is Severity.ERROR]
            said = {one.message for one in self._findings}
            usual = (HALF, SCALE)
            self._results = {n: text for n, text in self._results.items() if text in said or n not in usual}
        return Evidence(findings=tuple(self._findings), results=self._results)

    def _found(self, probe: str, message: str, severity: Severity = Severity.WARNING) -> None:
        self._findings.append(Finding(check=f"probe.{probe}", message=message, severity=severity))
        self._results[probe] = message

    def _confirm(self) -> None:
        """Look again at what seems to be wrong."""
        sure = suspects.Trial(self._lab, warns=self._alone).of(self._suspects)
        for suspect, finding in sure.findings:
            self._findings.append(finding)
            name = suspect.probe if suspect.probe == SCALE else f"{suspect.probe} {suspect.column or suspect.param}"
            self._results[name.strip()] = finding.message
        for suspect in sure.cleared:
            if suspect.probe == SCALE and not self._alone:
                continue
            name = suspect.probe if suspect.probe == SCALE else f"{suspect.probe} {suspect.column or suspect.param}"
            self._results[name.strip()] = "passed, on all events"

    # --- fewer events ------------------------------------------------------------------------------------------

    def _half(self, half: Altered, ran: Ran, base: Look, look: Look | None) -> None:
        what = _fewer(half)
        if look is None:
            self._results[HALF] = f"not judged: with {what}, {how_it_ended(ran.execution)}"
            return
        before, after = base.numbers, look.numbers
        verdict = moves(flat(before), flat(after), what)
        if verdict.holds is None:
            self._results[HALF] = f"not applied: {verdict.text}"
        elif verdict.holds:
            still = _still(before, after)
            self._results[HALF] = "passed"
            if still:
                self._found(HALF, f"With {what}, no number in {still} changes. {IF_RIGHT}")
        else:
            self._others(half, ran, verdict.text, flat(before))

    def _others(self, half: Altered, first: Ran, text: str, before: Numbers) -> None:
        """Nothing changed: perhaps with others of the events, as for a script that looks for the largest one."""
        (others,) = self._lab.copies([Ask(probe="copy", take={**TAKE, "last": True})], unasked=True)
        if not others.problem:
            seconds = max(SECONDS, SHARE * self._lab.base.execution.seconds)
            (ran,) = self._lab.run_all([self._lab.on(others.files, seconds)])
            if not ran.execution.succeeded:
                self._results[HALF] = f"not judged: with {_fewer(others)}, {how_it_ended(ran.execution)}"
                return
            if changed(before, flat(self._lab.numbers([ran])[0])):
                self._results[HALF] = "passed"
                return
        if not others.problem and results(before) and self._is_sure(half, first):
            message = f"{text}, whichever they are: they do not come from the events. Compute them from the inputs."
            self._found(HALF, message, Severity.ERROR)
        else:
            self._found(HALF, f"{text}. {IF_RIGHT}")

    def _is_sure(self, half: Altered, ran: Ran) -> bool:
        """Whether all inputs have fewer events, and all outputs were compared: those without numbers by their bytes."""
        job = self._lab.task.job
        altered = {item.path for item in job.inputs} <= set(half.files)
        return altered and {item.path for item in job.outputs} <= self._lab.alike(self._lab.base, ran)

    # --- weights and columns -----------------------------------------------------------------------------------

    def _scaled(self, tried: Tried, seen: Mapping[str, Look]) -> None:
        scaled, ran = tried.copies[SCALE], tried.runs.get(SCALE)
        if scaled.problem or ran is None:
            self._results[SCALE] = f"not applied: {scaled.problem or TOO_LONG}"
            return
        for name in (HALF, SCALE):
            other = tried.runs[name]
            if name not in seen and other is not None:
                self._results[SCALE] = f"not judged: with {scaled.what}, {how_it_ended(other.execution)}"
                return
        if seen[HALF].parts != seen[SCALE].parts:
            self._results[SCALE] = "passed"
        elif not any(seen[HALF].numbers.values()):
            self._results[SCALE] = "not applied: the outputs hold no numbers that can be compared"
        else:
            self._suspects.append(
                Suspect(probe=SCALE, ask=Ask(probe="uneven_weights"), column=scaled.column, what=scaled.what)
            )

    def _dropped(self, tried: Tried, seen: Mapping[str, Look]) -> None:
        dropped, ran = tried.copies[DROP], tried.runs.get(DROP)
        if dropped.problem or ran is None:
            self._results[DROP] = f"not applied: {dropped.problem or TOO_LONG}"
            return
        if not ran.execution.succeeded:
            verdict = fails_over_branch(ran.execution, dropped.column)
            self._results[DROP] = "passed" if verdict.holds else f"not judged: with {dropped.what}, {verdict.text}"
            return
        if HALF not in seen:
            self._results[DROP] = f"not judged: with {dropped.what}, it ended well"
            return
        before, after = flat(seen[HALF].numbers), flat(seen[DROP].numbers)
        different = changed(before, after)
        if not different:
            self._results[DROP] = f"not judged: the script does without `{dropped.column}`"
            return
        self._found(
            DROP,
            f"With {dropped.what}, the script goes on as if nothing were missing ({shown(different, before, after)}). "
            "Unless the rule wants that, let it fail with a message that names what is missing.",
        )

    def _effects(self, tried: Tried, seen: Mapping[str, Look]) -> None:
        """Columns, signs of weights and parameters without which the outputs stay what they are."""
        judge, half = suspects.Trial(self._lab), seen[HALF]
        for name, look in seen.items():
            if name.startswith(COLUMN):
                made = tried.copies[name]
                ask = Ask(probe="stir_columns", arguments={"names": [made.column]})
                one = Suspect(probe=COLUMN, ask=ask, column=made.column, what=made.what)
                value = None
            elif name.startswith("param "):
                one = Suspect(probe=PARAM, param=name.removeprefix("param "))
                value = tried.params[one.param]
            elif name == TURN and self._results.get(SCALE) == "passed":
                made = tried.copies[name]
                one, value = Suspect(probe=TURN, ask=Ask(probe=TURN), column=made.column, what=made.what), None
            else:
                continue
            if not judge.responds(half, look, one, self._lab.task.job.params.get(one.param), value):
                self._suspects.append(one)
        begun = [name for name, ran in tried.runs.items() if ran is not None]
        self._note(COLUMN, [tried.copies[name].column for name in begun if name.startswith(COLUMN)])
        self._note(PARAM, [name.removeprefix("param ") for name in begun if name.startswith("param ")])

    def _note(self, probe: str, names: list[str]) -> None:
        """Say what responds."""
        silent = {one.column or one.param for one in self._suspects if one.probe == probe}
        fine = [name for name in names if name not in silent]
        if fine:
            self._results[probe] = f"passed ({', '.join(fine)})"

    def _shapes(self, tried: Tried, base: Look, seen: Mapping[str, Look]) -> None:
        """Numbers of known shapes that stay, or move, against what they mean."""
        half, job = tried.copies[HALF], self._lab.task.job
        before, few = flat(base.numbers), flat(seen[HALF].numbers)
        constant = list(shapes.constant_background(before, few))
        if constant and {item.path for item in job.inputs} <= set(half.files):
            told = shapes.all_numeric(job.params)
            message = f"With {_fewer(half)}, {shown([*constant], before, few)} although what was observed changes"
            if told:
                self._found(HALF, f"{message}. {IF_RIGHT}")
            else:
                self._found(HALF, f"{message}: it does not come from the events. Compute it from them.", Severity.ERROR)
        for name, wrong in ((DATA, shapes.deaf_to_data), (INJECT, shapes.follows_window)):
            if name in seen and list(wrong(few, flat(seen[name].numbers))):
                ask = tried.asks[name]
                again = Ask(probe=ask.probe, arguments=ask.arguments)
                self._suspects.append(Suspect(probe=name, ask=again, what=tried.copies[name].what))


def _fewer(copies: Altered) -> str:
    return f"{copies.after:,} of {copies.before:,} events"


def _still(before: Mapping[str, Numbers], after: Mapping[str, Numbers]) -> str:
    """Outputs with results none of which changes although others do."""
    still = [
        f"`{path}`"
        for path, numbers in before.items()
        if results(numbers) and path in after and not changed(numbers, after[path])
    ]
    return ", ".join(still)
