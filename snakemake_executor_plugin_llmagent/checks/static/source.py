"""A script as a syntax tree: what its names stand for, which constants it states, and which functions it has."""

from __future__ import annotations

import ast
import math
import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final, TypeVar, cast

from snakemake_executor_plugin_llmagent.checks.static.binds import Bind as Bind
from snakemake_executor_plugin_llmagent.checks.static.binds import Function as Function
from snakemake_executor_plugin_llmagent.checks.static.binds import binds_of
from snakemake_executor_plugin_llmagent.syntax import parse
from snakemake_executor_plugin_llmagent.text import one_line

Node = TypeVar("Node", bound=ast.AST)


class _Unknown:
    """The value of an expression that only a run of the script could tell."""


UNKNOWN: Final = _Unknown()
_LARGEST_EXPONENT = 100
_LONGEST_RANGE = 1000
_MOST = 200_000
"""How many elements a constant may have."""
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_NUMBERS = {"math.pi": math.pi, "numpy.pi": math.pi, "math.inf": math.inf, "numpy.inf": math.inf}
_SAME = frozenset({"float", "int", "numpy.float32", "numpy.float64", "numpy.int32", "numpy.int64"})
_SEQUENCES = frozenset({"tuple", "list", "numpy.array", "numpy.asarray", "frozenset", "set"})


