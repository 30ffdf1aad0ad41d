"""Where the value of an expression goes next: into a larger expression, a variable, a parameter, or to an end.

`flow` asks where values come from; this asks what becomes of them. Steps are followed without regard to order. Where it
cannot be seen what becomes of a value, the end says that it may be written.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from functools import cached_property, lru_cache

from snakemake_executor_plugin_llmagent.checks.static.binds import NOWHERE
from snakemake_executor_plugin_llmagent.checks.static.flow import parameters
from snakemake_executor_plugin_llmagent.checks.static.scopes import Comprehension, Scopes, Variable
from snakemake_executor_plugin_llmagent.checks.static.source import Bind, Function, Script


class End(Flag):
    """What becomes of a value in the end.

    Attributes:
        SHOWN: it is printed, logged, or stands in the message of an exception.
        GUARD: it decides whether the script ends with an error.
        WRITTEN: it is written, decides what is, or nobody can see what becomes of it.
    """

    NOTHING = 0
    SHOWN = auto()
    GUARD = auto()
    WRITTEN = auto()


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a value.

    Attributes:
        by: the expression or statement that takes it.
        to: the expression that holds it then, None at an end.
        end: what became of it, at an end.
        pick: if it is one of several values that `to` returns: which.
    """

    by: ast.AST
    to: ast.expr | None = None
    end: End = End.NOTHING
    pick: int | None = None


_SHOWS = frozenset(
    {"print", "warnings.warn", "sys.stdout.write", "sys.stderr.write", "pprint.pprint", "sys.exit", "exit"}
)
_LOGS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})
_ENDS = frozenset({"sys.exit", "exit", "quit", "os._exit", "os.abort"})
_CONTAINERS = frozenset({"list", "dict", "set", "collections.defaultdict", "collections.deque", "collections.Counter"})
_MAKE = frozenset(
    {
        "list", "dict", "set", "defaultdict", "Counter", "zeros", "ones", "full", "empty", "zeros_like", "ones_like",
        "full_like", "empty_like", "array", "arange", "linspace", "concatenate", "where", "sum", "float", "int",
        "DataFrame", "read_parquet", "read_table", "read_csv",
    }
)  # fmt: skip
"""Functions that make something new out of what they are given."""
_PUT = frozenset({"append", "extend", "update", "insert", "add", "setdefault", "appendleft"})


