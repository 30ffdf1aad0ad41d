"""Which name is which variable: the same name in two functions is two of them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.checks.static.source import Bind, Function, Script

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True)
class Variable:
    """A name in the function, class or comprehension that binds it; `scope` is None for the module."""

    scope: ast.AST | None
    name: str


class Scopes:
    """The variables of a script, by Python's own rules.

    Attributes:
        binds: variable → all places where it gets a value.
        loads: variable → where it is read.
    """

    def __init__(self, script: Script) -> None:
        """Find where each is bound and where it is read."""
        self._script = script
        self._declared = self._declarations()
        bound: dict[Variable, list[Bind]] = defaultdict(list)
        for binds in script.binds.values():
            for bind in binds:
                bound[self.target(bind)].append(bind)
        self.binds: Mapping[Variable, Sequence[Bind]] = dict(bound)
        loads: dict[Variable, list[ast.Name]] = defaultdict(list)
        for names in script.loads.values():
            for node in names:
                loads[self.variable(node)].append(node)
        self.loads: Mapping[Variable, Sequence[ast.Name]] = dict(loads)

    def variable(self, node: ast.Name) -> Variable:
        """The variable that a name stands for where it is read, or where what it holds is changed."""
        directly = True
        for scope in self._around(node):
            # Methods do not see the names of their class.
            seen = directly or not isinstance(scope, ast.ClassDef)
            directly = directly and isinstance(scope, Comprehension)
            if seen and Variable(scope, node.id) in self.binds:
                return Variable(scope, node.id)
        return Variable(None, node.id)

    def target(self, bind: Bind) -> Variable:
        """The variable that gets a value."""
        node = bind.statement
        if isinstance(node, Function | ast.Lambda):
            return Variable(node, bind.name)
        if isinstance(node, ast.comprehension):
            return Variable(self._script.parents[node], bind.name)
        scope = next((each for each in self._around(node) if not isinstance(each, Comprehension)), None)
        kind = self._declared.get((scope, bind.name))
        if kind is ast.Global:
            scope = None
        elif kind is ast.Nonlocal and scope is not None:
            scope = next((each for each in self._around(scope) if isinstance(each, Function)), None)
        return Variable(scope, bind.name)

    def _declarations(self) -> Mapping[tuple[ast.AST | None, str], type[ast.stmt]]:
        found: dict[tuple[ast.AST | None, str], type[ast.stmt]] = {}
        for node in self._script.nodes:
            if isinstance(node, ast.Global | ast.Nonlocal):
                scope = next((each for each in self._around(node) if isinstance(each, Function)), None)
                found.update({(scope, name): type(node) for name in node.names})
        return found

    def _around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The scopes that a node is looked up in, innermost first."""
        inner, source = node, False
        for outer in self._script.ancestors(node):
            if isinstance(outer, ast.comprehension):
                source = inner is outer.iter
            elif isinstance(outer, Comprehension):
                # What the first loop of a comprehension runs over is looked up outside of it.
                if not (source and inner is outer.generators[0]):
                    yield outer
            elif isinstance(outer, Function | ast.ClassDef):
                if inner in outer.body:  # and not a default or a decorator
                    yield outer
            elif isinstance(outer, ast.Lambda) and inner is outer.body:
                yield outer
            inner = outer
