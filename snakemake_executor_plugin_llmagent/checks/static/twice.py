"""Operators with the same expression on both sides: one of the two was meant to be another."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate, on_tree
from snakemake_executor_plugin_llmagent.checks.static.source import UNKNOWN, Script
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity

_AND = frozenset({"numpy.logical_and", "operator.and_"})
_OR = frozenset({"numpy.logical_or", "operator.or_"})
_TO_ITSELF = frozenset({"numpy.subtract", "numpy.divide", "numpy.true_divide"})
_CALLS = frozenset(
    {
        "abs", "float", "int", "len", "min", "max", "sum", "round", "astype", "to_numpy", "mean", "std", "array",
        "to_list", "tolist", "any", "all", "between", "isin", "fillna", "clip", "copy", "column", "get",
    }
)  # fmt: skip
"""Functions and methods that give the same again if they are called again."""


@on_tree
def operands_differ(candidate: Candidate) -> Iterable[Finding]:
    """Both sides of `&`, `|`, `and`, `or`, `-`, `/` and of comparisons differ."""
    script = candidate.script
    for node in script.nodes:
        for operator, one, other, near in _pairs(script, node):
            if ast.dump(one) != ast.dump(other) or not _is_steady(script, one):
                continue
            text = f"both sides of `{operator}` are `{ast.unparse(one)}`"
            if not near:
                text = f"`{ast.unparse(one)}` stands twice in this condition"
            yield candidate.finding(
                other,
                check="script.same_operands",
                severity=Severity.ERROR if near else Severity.WARNING,
                message=f"{text}. Was another quantity or object meant, as that of the second? If not, write it once.",
            )


def _pairs(script: Script, node: ast.AST) -> Iterator[tuple[str, ast.expr, ast.expr, bool]]:
    """Operator, two of its operands, and whether they stand side by side."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod | ast.BitXor):
        yield {ast.Sub: "-", ast.Mod: "%", ast.BitXor: "^"}.get(type(node.op), "/"), node.left, node.right, True
    elif isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for kind, (one, other) in zip(node.ops, pairwise(operands), strict=True):
            # `x != x` is how some ask for NaN.
            if isinstance(kind, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                yield "<" if isinstance(kind, ast.Lt | ast.LtE) else ">", one, other, True
    elif isinstance(node, ast.Call) and script.dotted(node.func) in _TO_ITSELF and len(node.args) == 2:
        yield "-" if "subtract" in script.dotted(node.func) else "/", node.args[0], node.args[1], True
    else:
        yield from _conditions(script, node)


def _conditions(script: Script, node: ast.AST) -> Iterator[tuple[str, ast.expr, ast.expr, bool]]:
    operator, parts = _joined(script, node)
    if not parts or _joined(script, script.parents[node])[0] == operator:
        return  # a part of a longer one
    flat = _flat(script, parts, operator)
    for position, other in enumerate(flat):
        for before, one in enumerate(flat[:position]):
            yield operator, one, other, position - before == 1


def _joined(script: Script, node: ast.AST) -> tuple[str, Sequence[ast.expr]]:
    """How a node joins conditions, and which; an empty operator if it joins none."""
    if isinstance(node, ast.BoolOp):
        return ("&" if isinstance(node.op, ast.And) else "|"), node.values
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        return ("&" if isinstance(node.op, ast.BitAnd) else "|"), (node.left, node.right)
    if isinstance(node, ast.Call) and script.dotted(node.func) in _AND | _OR and len(node.args) > 1:
        return ("&" if script.dotted(node.func) in _AND else "|"), node.args
    return "", ()


def _flat(script: Script, parts: Sequence[ast.expr], operator: str) -> list[ast.expr]:
    found: list[ast.expr] = []
    for part in parts:
        inner = _joined(script, part)
        found += _flat(script, inner[1], operator) if inner[0] == operator else [part]
    return found


def _is_steady(script: Script, node: ast.expr) -> bool:
    """Whether an expression is no constant, and gives the same when it is computed again."""
    if script.constant(node) is not UNKNOWN or isinstance(node, ast.Constant):
        return False
    for part in ast.walk(node):
        if isinstance(part, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return False
        if isinstance(part, ast.Call) and not _gives_the_same(script, part):
            return False
    return True


def _gives_the_same(script: Script, call: ast.Call) -> bool:
    name = script.dotted(call.func)
    if name.startswith(("numpy.", "math.", "awkward.")):
        return not name.startswith("numpy.random")
    return (call.func.attr if isinstance(call.func, ast.Attribute) else name) in _CALLS
