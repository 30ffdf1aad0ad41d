"""What is read, given or written down, and reaches no output: columns, params and constants."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from snakemake_executor_plugin_llmagent.checks.static import asked
from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.names import FORMATS, lookups
from snakemake_executor_plugin_llmagent.checks.static.onward import End
from snakemake_executor_plugin_llmagent.checks.static.reach import Fate, Reach, State
from snakemake_executor_plugin_llmagent.checks.static.scopes import Variable
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity
from snakemake_executor_plugin_llmagent.text import one_line

_HIDDEN = frozenset({"eval", "exec", "globals", "locals", "vars", "getattr"})
"""Functions that read variables and attributes where nobody sees it."""
_IDENTIFIES = re.compile(r"event_?n(umber|o|r|um)|run_?n(umber|o)?|lumi_?block|(entry|index|id|uid|sample|file)", re.I)
_CHECKS_VALUES = frozenset({"isfinite", "isnan", "isinf", "is_null", "isnull", "isna", "notna"})
_BOUNDS = re.compile(r"(^|_)(max|min|maximum|minimum|cut|threshold|least|most)(_|$)", re.I)


def _sees_all(candidate: Candidate) -> bool:
    """Whether all that the script reads of variables and attributes stands in it."""
    return not any(candidate.script.dotted(call.func) in _HIDDEN for call in candidate.script.calls)


# --- columns --------------------------------------------------------------------------------------------------------


@on_tree
def columns_are_used(candidate: Candidate) -> Iterable[Finding]:
    """The values of a column that is read by its name reach an output."""
    places: dict[str, ast.AST] = {}
    for lookup in lookups(candidate):
        if lookup.formats and lookup.formats <= FORMATS and lookup.name.isidentifier():
            places.setdefault(lookup.name, lookup.node)
    if not places or not _sees_all(candidate):
        return
    columns = _Columns(candidate)
    fates = {name: columns.fate(name) for name in places}
    unused = {name: fate for name, fate in fates.items() if fate is not None and End.WRITTEN not in fate.ends}
    if len(unused) < len(fates):  # where none is used, nobody can see how the script writes
        for name, fate in unused.items():
            yield from _unused_column(candidate, name, places[name], fate)


class _Columns:
    """What becomes of columns, by all places of the script where their names stand."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._reach = Reach(candidate)
        self._script = candidate.script
        self._keys = {
            key
            for node in candidate.script.all(ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None and candidate.inputs.content(value)  # it names what is written
        }
        self._called = {call.func for call in candidate.script.calls}

    def fate(self, name: str) -> Fate | None:
        """What becomes of a column; None if it is named in parts, or in an expression."""
        word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
        named: list[ast.expr] = []
        for text in self._script.texts:
            if text in self._keys:
                continue
            if text.value == name and not isinstance(self._script.parents.get(text), ast.JoinedStr):
                named.append(text)
            elif word.search(str(text.value)) and End.WRITTEN in self._reach.fate([text]).ends:
                return None
        if any(self._may_be(text, name) for text in self._script.all(ast.JoinedStr)):
            return None
        by_name = self._reach.fate(named, State.NAME)
        read = [
            node
            for node in self._script.all(ast.Attribute)
            if node.attr == name and isinstance(node.ctx, ast.Load) and node not in self._called
        ]
        by_attribute = self._reach.fate(read)
        return Fate(by_name.ends | by_attribute.ends, [*by_name.guards, *by_attribute.guards])

    def _may_be(self, text: ast.JoinedStr, name: str) -> bool:
        """Whether a text made of parts can be a name, and is used."""
        parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in text.values]
        if not any(isinstance(part, ast.Constant) and str(part.value).strip(" _/:") for part in text.values):
            return len(parts) > 1 and End.WRITTEN in self._reach.fate([text]).ends
        return bool(re.fullmatch("".join(parts), name)) and End.WRITTEN in self._reach.fate([text]).ends


def _unused_column(candidate: Candidate, name: str, place: ast.AST, fate: Fate) -> Iterator[Finding]:
    trial = candidate.trial
    weight = "weight" in name.lower()
    named = asked.speaks_of_weights(trial) if weight else asked.names(trial, name) and not _IDENTIFIES.search(name)
    if End.GUARD in fate.ends:
        if all(_only_looks(candidate, guard) for guard in fate.guards):
            return
        how, sure = "only decides whether the script ends with an error", weight and named
    elif End.SHOWN in fate.ends:
        how, sure = "is only printed", named
    else:
        how, sure = "is never used", named
    yield candidate.finding(
        place,
        check="script.unused_column",
        severity=Severity.ERROR if sure else Severity.WARNING,
        message=f"the column `{one_line(name)}` is read, and {how}: no output depends on it. Use it as the rule asks; "
        "if the rule does not ask for it, do not read it.",
    )


def _only_looks(candidate: Candidate, guard: ast.AST) -> bool:
    """Whether a condition only asks if numbers are numbers, or if all weights are 1, as those of data are."""
    test = guard.test if isinstance(guard, ast.If | ast.Assert) else guard
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and candidate.script.dotted(node.func).rpartition(".")[2] in _CHECKS_VALUES:
            return True
        if isinstance(node, ast.Attribute) and node.attr in _CHECKS_VALUES:
            return True
        if isinstance(node, ast.Constant) and node.value == 1 and not isinstance(node.value, bool):
            return True
    return False


# --- params ---------------------------------------------------------------------------------------------------------


