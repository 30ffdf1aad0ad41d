"""Where names of a script get their values."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, cast

Function = ast.FunctionDef | ast.AsyncFunctionDef
NOWHERE: Final = sys.maxsize
"""The index of a target whose place among the values is not known."""


@dataclass(frozen=True, eq=False)
class Bind:
    """One place where a name gets a value.

    Attributes:
        name: the name.
        value: what it is bound to, or taken from; None if nothing is known.
        statement: the node that binds it.
        kind: how; `loop` takes it out of `value`, `augment` changes what was there.
        index: if it is one of several targets, which of the values.
    """

    name: str
    value: ast.expr | None
    statement: ast.AST
    kind: Literal["assign", "augment", "loop", "with", "parameter"]
    index: int | None = None


def binds_of(node: ast.AST) -> Iterator[Bind]:
    """The places of a statement where names get values."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _targets(target, node.value, node, "assign")
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
        yield from _targets(node.target, node.value, node, "assign")
    elif isinstance(node, ast.AugAssign):
        yield from _targets(node.target, node.value, node, "augment")
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield from _targets(node.target, node.iter, node, "loop")
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _targets(node.optional_vars, node.context_expr, node, "with")
    elif isinstance(node, Function | ast.Lambda):
        yield from _parameters(node)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield Bind(node.name, None, node, "with")


def _targets(
    target: ast.expr,
    value: ast.expr | None,
    node: ast.AST,
    kind: Literal["assign", "augment", "loop", "with"],
    index: int | None = None,
) -> Iterator[Bind]:
    if isinstance(target, ast.Name):
        yield Bind(target.id, value, node, kind, index)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, value, node, kind, NOWHERE)
    elif isinstance(target, ast.Tuple | ast.List):
        paired = isinstance(value, ast.Tuple | ast.List) and kind == "assign" and len(value.elts) == len(target.elts)
        for number, part in enumerate(target.elts):
            if paired and not any(isinstance(one, ast.Starred) for one in target.elts):
                yield from _targets(part, cast(ast.Tuple, value).elts[number], node, kind)
            else:
                yield from _targets(part, value, node, kind, number if index is None else NOWHERE)


def _parameters(node: Function | ast.Lambda) -> Iterator[Bind]:
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(named, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    pairs += [(each, None) for each in (arguments.vararg, arguments.kwarg) if each is not None]
    for argument, default in pairs:
        yield Bind(argument.arg, default, node, "parameter")
