"""The probes of a rule that names none: cheap, on a few of the events, and careful with a script that may be right.

Only a script whose results cannot come from the events is stopped. All else that looks odd is a warning, and what
cannot be judged on a few events (a script that asks for more of them) is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from snakemake_executor_plugin_llmagent.probes.lab import Altered, Ask, Lab, Ran, flat
from snakemake_executor_plugin_llmagent.probes.responses import Numbers, changed, moves, results, shown
from snakemake_executor_plugin_llmagent.probes.words import fails_over_branch, how_it_ended
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity
from snakemake_executor_plugin_llmagent.trials import Evidence

TAKE: Final[Mapping[str, object]] = {"least": 1000, "most": 20_000, "share": 10}
"""One event in ten, but no fewer than 1000, no more than 20,000, and no more than half of them."""
SECONDS, PATIENCE, SHARE = 10.0, 0.5, 0.5
"""How long a run may take, and how long runs that are not begun are waited for, once the other checks are made: so many
seconds, or this share of the trial if that is more."""
AT_ONCE = 2
TOO_LONG = "it would have taken longer than half of the trial"
HALF, SCALE, DROP = "half_events", "scale_weights", "drop_branch"
IF_RIGHT = "If what the rule asks for does not depend on that, nothing has to change."


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What was tried.

    Attributes:
        copies: probe → the copies of inputs that were made for it.
        runs: probe → the run on them, None if there was no time for it.
    """

    copies: Mapping[str, Altered]
    runs: Mapping[str, Ran | None]


class Usual:
    """Makes the usual probes of one candidate."""

    def __init__(self, lab: Lab) -> None:
        """Prepare in a lab."""
        self._lab = lab
        self._seconds = max(SECONDS, SHARE * lab.base.execution.seconds)
        self._findings: list[Finding] = []
        self._results: dict[str, object] = {}

    @property
    def patience(self) -> float:
        """How long somebody who has nothing else to do waits for runs that are not begun yet [s]."""
        return max(PATIENCE, SHARE * self._lab.base.execution.seconds)

    def begin(self, enough: Callable[[int], bool]) -> Tried:
        """Make the runs that are always made; `enough` is asked before each of them (the first is number 0)."""
        wishes = {HALF: "copy", SCALE: "uneven_weights", DROP: DROP}
        asks = [Ask(probe=probe, take=TAKE) for probe in wishes.values()]
        copies = dict(zip(wishes, self._lab.copies(asks, unasked=True), strict=True))
        names = [name for name in wishes if not copies[HALF].problem and not copies[name].problem]
        tasks = [self._lab.on(copies[name].files, self._seconds) for name in names]
        runs = self._lab.run(tasks, AT_ONCE, enough)
        return Tried(copies=copies, runs=dict(zip(names, runs, strict=True)))

    def judge(self, tried: Tried) -> Evidence:
        """What they show."""
        half, ran = tried.copies[HALF], tried.runs.get(HALF)
        if half.problem or ran is None:
            return Evidence(results={HALF: f"not applied: {half.problem or TOO_LONG}"})
        self._half(half, ran)
        for name, judged in ((SCALE, self._scaled), (DROP, self._dropped)):
            copies, other = tried.copies[name], tried.runs.get(name)
            if copies.problem or other is None:
                self._results[name] = f"not applied: {copies.problem or TOO_LONG}"
            else:
                judged(copies, ran, other)
        return Evidence(findings=tuple(self._findings), results=self._results)

    def _found(self, probe: str, message: str, severity: Severity = Severity.WARNING) -> None:
        self._findings.append(Finding(check=f"probe.{probe}", message=message, severity=severity))
        self._results[probe] = message

    # --- fewer events ------------------------------------------------------------------------------------------

    def _half(self, half: Altered, ran: Ran) -> None:
        what = _fewer(half)
        if not ran.execution.succeeded:
            self._results[HALF] = f"not judged: with {what}, {how_it_ended(ran.execution)}"
            return
        before, after = self._lab.numbers([self._lab.base, ran])
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
            (ran,) = self._lab.run_all([self._lab.on(others.files, self._seconds)])
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

    def _scaled(self, scaled: Altered, half: Ran, ran: Ran) -> None:
        for one in (half, ran):
            if not one.execution.succeeded:
                self._results[SCALE] = f"not judged: with {scaled.what}, {how_it_ended(one.execution)}"
                return
        before, after = (flat(found) for found in self._lab.numbers([half, ran]))
        verdict = moves(before, after, scaled.what)
        if verdict.holds is None:
            self._results[SCALE] = f"not applied: {verdict.text}"
        elif verdict.holds:
            self._results[SCALE] = "passed"
        else:
            self._found(SCALE, f"{verdict.text}: the weights have no effect. {IF_RIGHT}")

    def _dropped(self, dropped: Altered, half: Ran, ran: Ran) -> None:
        if not ran.execution.succeeded:
            verdict = fails_over_branch(ran.execution, dropped.column)
            self._results[DROP] = "passed" if verdict.holds else f"not judged: with {dropped.what}, {verdict.text}"
            return
        if not half.execution.succeeded:
            self._results[DROP] = f"not judged: with {dropped.what}, it ended well"
            return
        before, after = (flat(found) for found in self._lab.numbers([half, ran]))
        different = changed(before, after)
        if not different:
            self._results[DROP] = f"not judged: the script does without `{dropped.column}`"
            return
        self._found(
            DROP,
            f"With {dropped.what}, the script goes on as if nothing were missing ({shown(different, before, after)}). "
            "Unless the rule wants that, let it fail with a message that names what is missing.",
        )


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
