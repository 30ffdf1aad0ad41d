"""Code that goes on although an input, a branch or a column is missing, or although the computation failed."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from snakemake_executor_plugin_llmagent.checks.static import asked
from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.fallbacks import (
    BROAD,
    MISSING,
    Ending,
    Fallback,
    Outcome,
    handlers,
    outcome,
    value_outcome,
)
from snakemake_executor_plugin_llmagent.checks.static.fits import calls_fit, looks_at_validity
from snakemake_executor_plugin_llmagent.checks.static.uses import PLOTS
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity

_EXISTS = frozenset({"exists", "is_file", "isfile"})
_LISTS = frozenset({"keys", "columns", "files", "fields", "names", "column_names", "dtype"})


@on_tree
def hides_nothing_missing(candidate: Candidate) -> Iterable[Finding]:
    """A missing input, branch or column ends the script; nothing takes its place."""
    allowed = asked.allows_absence(candidate.trial)
    for node, what, instead in _hidden(candidate):
        if instead is None or instead.ending not in (Ending.INVENTS, Ending.NUMBER, Ending.SILENT):
            continue
        if instead.ending is Ending.INVENTS:
            yield candidate.finding(
                instead.node,
                check="script.invented_data",
                message=f"where {what} is missing, {instead.made} take its place. "
                "Let the script fail and say what is missing.",
            )
        elif instead.ending is Ending.NUMBER:
            yield candidate.finding(
                instead.node,
                check="script.hides_missing",
                severity=Severity.WARNING if allowed or _may_be_data(candidate, what) else Severity.ERROR,
                message=f"where {what} is missing, a default takes its place. Let "
                "the script fail and say what is missing.",
            )
        else:
            sure = (what == _FILE or _says_nothing(node)) and not allowed
            yield candidate.finding(
                node,
                check="script.hides_missing",
                severity=Severity.ERROR if sure else Severity.WARNING,
                message=f"where {what} is missing, the script goes on without it. Let it fail and say what is missing.",
            )


_FILE = "an input"


def _may_be_data(candidate: Candidate, what: str) -> bool:
    """Whether weights may be missing in one of several inputs or jobs: recorded events have none, and count as one."""
    several = len(candidate.trial.job.inputs) > 1 or bool(candidate.trial.spec.wildcards)
    return several and "weight" in what.lower()


def _says_nothing(node: ast.AST) -> bool:
    """Whether a handler does nothing at all, without a word."""
    if isinstance(node, ast.ExceptHandler):
        return all(isinstance(each, ast.Pass | ast.Continue) for each in node.body)
    return isinstance(node, ast.With)


def _hidden(candidate: Candidate) -> Iterator[tuple[ast.AST, str, Outcome | None]]:
    """Where something may be missing: node, what it is, and what happens instead."""
    for fallback in handlers(candidate.script):
        if fallback.caught is not None and MISSING.intersection(fallback.caught):
            what = _read(candidate, fallback.tried)
            if what:
                yield fallback.node, what, _with_default_before(candidate, fallback)
    for node in candidate.script.nodes:
        if isinstance(node, ast.If):
            yield from _branches(candidate, node)
        elif isinstance(node, ast.IfExp):
            yield from _either(candidate, node)
        elif isinstance(node, ast.Call):
            yield from _with_default(candidate, node)


def _read(candidate: Candidate, nodes: Sequence[ast.AST]) -> str:
    """What of the inputs a piece of code reads; empty if nothing."""
    found = ""
    for part in (inner for node in nodes for inner in ast.walk(node)):
        if isinstance(part, ast.Call) and candidate.flow.opens(part) not in ("", "json", "yaml"):
            return _FILE
        name = _column(candidate, part)
        found = found or name
    return found


def _column(candidate: Candidate, node: ast.AST) -> str:
    """The branch or column that a node looks up in an object read from an input, as a message names it."""
    key: ast.expr | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and candidate.flow.opened(node.value):
        key = node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        reads = node.args and node.func.attr in ("array", "arrays", "Get") and candidate.flow.opened(node.func.value)
        key = node.args[0] if reads else None
    if key is None:
        return ""
    names = [name for name in candidate.script.choices(key) if isinstance(name, str)]
    if names:
        return f"`{names[0]}`"
    # A key of the job's; but not one of a loop over all that is there.
    return "what is looked up" if candidate.flow.content(key) and not _is_listed(candidate, key) else ""


def _is_listed(candidate: Candidate, key: ast.expr) -> bool:
    """Whether a key comes out of the object itself, so that it cannot be missing."""
    return any(
        bind.value is not None and (_lists_an_input(candidate, bind.value) or bool(candidate.flow.opened(key)))
        for part in ast.walk(key)
        if isinstance(part, ast.Name)
        for bind in candidate.script.binds.get(part.id, ())
        if bind.kind == "loop"
    )


def _with_default_before(candidate: Candidate, fallback: Fallback) -> Outcome:
    """How a handler ends; one that does nothing leaves what the names were before."""
    found = outcome(candidate, fallback)
    if found.ending is not Ending.SILENT:
        return found
    before = _default_before(candidate, fallback.node, fallback.tried)
    return before or found


def _default_before(candidate: Candidate, node: ast.AST, tried: Sequence[ast.AST]) -> Outcome | None:
    outer = {node, *candidate.script.ancestors(node)}
    siblings = _siblings(candidate, node)
    for name in _assigned(tried):
        for bind in candidate.script.binds.get(name, ()):
            if bind.statement in siblings and bind.statement not in outer and bind.value is not None:
                default = value_outcome(candidate, bind.statement, bind.value, [name])
                if default.ending in (Ending.NUMBER, Ending.INVENTS):
                    return default
    return None


def _siblings(candidate: Candidate, node: ast.AST) -> frozenset[ast.AST]:
    """The statements in front of the one that a node belongs to, in the same block."""
    statement = node if not isinstance(node, ast.ExceptHandler) else candidate.script.parents[node]
    parent = candidate.script.parents.get(statement)
    if parent is None:
        return frozenset()
    line = getattr(statement, "lineno", 0)
    return frozenset(each for each in ast.iter_child_nodes(parent) if getattr(each, "lineno", line) < line)


def _assigned(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id


# --- tests for presence ---------------------------------------------------------------------------------------------


def _presence(candidate: Candidate, test: ast.expr) -> tuple[str, bool] | None:
    """What a condition asks the presence of, and whether it holds if that is there."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _presence(candidate, test.operand)
        return None if inner is None else (inner[0], not inner[1])
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.In | ast.NotIn):
        name = candidate.script.constant(test.left)
        if isinstance(name, str) and _lists_an_input(candidate, test.comparators[0]):
            return f"`{name}`", isinstance(test.ops[0], ast.In)
    if isinstance(test, ast.Call):
        return _asks(candidate, test)
    return None


