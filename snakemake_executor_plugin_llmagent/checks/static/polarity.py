"""Whether what fulfils a condition is kept, or is what a script does without."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from enum import Flag, auto

from snakemake_executor_plugin_llmagent.checks.static.onward import Onward, Step
from snakemake_executor_plugin_llmagent.checks.static.scopes import Comprehension

_NOT = frozenset({"numpy.logical_not", "numpy.invert", "operator.not_", "operator.inv"})
_SAME = frozenset(
    {
        "numpy.logical_and", "numpy.logical_or", "numpy.asarray", "numpy.array", "awkward.to_numpy", "numpy.where",
        "numpy.nonzero", "numpy.flatnonzero", "awkward.fill_none",
    }
)  # fmt: skip
_SAME_METHODS = frozenset({"astype", "to_numpy", "copy", "values", "nonzero", "fillna", "items"})
_COUNTS = frozenset({"sum", "any", "all", "mean", "count_nonzero", "len", "int", "float", "max", "min"})
_SELECTS = frozenset({"filter", "compress"})


class Kept(Flag):
    """What becomes of that for which a condition holds; `UNSEEN` if that cannot be told."""

    NOTHING = 0
    KEPT = auto()
    DROPPED = auto()
    UNSEEN = auto()


class Polarity:
    """Follows conditions to where they select."""

    def __init__(self, onward: Onward) -> None:
        """Know how values go through a script."""
        self._onward = onward
        self._script = onward.script

    def of(self, condition: ast.expr) -> Kept:
        """What becomes of that for which a condition holds."""
        found = Kept.NOTHING
        stack: list[tuple[ast.expr, bool, int | None]] = [(condition, True, None)]
        seen: set[tuple[ast.expr, bool, int | None]] = set()
        while stack:
            each = stack.pop()
            if each in seen:
                continue
            seen.add(each)
            for after in self._next(*each):
                if isinstance(after, Kept):
                    found |= after
                else:
                    stack.append(after)
        return found

    def _next(
        self, node: ast.expr, holds: bool, pick: int | None
    ) -> Iterator[tuple[ast.expr, bool, int | None] | Kept]:
        outer = self._script.parents.get(node)
        end = Kept.KEPT if holds else Kept.DROPPED
        if isinstance(outer, ast.UnaryOp):
            turns = isinstance(outer.op, ast.Invert | ast.Not)
            yield (outer, not holds, pick) if turns else Kept.UNSEEN
        elif isinstance(outer, ast.BinOp | ast.BoolOp):
            joins = isinstance(outer, ast.BoolOp) or isinstance(outer.op, ast.BitAnd | ast.BitOr | ast.Mult)
            yield (outer, holds, None) if joins else Kept.UNSEEN
        elif isinstance(outer, ast.Subscript) and node is outer.slice:
            yield end if isinstance(outer.ctx, ast.Load) else Kept.UNSEEN
        elif isinstance(outer, ast.Call) and node is not outer.func:
            yield from self._given(node, outer, holds)
        elif isinstance(outer, ast.Attribute):
            yield from self._asked(outer, holds, pick)
        elif isinstance(outer, ast.comprehension) and node in outer.ifs:
            yield from self._filtered(outer, end)
        elif isinstance(outer, ast.If):
            yield from self._decided(outer, holds)
        elif isinstance(outer, ast.FormattedValue):
            return
        elif isinstance(outer, ast.Tuple):
            yield from self._in_a_tuple(node, outer, holds, end)
        elif isinstance(outer, ast.For | ast.comprehension) and node is outer.iter:
            yield from self._on(self._onward.bound(outer, pick), holds, None)
        elif isinstance(outer, ast.stmt | ast.Subscript | ast.Dict | ast.List | ast.DictComp | ast.keyword):
            yield from self._on(self._onward.steps(node), holds, pick)
        else:
            yield Kept.UNSEEN

    def _on(
        self, steps: Iterator[Step], holds: bool, pick: int | None
    ) -> Iterator[tuple[ast.expr, bool, int | None] | Kept]:
        for step in steps:
            if step.to is not None:
                yield step.to, holds, pick if step.pick is None else step.pick
            elif step.end.name == "WRITTEN":
                yield Kept.UNSEEN

    def _given(self, node: ast.expr, call: ast.Call, holds: bool) -> Iterator[tuple[ast.expr, bool, int | None] | Kept]:
        name = self._script.dotted(call.func)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else name
        if self._onward.shows(call) or name.rpartition(".")[2] in _COUNTS:
            return
        if name in _NOT:
            yield call, not holds, None
        elif name in _SAME and (name != "numpy.where" or len(call.args) == 1):
            yield call, holds, None
        elif method in _SELECTS and isinstance(call.func, ast.Attribute):
            yield Kept.KEPT if holds else Kept.DROPPED
        elif self._script.called(call):
            yield from self._on(self._onward.steps(node), holds, None)
        else:
            yield Kept.UNSEEN

    def _asked(
        self, outer: ast.Attribute, holds: bool, pick: int | None
    ) -> Iterator[tuple[ast.expr, bool, int | None] | Kept]:
        call = self._script.parents.get(outer)
        called = isinstance(call, ast.Call) and call.func is outer
        if outer.attr in _COUNTS and called:
            return
        if outer.attr in _SAME_METHODS:
            # Conditions in a dict are the second of its items.
            to = call if called and isinstance(call, ast.Call) else outer
            yield to, holds, 1 if outer.attr == "items" else pick
        else:
            yield Kept.UNSEEN

    def _filtered(self, outer: ast.comprehension, end: Kept) -> Iterator[Kept]:
        whole = self._script.parents[outer]
        call = self._script.parents.get(whole)
        counted = isinstance(call, ast.Call) and self._script.dotted(call.func).rpartition(".")[2] in _COUNTS
        if not counted:
            yield end if isinstance(whole, Comprehension) else Kept.UNSEEN

    def _decided(self, outer: ast.If, holds: bool) -> Iterator[Kept]:
        """Where the loop goes on with the next, or the script ends, what fulfils the condition is dropped."""
        jumps = isinstance(outer.body[-1], ast.Continue | ast.Break | ast.Raise | ast.Return) and not outer.orelse
        if not jumps:
            yield Kept.UNSEEN
        else:
            yield Kept.DROPPED if holds else Kept.KEPT

    def _in_a_tuple(
        self, node: ast.expr, outer: ast.Tuple, holds: bool, end: Kept
    ) -> Iterator[tuple[ast.expr, bool, int | None] | Kept]:
        whole = self._script.parents.get(outer)
        if isinstance(whole, ast.Subscript) and outer is whole.slice:  # pt[selected, 0]
            yield end if isinstance(whole.ctx, ast.Load) else Kept.UNSEEN
        elif isinstance(whole, ast.List | ast.Tuple):  # one of several pairs of a name and a condition
            yield whole, holds, outer.elts.index(node)
        else:
            yield from self._on(self._onward.steps(node), holds, None)


def identifiers(node: ast.AST) -> Sequence[str]:
    """The names, attributes and texts in an expression."""
    found: list[str] = []
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.append(part.id)
        elif isinstance(part, ast.Attribute):
            found.append(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.append(part.value)
    return found
