"""Whether what a script reads reaches what it writes.

A column is followed in three states: as a *name* in lists and loops, in a *table* that holds columns under their names,
and as a *value*. That a name is in a table, or that somebody asks whether it is, makes no use of its values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from snakemake_executor_plugin_llmagent.checks.static.candidate import Candidate
from snakemake_executor_plugin_llmagent.checks.static.onward import End, Step, follow
from snakemake_executor_plugin_llmagent.checks.static.scopes import Comprehension, Variable

_READERS = frozenset({"arrays", "iterate", "select"})
_NAMES = frozenset({"columns", "usecols", "expressions", "filter_name", "branches"})
_KEEPS_NAMES = frozenset(
    {
        "set", "list", "tuple", "sorted", "frozenset", "len", "enumerate", "zip", "reversed", "any", "all", "dict",
        "str", "dict.fromkeys", "itertools.chain", "isinstance",
    }
)  # fmt: skip
_KEEPS_TABLES = frozenset(
    {
        "dict", "list", "tuple", "iter", "next", "pandas.DataFrame", "pandas.concat", "polars.concat",
        "pyarrow.concat_tables", "awkward.concatenate",
    }
)  # fmt: skip
_SAME_TABLE = frozenset(
    {"to_pandas", "to_pydict", "copy", "dropna", "head", "reset_index", "sort_values", "combine_chunks", "compute"}
)
"""Methods that give the same table again, perhaps with fewer rows."""
_ABOUT_TABLE = frozenset(
    {
        "num_rows", "shape", "columns", "column_names", "keys", "files", "fields", "schema", "dtypes", "empty", "size",
        "num_columns", "num_entries",
    }
)  # fmt: skip
"""Attributes that say something of a table and nothing of what it holds."""


class State(Enum):
    """What of a column an expression holds."""

    NAME = "name"
    TABLE = "table"
    VALUE = "value"


@dataclass(frozen=True, eq=False)
class Fate:
    """What becomes of a value.

    Attributes:
        ends: all that does.
        guards: conditions that it decides, of which the script ends or not.
    """

    ends: End
    guards: Sequence[ast.AST] = ()


class Reach:
    """Follows values of a candidate to their ends."""

    def __init__(self, candidate: Candidate) -> None:
        """Know how values go through the script."""
        self._candidate = candidate
        self._script = candidate.script
        self._texts = {str(text.value) for text in candidate.script.texts}
        self.onward = follow(candidate.script)

    def fate(self, starts: Sequence[ast.expr], state: State = State.VALUE) -> Fate:
        """What becomes of the values of expressions."""
        ends, guards = End.NOTHING, list[ast.AST]()
        stack: list[tuple[ast.expr, State, int | None]] = [(start, state, None) for start in starts]
        seen: set[tuple[ast.expr, State, int | None]] = set()
        while stack:
            each = stack.pop()
            if each in seen:
                continue
            seen.add(each)
            for step, after in self._next(*each):
                if step.to is not None:
                    stack.append((step.to, after, step.pick))
                elif after is State.VALUE or step.end is End.WRITTEN:
                    ends |= step.end
                    guards += [step.by] if step.end is End.GUARD else []
        return Fate(ends, guards)

    def variable(self, variable: Variable) -> Fate:
        """What becomes of what a variable holds."""
        return self.fate(self.onward.loads(variable))

    def reads_names(self, call: ast.Call, node: ast.AST) -> bool:
        """Whether a call reads the columns of an input whose names an argument gives."""
        keyword = next((one.arg for one in call.keywords if one.value is node), None)
        if self._candidate.flow.opens(call):
            return keyword in _NAMES or (keyword is None and node in call.args[1:])
        method = call.func
        if not (isinstance(method, ast.Attribute) and method.attr in _READERS):
            return False
        named = keyword in _NAMES or (keyword is None and node in call.args[:1])
        return named and bool(self._candidate.flow.opened(method.value))

    # --- states -------------------------------------------------------------------------------------------------

    def _next(self, node: ast.expr, state: State, pick: int | None) -> Iterator[tuple[Step, State]]:
        outer = self._script.parents.get(node)
        if isinstance(outer, ast.keyword):
            outer = self._script.parents[outer]
        if state is State.NAME:
            found = self._name(node, outer)
        elif state is State.TABLE:
            found = self._table(node, outer)
        else:
            found = None
        if found is not None:
            yield from found
            return
        loops = isinstance(outer, ast.For | ast.AsyncFor | ast.comprehension) and node is outer.iter
        for step in self.onward.steps(node, pick):
            # A loop over names or tables is what is made of them one by one.
            around = step.to is None or isinstance(step.to, Comprehension)
            if not (state is not State.VALUE and loops and around):
                yield step, state

    def _name(self, node: ast.expr, outer: ast.AST | None) -> Sequence[tuple[Step, State]] | None:
        """Where a name goes; None if it goes where any value goes."""
        if (copied := self._copied(node)) is not None:
            return copied
        if isinstance(outer, ast.Subscript) and node is outer.slice:
            looked_up = isinstance(outer.ctx, ast.Load)
            return [(Step(outer, outer), State.VALUE)] if looked_up else []
        if isinstance(self._script.statement(node), ast.Raise):
            return []
        if isinstance(outer, ast.Call) and node is not outer.func and not self.onward.shows(outer):
            if self.reads_names(outer, node):
                return [(Step(outer, outer), State.TABLE)]
            if self._script.dotted(outer.func) in _KEEPS_NAMES:
                return [(Step(outer, outer), State.NAME)]
            if not self._script.called(outer) and not self.onward.fills(outer):
                return [(Step(outer, outer), State.VALUE)]
        return None

    def _copied(self, node: ast.expr) -> Sequence[tuple[Step, State]] | None:
        """Where columns are put into a table under their own names; None if they are not."""
        if not isinstance(node, ast.Name):
            return None
        variable = self.onward.scopes.variable(node)
        if isinstance(variable.scope, ast.DictComp) and self._is(variable.scope.key, variable):
            return [(Step(variable.scope, variable.scope), State.TABLE)]
        statement = self._script.statement(node)
        target = statement.targets[-1] if isinstance(statement, ast.Assign) else None
        into = target.value if isinstance(target, ast.Subscript) and self._is(target.slice, variable) else None
        if isinstance(into, ast.Name):
            loads = self.onward.loads(self.onward.scopes.variable(into))
            return [(Step(statement, load), State.TABLE) for load in loads]
        return None

    def _is(self, node: ast.AST, variable: Variable) -> bool:
        return isinstance(node, ast.Name) and self.onward.scopes.variable(node) == variable

    def _table(self, node: ast.expr, outer: ast.AST | None) -> Sequence[tuple[Step, State]] | None:
        """Where a table goes; None if it goes where any value goes, as a table."""
        if isinstance(outer, ast.Subscript) and node is outer.value:
            return self._looked_up(outer)
        if isinstance(outer, ast.Attribute):
            return self._asked(outer)
        if isinstance(outer, ast.Call) and node is not outer.func:
            if self._script.dotted(outer.func) == "len":
                return []
            if self._script.called(outer) and not isinstance(node, ast.Starred):
                return None
            keeps = self._script.dotted(outer.func) in _KEEPS_TABLES
            return [(Step(outer, outer), State.TABLE if keeps else State.VALUE)]
        if isinstance(outer, ast.Compare):
            asks = isinstance(outer.ops[0], ast.In | ast.NotIn) and node is not outer.left
            return [] if asks else [(Step(outer, outer), State.VALUE)]
        if isinstance(outer, ast.Dict | ast.DictComp | ast.Starred | ast.withitem | ast.BinOp | ast.Set | ast.Lambda):
            return [(step, State.VALUE) for step in self.onward.steps(node)]
        return None

    def _looked_up(self, outer: ast.Subscript) -> Sequence[tuple[Step, State]]:
        if isinstance(outer.ctx, ast.Store):
            return []
        known = self._script.choices(outer.slice)
        if isinstance(outer.slice, ast.Name) and not known:
            variable = self.onward.scopes.variable(outer.slice)
            known = self._script.looped(self.onward.scopes.binds.get(variable, ()))
        if known and all(isinstance(each, str) or _are_texts(each) for each in known):
            return []  # the name stands here, and is followed by itself
        return [(Step(outer, outer), State.TABLE if self._is_mask(outer.slice) else State.VALUE)]

    def _is_mask(self, node: ast.expr, depth: int = 4) -> bool:
        """Whether an index selects rows: it is a condition, a number or a range."""
        if isinstance(node, ast.Compare | ast.Slice):
            return True
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.BitAnd | ast.BitOr | ast.BitXor)
        if isinstance(node, ast.UnaryOp):
            return True
        if isinstance(node, ast.Constant):
            return isinstance(node.value, int)
        if isinstance(node, ast.Call):
            return self._script.dotted(node.func).partition(".")[0] in ("numpy", "awkward")
        if isinstance(node, ast.Subscript):
            return self._is_mask(node.slice, depth)
        if isinstance(node, ast.Name) and depth:
            binds = self.onward.scopes.binds.get(self.onward.scopes.variable(node), ())
            kept = [bind for bind in binds if bind.kind != "augment" and not _cuts_itself(bind.value, node.id)]
            return bool(kept) and all(
                bind.kind == "assign" and bind.index is None and bind.value is not None
                and self._is_mask(bind.value, depth - 1) for bind in kept
            )  # fmt: skip
        return False

    def _asked(self, outer: ast.Attribute) -> Sequence[tuple[Step, State]]:
        call = self._script.parents.get(outer)
        if isinstance(call, ast.Call) and _is_called(call, outer):
            if outer.attr in _SAME_TABLE:
                return [(Step(call, call), State.TABLE)]
            known = self._script.choices(call.args[0]) if call.args else ()
            if outer.attr in ("column", "get", "field") and known and all(isinstance(each, str) for each in known):
                return []
        if outer.attr in _ABOUT_TABLE or (outer.attr in self._texts and not _is_called(call, outer)):
            return []  # a column that is read as an attribute is followed by itself
        return [(Step(outer, outer), State.VALUE)]


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


def _cuts_itself(value: ast.expr | None, name: str) -> bool:
    """Whether a mask is made of itself: `good = good[enough]`."""
    return isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name) and value.value.id == name


def _is_called(call: ast.AST | None, node: ast.AST) -> bool:
    return isinstance(call, ast.Call) and call.func is node