def _asks(candidate: Candidate, call: ast.Call) -> tuple[str, bool] | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else candidate.script.dotted(call.func)
    if name in _EXISTS:
        asked_of = [*call.args, *([call.func.value] if isinstance(call.func, ast.Attribute) else [])]
        if any(map(candidate.flow.content, asked_of)):
            return _FILE, True
    if name == "hasattr" and len(call.args) == 2 and candidate.flow.opened(call.args[0]):
        key = candidate.script.constant(call.args[1])
        return (f"`{key}`", True) if "weight" in str(key).lower() else None
    return None


def _lists_an_input(candidate: Candidate, node: ast.expr, depth: int = 3) -> bool:
    """Whether an expression is an object read from an input, or the list of what it holds."""
    if isinstance(node, ast.Name) and depth:
        if candidate.flow.opened(node):
            return True
        values = [bind.value for bind in candidate.script.binds.get(node.id, ()) if bind.kind == "assign"]
        return any(value is not None and _lists_an_input(candidate, value, depth - 1) for value in values)
    if isinstance(node, ast.Call):
        if candidate.script.dotted(node.func) in ("set", "list", "tuple", "sorted") and node.args:
            return _lists_an_input(candidate, node.args[0], depth)
        if candidate.flow.opened(node):
            return True
        return isinstance(node.func, ast.Attribute) and _lists_an_input(candidate, node.func, depth)
    if isinstance(node, ast.Attribute) and node.attr in _LISTS:
        return _lists_an_input(candidate, node.value, depth)
    return bool(candidate.flow.opened(node))


