"""What a script does where something is missing or has failed: in `except`, in `else`, behind `suppress`."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate
from snakemake_executor_plugin_llmagent.checks.static.makers import Made, made
from snakemake_executor_plugin_llmagent.checks.static.source import UNKNOWN, Script

BROAD = frozenset({"", "Exception", "BaseException"})
MISSING = BROAD | {
    "KeyError", "LookupError", "OSError", "IOError", "FileNotFoundError", "KeyInFileError", "FieldNotFoundError",
    "ArrowInvalid",
}  # fmt: skip
"""Exceptions that say that a file, a branch or a column is missing, among other things."""
_VALID = re.compile(r"valid|converged|success|accurate|is_ok|^ok$|passed", re.IGNORECASE)
_ENDS = frozenset({"sys.exit", "exit", "quit", "os._exit", "os.abort"})
_SHOWS = frozenset({"print", "warnings.warn", "traceback.print_exc"})
_LOGS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "write"})
_EMPTY = frozenset({"array", "zeros", "list", "dict", "Array", "DataFrame", "empty"})


class Ending(Enum):
    """What becomes of a case in which something is missing or failed, the best first."""

    RAISES = auto()
    SUCCEEDS = auto()
    INVENTS = auto()
    NUMBER = auto()
    OTHER = auto()
    SILENT = auto()


@dataclass(frozen=True, eq=False)
class Fallback:
    """A piece of code and what stands in for it.

    Attributes:
        node: the `try`, `with` or `if`.
        tried: what is tried, or done if all is there.
        instead: what is done otherwise.
        caught: names of the exceptions, `""` for a bare `except`; None for an `if`.
    """

    node: ast.AST
    tried: Sequence[ast.AST]
    instead: Sequence[ast.AST]
    caught: tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a fallback ends, and the node that decides it."""

    ending: Ending
    node: ast.AST
    made: Made | None = None


def handlers(script: Script) -> Iterator[Fallback]:
    """What is done when exceptions are caught."""
    for node in script.nodes:
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield Fallback(handler, node.body, handler.body, _caught(script, handler.type))
        elif isinstance(node, ast.With):
            for item in node.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and script.dotted(call.func) in ("contextlib.suppress", "suppress"):
                    yield Fallback(node, node.body, (), tuple(_last(script, each) for each in call.args))


def _caught(script: Script, kind: ast.expr | None) -> tuple[str, ...]:
    if kind is None:
        return ("",)
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return tuple(_last(script, each) for each in kinds)


def _last(script: Script, node: ast.expr) -> str:
    return script.dotted(node).rpartition(".")[2] or "?"


def outcome(candidate: Candidate, fallback: Fallback) -> Outcome:
    """How a fallback ends."""
    first = fallback.instead[0] if fallback.instead else fallback.node
    found = [each for node in fallback.instead for part in _executed(node) for each in _judged(candidate, part)]
    for ending in (Ending.RAISES, Ending.SUCCEEDS):
        if (one := next((each for each in found if each.ending is ending), None)) is not None:
            return one
    if any(each.ending is Ending.OTHER for each in found):
        return Outcome(Ending.OTHER, first)
    for ending in (Ending.INVENTS, Ending.NUMBER):
        if (one := next((each for each in found if each.ending is ending), None)) is not None:
            return one
    return Outcome(Ending.SILENT, first)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """A statement and those inside it, without what is only defined there."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.withitem):
            yield from _executed(child)


def _judged(candidate: Candidate, node: ast.AST) -> Iterator[Outcome]:
    script = candidate.script
    if isinstance(node, ast.Raise | ast.Assert):
        yield Outcome(Ending.RAISES, node)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _called(script, node.value)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target, value in _pairs(targets, node.value):
            yield value_outcome(candidate, node, value, [_target(script, target)])
    elif isinstance(node, ast.Return):
        if node.value is None:
            yield Outcome(Ending.OTHER, node)
        else:
            yield value_outcome(candidate, node, node.value, [])
    elif isinstance(node, ast.AugAssign):
        yield Outcome(Ending.OTHER, node)


def _pairs(targets: Iterable[ast.expr], value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets and what each of them gets: `mu, valid = 1.0, True` are two."""
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            yield from zip(target.elts, value.elts, strict=False)
        else:
            yield target, value


def _target(script: Script, target: ast.expr) -> str:
    if isinstance(target, ast.Subscript):
        key = script.constant(target.slice)
        return key if isinstance(key, str) else ""
    return target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""


def _called(script: Script, call: ast.Call) -> Iterator[Outcome]:
    name = script.dotted(call.func)
    if name in _ENDS or any(_always_raises(script, function) for function in script.called(call)):
        yield Outcome(Ending.RAISES, call)
    elif name not in _SHOWS and not (isinstance(call.func, ast.Attribute) and call.func.attr in _LOGS):
        shows = script.called(call) and all(_only_shows(script, function) for function in script.called(call))
        if not shows:
            yield Outcome(Ending.OTHER, call)


def _always_raises(script: Script, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and script.dotted(node.func) in _ENDS)
        for node in ast.walk(function)
    )


def _only_shows(script: Script, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function prints, such as `say("no weight")`."""
    return any(isinstance(node, ast.Call) and script.dotted(node.func) in _SHOWS for node in ast.walk(function))


def value_outcome(candidate: Candidate, node: ast.AST, value: ast.expr, targets: Iterable[str]) -> Outcome:
    """How a fallback ends that gives a value."""
    constant = candidate.script.constant(value)
    if isinstance(value, ast.Dict):
        return _dictionary(candidate, node, value)
    if constant is True and any(_VALID.search(target) for target in targets):
        return Outcome(Ending.SUCCEEDS, node)
    if isinstance(constant, bool) or constant is None:
        return Outcome(Ending.OTHER, node)
    if isinstance(constant, int | float):
        return Outcome(Ending.NUMBER if math.isfinite(constant) else Ending.OTHER, node)
    if isinstance(constant, tuple) and constant and all(_finite(each) for each in constant):
        return Outcome(Ending.INVENTS, node, Made.LITERAL) if len(constant) > 2 else Outcome(Ending.NUMBER, node)
    if constant is not UNKNOWN or _is_nan(candidate.script, value):
        return Outcome(Ending.OTHER, node)
    kind = made(candidate, value)
    if kind is None:
        return Outcome(Ending.OTHER, node)
    return Outcome(Ending.NUMBER if kind is Made.CONSTANT else Ending.INVENTS, node, kind)


def _dictionary(candidate: Candidate, node: ast.AST, value: ast.Dict) -> Outcome:
    """A dictionary that stands in for a result, such as `{"valid": True, "mu": 0.0}`."""
    parts = [
        value_outcome(candidate, node, inner, [candidate.script.text(key)])
        for key, inner in zip(value.keys, value.values, strict=True)
    ]
    for ending in (Ending.SUCCEEDS, Ending.OTHER, Ending.INVENTS, Ending.NUMBER):
        if (one := next((part for part in parts if part.ending is ending), None)) is not None:
            return one
    return Outcome(Ending.OTHER, node)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_nan(script: Script, value: ast.expr) -> bool:
    """Whether a value says that there is none: NaN, also as an array, or an empty container."""
    for node in ast.walk(value):
        if script.dotted(node) in ("numpy.nan", "math.nan", "numpy.NaN"):
            return True
        if isinstance(node, ast.Constant) and str(node.value).lower() in ("nan", "inf", "none"):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _EMPTY:
            argument = script.constant(node.args[0]) if node.args else ()
            if argument in ((), 0, {}):
                return True
    return False
