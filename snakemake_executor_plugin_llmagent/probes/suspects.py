"""What seems to have no effect on few events is looked at again on all of them, before anything is said of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from snakemake_executor_plugin_llmagent.probes import params as parameters
from snakemake_executor_plugin_llmagent.probes import shapes
from snakemake_executor_plugin_llmagent.probes.batch import Pace, Variant
from snakemake_executor_plugin_llmagent.probes.lab import Ask, Lab, Look, Ran, flat
from snakemake_executor_plugin_llmagent.probes.responses import Numbers, shown
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity

SCALE, TURN, DATA, INJECT, COLUMN, PARAM = (
    "scale_weights", "turned_weights", "half_of_data", "inject_signal", "permute_column", "double_param",
)  # fmt: skip
MOST_COLUMNS, MOST_PARAMS = 3, 3
"""How many columns, and parameters, are looked at again."""
SECONDS, LONGER = 20.0, 3.0
"""How long a run on all events may take: so many seconds, or so many times what the trial took."""
UNLIMITED = 1e9
"""CPU time of which no run is kept [s]."""
IF_RIGHT = "If what the rule asks for does not depend on that, nothing has to change."
_ABSOLUTE = re.compile(r"\babsolute|\bmodulus|\babs\b|\|w\w*\|", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """Something that seemed to have no effect, or the wrong one, on few events.

    Attributes:
        probe: what showed it.
        ask: which copies of all events are needed to be sure; None for a parameter.
        column: of inputs, if it is about one.
        param: of the rule, if it is about one.
        what: was different on few events, after "With".
    """

    probe: str
    ask: Ask | None = None
    column: str = ""
    param: str = ""
    what: str = ""


@dataclass(frozen=True, kw_only=True)
class _Run:
    suspect: Suspect
    variant: Variant
    what: str
    value: object = None
    events: int = 0


@dataclass(frozen=True, kw_only=True)
class Sure:
    """What is sure.

    Attributes:
        findings: of those whose suspicion was right.
        cleared: those for whom it was not, or cannot be said.
    """

    findings: tuple[tuple[Suspect, Finding], ...] = ()
    cleared: tuple[Suspect, ...] = field(default=())


class Trial:
    """Looks at suspects again."""

    def __init__(self, lab: Lab, *, warns: bool = True) -> None:
        """On all events of a lab's trial; of what can only be warned of if somebody is to be warned."""
        self._lab = lab
        self._warns = warns
        self._text = lab.trial.spec.text
        self._given: frozenset[str] = frozenset()
        self._tables: frozenset[frozenset[str]] = frozenset()

    def of(self, suspects: Sequence[Suspect]) -> Sure:
        """Run the script on all events, with what each suspect is about changed once more."""
        chosen = [*_first(suspects, COLUMN, MOST_COLUMNS), *_first(suspects, PARAM, MOST_PARAMS)]
        chosen += [one for one in suspects if one.probe not in (COLUMN, PARAM)]
        if not self._warns:
            chosen = [one for one in chosen if self._is_asked_for(one)]
        runs, control = self._runs(chosen) if chosen else ([], None)
        if control is None or not runs:
            return Sure(cleared=tuple(suspects))
        seconds = max(SECONDS, LONGER * self._lab.base.execution.seconds)
        variants = [control, *(run.variant for run in runs)]
        first, *ran = self._lab.paced(variants, Pace(first=seconds, seconds=seconds, budget=UNLIMITED))
        if first is None or not first.execution.succeeded:
            return Sure(cleared=tuple(suspects))
        well = [one for one in ran if one is not None and one.execution.succeeded]
        before, *after = self._lab.looks([first, *well])
        if any(one.column for one in chosen):
            (given,) = self._lab.looks([Ran(execution=first.execution, outputs=control.files)])
            self._given = frozenset(given.parts.values())
            columns = (_columns(given.parts, path) for path, _ in given.parts)
            self._tables = frozenset(names for names in columns if names)
        looks = dict(zip(map(id, well), after, strict=True))
        findings = []
        for suspect in chosen:
            mine = [(run, looks.get(id(one))) for run, one in zip(runs, ran, strict=True) if run.suspect is suspect]
            message = self._judged(suspect, before, mine)
            if message:
                findings.append((suspect, self._finding(suspect, message)))
        guilty = [suspect for suspect, _ in findings]
        return Sure(findings=tuple(findings), cleared=tuple(one for one in suspects if one not in guilty))

    def _runs(self, suspects: Sequence[Suspect]) -> tuple[list[_Run], Variant | None]:
        asked = [one for one in suspects if one.ask is not None]
        copy, *copies = self._lab.copies(
            [Ask(probe="copy"), *(one.ask for one in asked if one.ask is not None)], unasked=True
        )
        files = {} if copy.problem else copy.files
        if copy.problem and asked:
            return [], None
        runs = [
            _Run(
                suspect=one, variant=Variant(files={**files, **made.files}), what=made.what, events=made.before
            )
            for one, made in zip(asked, copies, strict=True)
            if not made.problem
        ]  # fmt: skip
        for one in suspects:
            value = self._lab.task.job.params.get(one.param)
            for other in parameters.others(value) if one.param else ():
                variant = Variant(files=files, params={one.param: other})
                runs.append(_Run(suspect=one, variant=variant, what=f"{one.param} = {other!r}", value=other))
        return runs, Variant(files=files)

    # --- judging ------------------------------------------------------------------------------------------------

    def _judged(self, suspect: Suspect, before: Look, mine: Sequence[tuple[_Run, Look | None]]) -> str:
        """What is wrong, empty if nothing, or if that cannot be said."""
        looks = [look for _, look in mine if look is not None]
        if not mine or len(looks) < len(mine) or not self._complete(before):
            return ""  # a script that refuses other values looks at them
        if suspect.probe == DATA:
            pairs = list(shapes.deaf_to_data(flat(before.numbers), flat(looks[0].numbers)))
            return _deaf(mine[0][0].what, pairs, flat(before.numbers), flat(looks[0].numbers)) if pairs else ""
        if suspect.probe == INJECT:
            pairs = list(shapes.follows_window(flat(before.numbers), flat(looks[0].numbers)))
            return _follows(mine[0][0].what, pairs, flat(before.numbers), flat(looks[0].numbers)) if pairs else ""
        value = self._lab.task.job.params.get(suspect.param)
        for run, look in mine:
            if look is not None and self.responds(before, look, suspect, value, run.value):
                return ""
        first = mine[0][0]
        return _without_effect(suspect, first.what, first.events, flat(before.numbers))

    def _complete(self, look: Look) -> bool:
        """Whether all outputs were looked at."""
        return {item.path for item in self._lab.task.job.outputs} <= look.outputs

    def responds(self, before: Look, after: Look, suspect: Suspect, value: object = None, new: object = None) -> bool:
        """Whether anything changes but what was changed itself, copied into an output."""
        different = {part for part in {*before.parts, *after.parts} if before.parts.get(part) != after.parts.get(part)}
        if suspect.column:
            different -= self._handed_on(suspect.column, before)
        if suspect.param and different:
            return self._more_than_a_copy(different, before, after, value, new)
        return bool(different)

    def _handed_on(self, column: str, look: Look) -> set[tuple[str, str]]:
        """A column as it came, in an output into which all columns of an input go, also those nobody names."""
        source = self._lab.trial.source
        unnamed = {path for path, part in look.parts if _is_column(part) and _last(part) not in source}
        held = {path: _columns(look.parts, path) for path in unnamed}
        whole = {path for path, names in held.items() if any(given <= names for given in self._tables)}
        return {
            (path, part)
            for (path, part), value in look.parts.items()
            if path in whole and _last(part) == column and (not self._given or value in self._given)
        }

    def _more_than_a_copy(
        self, parts: Iterable[tuple[str, str]], before: Look, after: Look, value: object, new: object
    ) -> bool:
        for path in {path for path, _ in parts}:
            old, other = before.numbers.get(path, {}), after.numbers.get(path, {})
            changed = {name for name in old.keys() | other.keys() if old.get(name) != other.get(name)}
            if not changed or changed - parameters.copies(value, new, old, other):
                return True
        return False

    def _finding(self, suspect: Suspect, message: str) -> Finding:
        severity = Severity.ERROR if self._is_asked_for(suspect) else Severity.WARNING
        text = message if severity is Severity.ERROR else f"{message} {IF_RIGHT}"
        return Finding(check=f"probe.{suspect.probe}", message=text, severity=severity)

    def _is_asked_for(self, suspect: Suspect) -> bool:
        if suspect.probe == PARAM:
            return parameters.is_asked_for(suspect.param, self._text)
        if suspect.probe == TURN:
            return not _ABSOLUTE.search(self._text) and _of_weights(self._text)
        return suspect.probe != SCALE or _of_weights(self._text)


