"""Cuts that every event passes, or none."""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.source import Script
from snakemake_executor_plugin_llmagent.protocols import Finding

_OR = frozenset({"numpy.logical_or"})
_AND = frozenset({"numpy.logical_and"})
_ABSOLUTE = frozenset({"abs", "numpy.abs", "numpy.absolute", "numpy.fabs", "math.fabs"})
_LOWER = frozenset({"low", "lower", "lo", "min", "minimum", "left"})
_UPPER = frozenset({"high", "upper", "hi", "max", "maximum", "right"})
_TURNED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq,
}  # fmt: skip


@dataclass(frozen=True)
class Bound:
    """What a comparison of an expression with a number lets through."""

    kind: type[ast.cmpop]
    number: float


@on_tree
def cuts_cut(candidate: Candidate) -> Iterable[Finding]:
    """Comparisons of one quantity, put together, let some values through and stop others."""
    script = candidate.script
    for node in script.nodes:
        parts, every = _combined(script, node)
        if not parts or _is_inner(script, node):
            continue
        judge = _empty if every else _full
        problems = [judge(bounds, name) for name, bounds in _by_quantity(script, parts).items()]
        for problem in [*filter(None, problems)] or [*filter(None, [_by_name(script, parts, every=every)])]:
            text = f"{problem}. Mend the condition: `&` inside a range, `|` outside, the limits in the right order."
            yield candidate.finding(node, check="script.cut_never_cuts", message=text)


def _combined(script: Script, node: ast.AST) -> tuple[list[ast.expr], bool]:
    """The conditions that a node puts together, and whether all of them have to hold."""
    if isinstance(node, ast.BoolOp):
        every = isinstance(node.op, ast.And)
        return [part for value in node.values for part in _flat(script, value, every)], every
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        every = isinstance(node.op, ast.BitAnd)
        return [part for value in (node.left, node.right) for part in _flat(script, value, every)], every
    if isinstance(node, ast.Call) and script.dotted(node.func) in _OR | _AND:
        every = script.dotted(node.func) in _AND
        return [part for value in node.args for part in _flat(script, value, every)], every
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        return [node], True
    return [], True


def _flat(script: Script, node: ast.expr, every: bool) -> Iterator[ast.expr]:
    parts, same = _combined(script, node)
    if parts and same is every and not isinstance(node, ast.Compare):
        yield from parts
    else:
        yield node


def _is_inner(script: Script, node: ast.AST) -> bool:
    """Whether a node is a part of a larger condition of the same kind, which is looked at as a whole."""
    parent = script.parents.get(node)
    if parent is None:
        return False
    (parts, every), (_, same) = _combined(script, parent), _combined(script, node)
    return bool(parts) and every is same


@dataclass(frozen=True, eq=False)
class _Comparison:
    """A comparison with the quantity on the left: `quantity kind limit`."""

    quantity: ast.expr
    kind: type[ast.cmpop]
    limit: ast.expr


def _comparisons(script: Script, parts: Sequence[ast.expr]) -> Iterator[_Comparison]:
    for part in parts:
        if not isinstance(part, ast.Compare) or (len(part.ops) > 1 and len(parts) > 1 and not _is_all(script, part)):
            continue
        operands = [part.left, *part.comparators]
        for left, kind, right in zip(operands, map(type, part.ops), operands[1:], strict=False):
            turned = _TURNED.get(kind)
            if turned is not None:
                yield _Comparison(left, kind, right)
                yield _Comparison(right, turned, left)


def _by_quantity(script: Script, parts: Sequence[ast.expr]) -> Mapping[str, list[Bound]]:
    """Quantity → what its comparisons with numbers let through."""
    found: dict[str, list[Bound]] = defaultdict(list)
    for each in _comparisons(script, parts):
        number = script.number(each.limit)
        if number is not None and script.number(each.quantity) is None:
            found[_name(script, each.quantity)].append(Bound(each.kind, number))
    return {name: bounds for name, bounds in found.items() if len(bounds) > 1}


def _by_name(script: Script, parts: Sequence[ast.expr], *, every: bool) -> str:
    """What is wrong with limits whose names say which is the lower one: `low` and `high`, `window[0]` and `[1]`."""
    least = (ast.Lt, ast.LtE) if every else (ast.Gt, ast.GtE)
    below: set[tuple[str, str]] = set()
    above: set[tuple[str, str]] = set()
    for each in _comparisons(script, parts):
        pair, upper = _limit(each.limit)
        if pair and each.kind in (ast.Lt, ast.LtE, ast.Gt, ast.GtE):
            if not upper and each.kind in least:
                below.add((_name(script, each.quantity), pair))
            elif upper and each.kind not in least:
                above.add((_name(script, each.quantity), pair))
    for name, _ in sorted(below & above):
        if every:
            return (
                f"no value of `{name}` is below the lower limit and above the upper one, so this lets nothing through"
            )
        return (
            f"every value of `{name}` is above the lower limit or below the upper one, so this lets everything through"
        )
    return ""


def _limit(node: ast.expr) -> tuple[str, bool]:
    """The pair that a limit belongs to, and whether it is its upper one; no pair if that cannot be told."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value in (0, 1):
        return ast.unparse(node.value), node.slice.value == 1
    if isinstance(node, ast.Name):
        found = [(word, word in _UPPER) for word in node.id.lower().split("_") if word in _LOWER | _UPPER]
        if len(found) == 1:
            return "_".join("*" if word == found[0][0] else word for word in node.id.lower().split("_")), found[0][1]
    return "", False


def _is_all(script: Script, part: ast.Compare) -> bool:
    """Whether a chained comparison stands among conditions that all have to hold."""
    parent = script.parents.get(part)
    parts, every = _combined(script, parent) if parent is not None else ([], True)
    return every or not parts


def _name(script: Script, node: ast.expr) -> str:
    if isinstance(node, ast.Call) and script.dotted(node.func) in _ABSOLUTE and len(node.args) == 1:
        return f"abs({ast.unparse(node.args[0])})"
    return ast.unparse(node)


def _full(bounds: Sequence[Bound], name: str) -> str:
    """Why conditions of which one suffices let everything through; empty if they do not."""
    below = max((each.number for each in bounds if each.kind in (ast.Lt, ast.LtE)), default=-math.inf)
    above = min((each.number for each in bounds if each.kind in (ast.Gt, ast.GtE)), default=math.inf)
    if math.isfinite(below) and math.isfinite(above) and below > above:
        return f"every value of `{name}` is below {below:g} or above {above:g}, so this lets everything through"
    unequal = {each.number for each in bounds if each.kind is ast.NotEq}
    if len(unequal) > 1:
        one, other = sorted(unequal)[:2]
        return f"every value of `{name}` differs from {one:g} or from {other:g}, so this lets everything through"
    return ""


def _empty(bounds: Sequence[Bound], name: str) -> str:
    """Why conditions that all have to hold let nothing through; empty if they do not."""
    below = min((each.number for each in bounds if each.kind in (ast.Lt, ast.LtE)), default=math.inf)
    above = max((each.number for each in bounds if each.kind in (ast.Gt, ast.GtE)), default=-math.inf)
    strict = any(each.kind in (ast.Lt, ast.Gt) and each.number in (below, above) for each in bounds)
    if above > below or (above == below and strict):
        return f"no value of `{name}` is above {above:g} and below {below:g}, so this lets nothing through"
    equal = {each.number for each in bounds if each.kind is ast.Eq}
    if len(equal) > 1:
        one, other = sorted(equal)[:2]
        return f"no value of `{name}` is {one:g} and {other:g} at once, so this lets nothing through"
    return ""