class Script:
    """A script read without being run. Names are looked up regardless of scope: equal names count as one."""

    def __init__(self, source: str) -> None:
        """Parse a script.

        Raises:
            SyntaxError: it is not Python.
        """
        self.tree = parse(source)
        self._named_values: dict[str, object] = {}
        self._called: dict[ast.Call, Sequence[Function]] = {}
        self.lines: Sequence[str] = source.splitlines()
        self.nodes: Sequence[ast.AST] = tuple(ast.walk(self.tree))
        self.parents: Mapping[ast.AST, ast.AST] = {
            child: node for node in self.nodes for child in ast.iter_child_nodes(node)
        }

    # --- looking around -----------------------------------------------------------------------------------------

    def all(self, kind: type[Node]) -> Iterator[Node]:
        """All nodes of a kind."""
        return (node for node in self.nodes if isinstance(node, kind))

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node stands in, innermost first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def statement(self, node: ast.AST) -> ast.AST:
        """The statement that a node is part of."""
        if isinstance(node, ast.stmt):
            return node
        return next((outer for outer in self.ancestors(node) if isinstance(outer, ast.stmt)), node)

    def place(self, node: ast.AST) -> str:
        """Where a node stands, for a message: ``Line 12, `x = 1` ``."""
        line = getattr(node, "lineno", 0)
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return f"Line {line}, `{one_line(text.strip(), 100)}`"

    @cached_property
    def calls(self) -> Sequence[ast.Call]:
        """All calls."""
        return tuple(self.all(ast.Call))

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """Name in the script → dotted name of what was imported."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        if "snakemake" in found:  # `from snakemake.script import snakemake` is for editors
            found["snakemake"] = "snakemake"
        return found

    @cached_property
    def packages(self) -> frozenset[str]:
        """The top-level packages that are imported."""
        return frozenset(name.partition(".")[0] for name in self.imports.values())

    def dotted(self, node: ast.AST) -> str:
        """The full dotted name of a name or an attribute, such as `numpy.random.normal`; empty for other nodes."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        parts.append(self.imports.get(node.id, node.id))
        return ".".join(reversed(parts))

    @cached_property
    def functions(self) -> Mapping[str, Sequence[Function]]:
        """Name → the functions and methods that the script defines under it; a class's name leads to its `__init__`."""
        found: dict[str, list[Function]] = defaultdict(list)
        for node in self.nodes:
            if isinstance(node, Function):
                found[node.name].append(node)
            elif isinstance(node, ast.ClassDef):
                found[node.name] += [
                    part for part in node.body if isinstance(part, Function) and part.name == "__init__"
                ]
        return dict(found)

    def called(self, call: ast.Call) -> Sequence[Function]:
        """The functions of the script that a call may mean."""
        if call not in self._called:
            self._called[call] = self._functions_of(call.func)
        return self._called[call]

    def _functions_of(self, called: ast.expr) -> Sequence[Function]:
        if isinstance(called, ast.Name):
            return self.functions.get(called.id, ())
        if isinstance(called, ast.Attribute) and self.dotted(called).partition(".")[0] not in self.packages:
            return self.functions.get(called.attr, ())
        return ()

    def returns(self, function: Function) -> Sequence[ast.expr]:
        """What a function returns or yields."""
        return self._returned.get(function, ())

    @cached_property
    def _returned(self) -> Mapping[ast.AST, Sequence[ast.expr]]:
        found: dict[ast.AST, list[ast.expr]] = defaultdict(list)
        for node in self.nodes:
            if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value is not None:
                inside = (outer for outer in self.ancestors(node) if isinstance(outer, Function | ast.Lambda))
                if (function := next(inside, None)) is not None:
                    found[function].append(node.value)
        return dict(found)

    # --- names --------------------------------------------------------------------------------------------------

    @cached_property
    def binds(self) -> Mapping[str, Sequence[Bind]]:
        """Name → all places where it gets a value."""
        found: dict[str, list[Bind]] = defaultdict(list)
        for node in self.nodes:
            for bind in binds_of(node):
                found[bind.name].append(bind)
        return dict(found)

    @cached_property
    def loads(self) -> Mapping[str, Sequence[ast.Name]]:
        """Name → where it is read."""
        found: dict[str, list[ast.Name]] = defaultdict(list)
        for node in self.all(ast.Name):
            if isinstance(node.ctx, ast.Load):
                found[node.id].append(node)
        return dict(found)

    @cached_property
    def attributes(self) -> Counter[str]:
        """Attribute → how often it is read."""
        return Counter(node.attr for node in self.all(ast.Attribute) if isinstance(node.ctx, ast.Load))

    @cached_property
    def texts(self) -> Sequence[ast.Constant]:
        """All string constants."""
        return tuple(node for node in self.all(ast.Constant) if isinstance(node.value, str))

    # --- constants ----------------------------------------------------------------------------------------------

    def constant(self, node: ast.AST | None, seen: frozenset[str] = frozenset()) -> object:
        """The value of an expression that is a constant, by names if need be; lists become tuples.

        Returns:
            The value, or `UNKNOWN`.
        """
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return self._elements(node.elts, seen)
        if isinstance(node, ast.Name):
            return self._named(node.id, seen)
        if isinstance(node, ast.UnaryOp | ast.BinOp):
            return self._arithmetic(node, seen)
        if isinstance(node, ast.Subscript):
            return _item(self.constant(node.value, seen), self.constant(node.slice, seen))
        if isinstance(node, ast.Dict):
            return self._mapping(node, seen)
        if isinstance(node, ast.Call):
            return self._call(node, seen)
        if isinstance(node, ast.JoinedStr):
            return self._joined(node, seen)
        return _NUMBERS.get(self.dotted(node), UNKNOWN) if isinstance(node, ast.Attribute) else UNKNOWN

    def number(self, node: ast.AST | None) -> float | None:
        """The value of an expression that is a constant number; truth values are none."""
        value = self.constant(node)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def text(self, node: ast.AST | None) -> str:
        """The value of an expression that is a constant text; empty for anything else."""
        value = self.constant(node)
        return value if isinstance(value, str) else ""

    def _elements(self, nodes: Sequence[ast.expr], seen: frozenset[str]) -> object:
        values: list[object] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                inner = self.constant(node.value, seen)
                if not isinstance(inner, tuple | dict):
                    return UNKNOWN
                values += inner
            else:
                values.append(self.constant(node, seen))
        return UNKNOWN if UNKNOWN in values or len(values) > _MOST else tuple(values)

    def _named(self, name: str, seen: frozenset[str]) -> object:
        binds = self.binds.get(name, ())
        if len(binds) != 1 or binds[0].kind != "assign" or name in seen:
            return UNKNOWN
        if name not in self._named_values:
            value = self.constant(binds[0].value, seen | {name})
            self._named_values[name] = value if binds[0].index is None else _item(value, binds[0].index)
        return self._named_values[name]

    def _arithmetic(self, node: ast.UnaryOp | ast.BinOp, seen: frozenset[str]) -> object:
        if isinstance(node, ast.UnaryOp):
            value = self.constant(node.operand, seen)
            if isinstance(node.op, ast.Not) or not isinstance(value, int | float):
                return UNKNOWN
            return {ast.USub: -value, ast.UAdd: +value}.get(cast(type[ast.USub], type(node.op)), UNKNOWN)
        left, right = self.constant(node.left, seen), self.constant(node.right, seen)
        if isinstance(left, tuple) and isinstance(right, tuple) and isinstance(node.op, ast.Add):
            return left + right if len(left) + len(right) <= _MOST else UNKNOWN
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            return UNKNOWN
        try:
            if isinstance(node.op, ast.Pow):
                small = abs(right) <= _LARGEST_EXPONENT and abs(left) <= 1e6
                power = left**right if small else UNKNOWN
                return power if isinstance(power, int | float) else UNKNOWN
            compute = _ARITHMETIC.get(type(node.op))
            return UNKNOWN if compute is None else compute(left, right)
        except (ArithmeticError, ValueError):
            return UNKNOWN

    def _mapping(self, node: ast.Dict, seen: frozenset[str]) -> object:
        found: dict[object, object] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            name = self.constant(key, seen)
            if not isinstance(name, str | int | float | bool | None) or key is None:
                return UNKNOWN
            found[name] = self.constant(value, seen)
        return UNKNOWN if UNKNOWN in found.values() else found

    def _call(self, node: ast.Call, seen: frozenset[str]) -> object:
        name = self.dotted(node.func)
        values = [self.constant(argument, seen) for argument in node.args]
        if name in _SEQUENCES and len(values) == 1:
            return tuple(values[0]) if isinstance(values[0], tuple | dict) else UNKNOWN
        if name in _SAME and len(values) == 1 and not node.keywords:
            return values[0] if isinstance(values[0], int | float) else UNKNOWN
        return _range(values) if name == "range" else UNKNOWN

    def _joined(self, node: ast.JoinedStr, seen: frozenset[str]) -> object:
        parts: list[str] = []
        for part in node.values:
            plain = not isinstance(part, ast.FormattedValue) or (part.format_spec is None and part.conversion == -1)
            value = self.constant(part.value if isinstance(part, ast.FormattedValue) else part, seen)
            if not plain or not isinstance(value, str | int):
                return UNKNOWN
            parts.append(str(value))
        return "".join(parts)

    def choices(self, node: ast.AST | None) -> tuple[object, ...]:
        """What an expression may be: a constant, or each value of a loop over constants; empty if unknown."""
        value = self.constant(node)
        if value is not UNKNOWN:
            return (value,)
        if isinstance(node, ast.IfExp):
            both = self.choices(node.body), self.choices(node.orelse)
            return (*both[0], *both[1]) if all(both) else ()
        return self.looped(self.binds.get(node.id, ())) if isinstance(node, ast.Name) else ()

    def looped(self, binds: Sequence[Bind]) -> tuple[object, ...]:
        """The values of a name that only loops over constants bind; empty if unknown."""
        found: list[object] = []
        for bind in binds:
            values = self._looped(bind) if bind.kind == "loop" else ()
            if not values:
                return ()
            found += values
        return tuple(found)

    def _looped(self, bind: Bind) -> tuple[object, ...]:
        iterated, pick = bind.value, bind.index
        if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute):
            mapping = self.constant(iterated.func.value)
            if not isinstance(mapping, dict) or iterated.func.attr not in ("items", "keys", "values"):
                return ()
            values: object = tuple(getattr(mapping, iterated.func.attr)())
        else:
            values = self.constant(iterated)
        if not isinstance(values, tuple | dict):
            return ()
        chosen = tuple(values) if pick is None else tuple(_item(value, pick) for value in values)
        return () if UNKNOWN in chosen else chosen


def _range(values: list[object]) -> object:
    try:
        numbers = range(*cast(list[int], values))
        return tuple(numbers) if len(numbers) <= _LONGEST_RANGE else UNKNOWN
    except (TypeError, ValueError, OverflowError):
        return UNKNOWN


def _item(container: object, index: object) -> object:
    try:
        if isinstance(container, tuple) and isinstance(index, int):
            return container[index]
        if isinstance(container, dict):
            return container.get(index, UNKNOWN)
    except (IndexError, TypeError):
        pass
    return UNKNOWN