def _branches(candidate: Candidate, node: ast.If) -> Iterator[tuple[ast.AST, str, Outcome | None]]:
    found = _presence(candidate, node.test)
    if found is None:
        return
    what, positive = found
    absent = node.orelse if positive else node.body
    present = node.body if positive else node.orelse
    if len(absent) == 1 and isinstance(absent[0], ast.If):
        return  # `elif`: another name is looked for
    if absent:
        instead = outcome(candidate, Fallback(node, present, absent, None))
        if instead.ending is Ending.SILENT and what != _FILE:
            return
        yield node, what, instead
    elif present and set(_assigned(present)):
        yield node, what, _default_before(candidate, node, present)


def _either(candidate: Candidate, node: ast.IfExp) -> Iterator[tuple[ast.AST, str, Outcome | None]]:
    found = _presence(candidate, node.test)
    if found is not None:
        what, positive = found
        yield node, what, value_outcome(candidate, node, node.orelse if positive else node.body, [])


def _with_default(candidate: Candidate, call: ast.Call) -> Iterator[tuple[ast.AST, str, Outcome | None]]:
    """`.get(name, default)` on objects read from an input, and `getattr(object, name, default)` for weights."""
    if isinstance(call.func, ast.Attribute) and call.func.attr == "get" and len(call.args) == 2:
        source, name, default = call.func.value, call.args[0], call.args[1]
    elif candidate.script.dotted(call.func) == "getattr" and len(call.args) == 3:
        source, name, default = call.args
    else:
        return
    key = candidate.script.constant(name)
    if isinstance(key, str) and candidate.script.dotted(source) == "snakemake.params":
        params = candidate.trial.spec.params
        near = difflib.get_close_matches(key, params, n=1) if key not in params else []
        if near:
            yield call, f"the param `{key}` (the rule has `{near[0]}`)", value_outcome(candidate, call, default, [])
    # Attributes may be Python's own, such as `ndim`.
    known = isinstance(call.func, ast.Attribute) or (isinstance(key, str) and "weight" in key.lower())
    if isinstance(key, str) and known and candidate.flow.opened(source):
        instead = value_outcome(candidate, call, default, [])
        # What is counted may be absent because there is none of it.
        counted = candidate.script.constant(default) == 0 and instead.ending is Ending.NUMBER
        yield call, f"`{key}`", replace(instead, ending=Ending.SILENT) if counted else instead


# --- failed computations --------------------------------------------------------------------------------------------


@on_tree
def swallows_no_failure(candidate: Candidate) -> Iterable[Finding]:
    """A computation that failed does not look like one that succeeded."""
    checked = looks_at_validity(candidate.script)
    for fallback in handlers(candidate.script):
        if fallback.caught is None or not BROAD.intersection(fallback.caught) or _read(candidate, fallback.tried):
            continue
        fits = calls_fit(candidate.script, fallback.tried)
        if not fits and not _computes(candidate, fallback.tried):
            continue
        found = outcome(candidate, fallback)
        if found.ending not in (Ending.SUCCEEDS, Ending.NUMBER, Ending.INVENTS, Ending.SILENT):
            continue
        sure = found.ending is Ending.SUCCEEDS or (fits and not checked)
        yield candidate.finding(
            fallback.node,
            check="script.swallows",
            severity=Severity.ERROR if sure else Severity.WARNING,
            message="any exception is caught here, and what failed looks like a "
            "success afterwards. Catch what you expect, and mark the result as not valid or let the script fail.",
        )


def _computes(candidate: Candidate, nodes: Sequence[ast.AST]) -> bool:
    """Whether code computes numbers from the inputs that are used later."""
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call | ast.BinOp):
            called = node.value.func if isinstance(node.value, ast.Call) else None
            draws = isinstance(called, ast.Attribute) and called.attr in PLOTS
            if candidate.flow.content(node.value) and not draws:
                return True
    return False