def _is_column(part: str) -> bool:
    return ":" not in part and part not in ("document", "pixels", "bytes")


def _columns(parts: Iterable[tuple[str, str]], path: str) -> frozenset[str]:
    """The names of the columns of a file."""
    return frozenset(_last(part) for where, part in parts if where == path and _is_column(part))


def _last(part: str) -> str:
    return part.rpartition("/")[2]


def _of_weights(text: str) -> bool:
    return bool(re.search(r"weight", text, re.IGNORECASE))


def _first(suspects: Sequence[Suspect], probe: str, most: int) -> list[Suspect]:
    return [one for one in suspects if one.probe == probe][:most]


def _without_effect(suspect: Suspect, what: str, events: int, numbers: Numbers) -> str:
    stays = shown(list(numbers)[:1], numbers, numbers)
    seen = f"nothing in the outputs changes, not even the last digit{f' ({stays})' if stays else ''}"
    if suspect.probe == PARAM:
        return (
            f"With params.{suspect.param} doubled, halved, 0, ten times as large or negative, {seen}: the parameter "
            "has no effect. Use its value where the rule says, and no number of your own in its place."
        )
    all_of_them = f" in all {events:,} events" if events else ""
    if suspect.probe == TURN:
        return (
            f"With {what}{all_of_them}, {seen}: their sign has no effect. Add up weights with their sign, and take no "
            "absolute values of them."
        )
    if suspect.probe == SCALE:
        return (
            f"With {what}{all_of_them}, {seen}: the weights have no effect. Use them wherever the rule speaks of "
            "weights or yields."
        )
    return (
        f"With {what}{all_of_them}, {seen}: `{suspect.column}` has no effect, though the rule asks for it. Look for "
        "the place where it, and no other column, has to enter."
    )


def _deaf(what: str, pairs: Sequence[tuple[str, str]], before: Numbers, after: Numbers) -> str:
    names = [name for pair in pairs for name in pair]
    return (
        f"With {what} in the data, {shown(names, before, after)}: `{pairs[0][1]}` does not come from what was "
        f"observed. Compute it from `{pairs[0][0]}`."
    )


def _follows(what: str, pairs: Sequence[tuple[str, str]], before: Numbers, after: Numbers) -> str:
    return (
        f"With {what}, inside of the window, {shown(pairs[0], before, after)}: a background from sidebands must not "
        "change with events in the window. Keep the sidebands apart from it."
    )