@on_tree
def params_are_used(candidate: Candidate) -> Iterable[Finding]:
    """What the rule gives as params reaches an output, or decides whether there is one."""
    reads = _params_read(candidate)
    if reads is None or not _sees_all(candidate):
        return
    reach = Reach(candidate)
    for name in candidate.trial.spec.params:
        if name in reads and reach.fate(reads[name]).ends & (End.WRITTEN | End.GUARD):
            continue
        in_a_query = re.compile(rf"(@|params)[\w.]*(?<!\w){re.escape(name)}(?!\w)")
        if any(in_a_query.search(str(text.value)) for text in candidate.script.texts):
            continue
        severity = Severity.ERROR if asked.names(candidate.trial, name) else Severity.WARNING
        mend = f"Take the value from `snakemake.params.{name}`, and use it as the rule asks"
        if name in reads:
            text = f"the param `{name}` is read, and no output depends on it. {mend}."
            yield candidate.finding(reads[name][0], check="script.unused_param", message=text, severity=severity)
        else:
            text = f"The rule gives the param `{name}`, and the script never reads it. {mend}; a number that stands "
            text += "in its place does not follow when the rule changes."
            yield Finding(check="script.unused_param", message=text, severity=severity)


def _params_read(candidate: Candidate) -> Mapping[str, Sequence[ast.expr]] | None:
    """Param → where it is read; None if params are handed on as a whole."""
    script = candidate.script
    if any(not isinstance(script.parents.get(node), ast.Attribute) for node in script.loads.get("snakemake", ())):
        return None
    wholes = [node for node in script.all(ast.Attribute) if script.dotted(node) == "snakemake.params"]
    found: dict[str, list[ast.expr]] = {}
    onward = Reach(candidate).onward
    while wholes:
        whole: ast.expr = wholes.pop()
        outer = script.parents.get(whole)
        if isinstance(outer, ast.Assign) and len(outer.targets) == 1 and isinstance(outer.targets[0], ast.Name):
            variable = onward.scopes.variable(outer.targets[0])
            if len(onward.scopes.binds.get(variable, ())) != 1:
                return None
            wholes += onward.loads(variable)  # type: ignore[arg-type]
            continue
        read = _one_param(candidate, whole)
        if read is None:
            return None
        found.setdefault(read[0], []).append(read[1])
    return found


def _one_param(candidate: Candidate, whole: ast.expr) -> tuple[str, ast.expr] | None:
    """The param that is read of `snakemake.params`, and the expression that is its value."""
    script = candidate.script
    outer = script.parents.get(whole)
    if isinstance(outer, ast.Subscript) and outer.value is whole:
        name = script.text(outer.slice)
        return (name, outer) if name else None
    if isinstance(outer, ast.Attribute):
        call = script.parents.get(outer)
        if outer.attr == "get" and isinstance(call, ast.Call) and call.func is outer and call.args:
            name = script.text(call.args[0])
            return (name, call) if name else None
        called = isinstance(call, ast.Call) and call.func is outer
        return None if called or outer.attr.startswith("_") else (outer.attr, outer)
    return None


# --- constants ------------------------------------------------------------------------------------------------------


@on_tree
def constants_are_used(candidate: Candidate) -> Iterable[Finding]:
    """A number that the script writes down by name is used by what it writes."""
    if not _sees_all(candidate):
        return
    script, reach = candidate.script, Reach(candidate)
    listed = {*candidate.trial.spec.decide, *(str(entry.get("name", "")) for entry in candidate.trial.decisions)}
    for variable, binds in reach.onward.scopes.binds.items():
        name = variable.name
        if variable.scope is not None or not name.isupper() or name in listed or script.attributes[name]:
            continue
        value = script.constant(binds[0].value) if len(binds) == 1 and binds[0].kind == "assign" else None
        numbers = set(_numbers(value if binds[0].index is None else None))
        if not numbers:
            continue
        if reach.onward.in_a_query(name) or reach.variable(variable).ends & (End.WRITTEN | End.GUARD):
            continue
        stated = _is_stated(candidate, variable, binds[0].statement, numbers)
        if not stated and reach.onward.loads(variable):
            continue
        yield candidate.finding(
            binds[0].statement,
            check="script.unused_constant",
            severity=Severity.ERROR if stated else Severity.WARNING,
            message=f"no output depends on the constant `{name}`"
            + (", although the rule states its numbers, and they stand nowhere else" if stated else "")
            + ". Use it where the rule asks for it; if it is not needed, remove it.",
        )


def _is_stated(candidate: Candidate, variable: Variable, statement: ast.AST, numbers: set[float]) -> bool:
    """Whether the rule states a range or a bound that stands nowhere else in the script, in whatever unit."""
    telling = {number for number in numbers if abs(number) not in (0.0, 1.0, 2.0)}
    if not telling or (len(telling) < 2 and not _BOUNDS.search(variable.name)):
        return False
    stated = asked.numbers_in(asked.words(candidate.trial))
    if not all(any(_alike(number, each) for each in stated) for number in telling):
        return False
    inside = set(ast.walk(statement))
    others: set[float] = set()
    for node in candidate.script.all(ast.Constant):
        if node in inside:
            continue
        if isinstance(node.value, str):
            shown = isinstance(candidate.script.parents.get(node), ast.Expr)
            others |= frozenset() if shown else asked.numbers_in(node.value)
        elif isinstance(node.value, int | float) and not isinstance(node.value, bool):
            others.add(float(node.value))
    return not any(_related(number, other) for number in telling for other in others)


def _related(number: float, other: float) -> bool:
    """Whether one number may stand for another: in another unit, as per cent, as edges of bins, or as what is left."""
    same = [number * scale for scale in (1.0, 1e3, 1e-3, 1e2, 1e-2, -1.0)]
    return any(_alike(each, other) for each in (*same, number + 1, number - 1, 1 - number, 1 - number / 100))


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(1.0, abs(other))


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, tuple):
        for each in value:
            yield from _numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)