class Onward:
    """Follows values of a script forwards."""

    def __init__(self, script: Script) -> None:
        """Know the script's variables and functions."""
        self.script = script
        self.scopes = Scopes(script)

    def steps(self, node: ast.expr, pick: int | None = None) -> Iterator[Step]:
        """Where the value of an expression goes next."""
        outer = self.script.parents.get(node)
        if isinstance(outer, ast.keyword | ast.FormattedValue | ast.Starred):
            yield from self._inside(node, outer)
        elif isinstance(outer, ast.comprehension):
            yield from self._looped(node, outer)
        elif isinstance(outer, ast.Call):
            yield from self._called(node, outer)
        elif isinstance(outer, ast.Yield | ast.YieldFrom):
            yield from self._returned(outer)
        elif isinstance(outer, ast.NamedExpr):
            yield from self.bound(outer, None)
            yield Step(outer, outer)
        elif isinstance(outer, ast.Tuple | ast.List):
            yield from self._collected(node, outer)
        elif isinstance(outer, ast.expr):
            yield Step(outer, outer)
        elif isinstance(outer, ast.stmt):
            yield from self._ended(node, outer, pick)
        else:  # a pattern, a context manager, a default of a parameter, what the syntax of later versions adds
            yield from self._otherwise(node, outer)

    def loads(self, variable: Variable) -> Sequence[ast.Name]:
        """Where a variable is read."""
        return self.scopes.loads.get(variable, ())

    def in_a_query(self, name: str) -> bool:
        """Whether a query, as pandas understands it, reads a variable: `"pt > @threshold"`."""
        return f"@{name}" in self._queries

    @cached_property
    def _queries(self) -> frozenset[str]:
        return frozenset(found for text in self.script.texts for found in re.findall(r"@\w+", str(text.value)))

    # --- expressions --------------------------------------------------------------------------------------------

    def _inside(self, node: ast.expr, outer: ast.keyword | ast.FormattedValue | ast.Starred) -> Iterator[Step]:
        """Through what is no value of its own: `name=value`, `{value}`, `*values`."""
        if not isinstance(outer, ast.keyword):
            yield from self.steps(outer)
            return
        call = self.script.parents[outer]
        if isinstance(call, ast.Call):
            yield from self._called(node, call)
        else:
            yield Step(outer, end=End.WRITTEN)

    def _collected(self, node: ast.expr, outer: ast.Tuple | ast.List) -> Iterator[Step]:
        """Into one of several targets if it is one of as many values, and else into the whole."""
        whole = self.script.parents.get(outer)
        if isinstance(whole, ast.Assign):
            binds = [bind for bind in self._bound_by.get(whole, ()) if bind.value is node]
            if binds and all(isinstance(target, ast.Tuple | ast.List) for target in whole.targets):
                yield from (Step(whole, load) for bind in binds for load in self.loads(self.scopes.target(bind)))
                return
        if isinstance(whole, ast.Return) and not any(isinstance(each, ast.Starred) for each in outer.elts):
            yield from self._returned(whole, outer.elts.index(node))
            return
        yield Step(outer, outer)

    def _looped(self, node: ast.expr, outer: ast.comprehension) -> Iterator[Step]:
        whole = self.script.parents[outer]
        assert isinstance(whole, Comprehension)
        if node is outer.iter:
            yield from self.bound(outer, None)
        yield Step(outer, whole)

    def _called(self, node: ast.expr, call: ast.Call) -> Iterator[Step]:
        """An argument, or what is called: a method takes what it belongs to."""
        functions = self.script.called(call)
        if node is call.func:
            if not functions or isinstance(node, ast.Attribute):
                yield Step(call, call)
        elif self.shows(call):
            yield Step(call, end=End.SHOWN)
        elif functions:
            yield from self._handed(node, call, functions)
            if isinstance(call.func, ast.Attribute):  # it may be a method of something else
                yield Step(call, call)
        elif (container := self.fills(call)) is not None:
            yield from (Step(call, load) for load in self.loads(container))
        else:
            yield Step(call, call)
            if any(one.arg == "out" for one in call.keywords) or any(map(self._is_function, call.args)):
                yield Step(call, end=End.WRITTEN)

    def _is_function(self, node: ast.expr) -> bool:
        """Whether a function of the script is handed on, which may write what it is called with."""
        return isinstance(node, ast.Name) and node.id in self.script.functions

    def _handed(self, node: ast.expr, call: ast.Call, functions: Sequence[Function]) -> Iterator[Step]:
        for function in functions:
            given = node.value if isinstance(node, ast.Starred) else node
            names = [name for name, value in parameters(call, function) if value is given]
            for name in names:
                yield from (Step(call, load) for load in self.loads(Variable(function, name)))
            if not names or function.decorator_list:
                yield Step(call, end=End.WRITTEN)

    def fills(self, call: ast.Call) -> Variable | None:
        """The list or dict of the script that a call puts its arguments into."""
        if not (isinstance(call.func, ast.Attribute) and call.func.attr in _PUT):
            return None
        holder = call.func.value
        while isinstance(holder, ast.Subscript):
            holder = holder.value
        if not isinstance(holder, ast.Name) or not isinstance(self.script.parents.get(call), ast.Expr):
            return None
        variable = self.scopes.variable(holder)
        binds = self.scopes.binds.get(variable, ())
        return variable if binds and all(self._is_container(bind) for bind in binds) else None

    def _is_container(self, bind: Bind) -> bool:
        value = bind.value
        made = isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp) or (
            isinstance(value, ast.Call) and self.script.dotted(value.func) in _CONTAINERS
        )
        alone = not isinstance(bind.statement, ast.Assign) or len(bind.statement.targets) == 1
        return made and alone and bind.kind == "assign" and bind.index is None

    def shows(self, call: ast.Call) -> bool:
        """Whether a call only shows what it is given."""
        name = self.script.dotted(call.func)
        if name == "print":
            into = next((one.value for one in call.keywords if one.arg == "file"), None)
            return into is None or self.script.dotted(into) in ("sys.stdout", "sys.stderr")
        if isinstance(call.func, ast.Attribute) and call.func.attr in _LOGS:
            return self._logs(call.func.value)
        return name in _SHOWS

    def _logs(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name) and node.id not in self.script.imports:
            binds = self.scopes.binds.get(self.scopes.variable(node), ())
            made = [bind.value for bind in binds if isinstance(bind.value, ast.Call)]
            return bool(made) and all(self.script.dotted(each.func) == "logging.getLogger" for each in made)
        return self.script.dotted(node) == "logging"

    def _returned(self, outer: ast.AST, pick: int | None = None) -> Iterator[Step]:
        """To where the function is called that returns or yields it."""
        function = next(
            (each for each in self.script.ancestors(outer) if isinstance(each, Function | ast.Lambda)), None
        )
        if not isinstance(function, Function) or function in self._handed_on or function not in self._calls:
            yield Step(outer, end=End.WRITTEN)
        else:
            yield from (Step(outer, call, pick=pick) for call in self._calls[function])

    @cached_property
    def _calls(self) -> Mapping[ast.AST, Sequence[ast.Call]]:
        found: dict[ast.AST, list[ast.Call]] = defaultdict(list)
        for call in self.script.calls:
            for function in self.script.called(call):
                found[function].append(call)
        return found

    @cached_property
    def _handed_on(self) -> frozenset[ast.AST]:
        """Functions that may be called where nobody sees it: by an operator, by a decorator, by who gets them."""
        called = {call.func for call in self.script.calls}
        names = {
            node.id if isinstance(node, ast.Name) else node.attr
            for node in self.script.nodes
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and node not in called
        }
        return frozenset(
            function
            for name, functions in self.script.functions.items()
            for function in functions
            if name in names or function.decorator_list or function.name.startswith("__")
        )

    # --- statements ---------------------------------------------------------------------------------------------

    def _ended(self, node: ast.expr, outer: ast.stmt, pick: int | None) -> Iterator[Step]:
        if isinstance(outer, ast.Assign | ast.AnnAssign | ast.AugAssign):
            yield from self._assigned(node, outer, pick)
        elif isinstance(outer, ast.For | ast.AsyncFor):
            yield from self.bound(outer, None)
            yield Step(outer, end=End.NOTHING if self.idle(outer.body) else End.WRITTEN)
        elif isinstance(outer, ast.Return):
            yield from self._returned(outer)
        elif isinstance(outer, ast.If):
            yield Step(outer, end=self._steered(outer))
        elif isinstance(outer, ast.Assert):
            yield Step(outer, end=End.GUARD if node is outer.test else End.SHOWN)
        elif isinstance(outer, ast.Raise):
            yield Step(outer, end=End.SHOWN)
        elif isinstance(outer, ast.Expr):
            yield Step(outer, end=self._thrown_away(outer.value))
        else:
            yield Step(outer, end=End.NOTHING if isinstance(outer, ast.Delete) else End.WRITTEN)

    def _assigned(
        self, node: ast.expr, outer: ast.Assign | ast.AnnAssign | ast.AugAssign, pick: int | None
    ) -> Iterator[Step]:
        targets = outer.targets if isinstance(outer, ast.Assign) else [outer.target]
        if node in targets or node is getattr(outer, "annotation", None):
            return
        yield from self.bound(outer, pick)
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                yield from self._changed(part, outer)

    def bound(self, outer: ast.AST, pick: int | None) -> Iterator[Step]:
        """The variables that a statement binds, all or only one of several."""
        for bind in self._bound_by.get(outer, ()):
            if pick is not None and bind.index not in (None, NOWHERE, pick):
                continue
            yield from (Step(outer, load) for load in self.loads(self.scopes.target(bind)))
            if isinstance(self.scopes.target(bind).scope, ast.ClassDef) or self.in_a_query(bind.name):
                yield Step(outer, end=End.WRITTEN)

    @cached_property
    def _bound_by(self) -> Mapping[ast.AST, Sequence[Bind]]:
        found: dict[ast.AST, list[Bind]] = defaultdict(list)
        for binds in self.script.binds.values():
            for bind in binds:
                found[bind.statement].append(bind)
        return found

    def _changed(self, target: ast.expr, outer: ast.stmt) -> Iterator[Step]:
        """What is stored into something is where that is read; what may be another name of it, too."""
        if isinstance(target, ast.Name) and not isinstance(outer, ast.AugAssign):
            return
        holder = target
        while isinstance(holder, ast.Subscript):
            holder = holder.value
        if not isinstance(holder, ast.Name):
            yield Step(outer, end=End.WRITTEN)  # an attribute: it may be read anywhere
            return
        variable = self.scopes.variable(holder)
        yield from (Step(outer, load) for load in self.loads(variable))
        if not all(self._is_new(bind) for bind in self.scopes.binds.get(variable, ())):
            yield Step(outer, end=End.WRITTEN)

    def _is_new(self, bind: Bind) -> bool:
        """Whether a variable is bound to something new and not to a part, or another name, of what is there."""
        if bind.kind == "augment":
            return True
        alone = not isinstance(bind.statement, ast.Assign) or len(bind.statement.targets) == 1
        if bind.kind != "assign" or not alone or bind.value is None:
            return False
        if isinstance(bind.value, ast.Call):
            return self.script.dotted(bind.value.func).rpartition(".")[2] in _MAKE
        return not isinstance(bind.value, ast.Name | ast.Subscript | ast.Attribute | ast.IfExp | ast.BoolOp)

    def _thrown_away(self, value: ast.expr) -> End:
        """What becomes of the value of a statement that is only an expression."""
        if not isinstance(value, ast.Call):
            return End.NOTHING
        if self.shows(value):
            return End.SHOWN
        return End.NOTHING if self.fills(value) is not None else End.WRITTEN

    def _otherwise(self, node: ast.expr, outer: ast.AST | None) -> Iterator[Step]:
        if isinstance(outer, ast.withitem):
            yield from self.bound(outer, None)
        if isinstance(outer, ast.arguments):
            yield from self._default(node, outer)
        else:
            yield Step(node if outer is None else outer, end=End.WRITTEN)

    def _default(self, node: ast.expr, outer: ast.arguments) -> Iterator[Step]:
        function = self.script.parents[outer]
        for bind in self._bound_by.get(function, ()):
            if bind.value is node:
                yield from (Step(outer, load) for load in self.loads(self.scopes.target(bind)))

    # --- conditions ---------------------------------------------------------------------------------------------

    def _steered(self, outer: ast.If) -> End:
        """What a condition decides: whether the script ends, only what it shows, or what it does."""
        if not self.idle([outer]):
            return End.WRITTEN
        return End.GUARD if any(self._stops(part) for part in ast.walk(outer)) else End.SHOWN

    def idle(self, body: Sequence[ast.stmt]) -> bool:
        """Whether statements do nothing but show something or end the script with an error."""
        return all(self._is_idle(each) for each in body)

    def _is_idle(self, node: ast.stmt) -> bool:
        if isinstance(node, ast.If):
            return self.idle(node.body) and self.idle(node.orelse)
        if isinstance(node, ast.For):
            return self.idle(node.body) and self.idle(node.orelse)
        if isinstance(node, ast.Expr):
            return not isinstance(node.value, ast.Call) or self.shows(node.value) or self._stops(node)
        return isinstance(node, ast.Raise | ast.Assert | ast.Pass)

    def _stops(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return self.script.dotted(node.value.func) in _ENDS
        return isinstance(node, ast.Raise)


@lru_cache(maxsize=4)
def follow(script: Script) -> Onward:
    """What follows the values of a script."""
    return Onward(script)
