"""What a script writes as JSON or YAML: keys and the expressions behind them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from snakemake_executor_plugin_llmagent.checks.static.source import Bind, Script

WRITERS = frozenset({"json.dump", "json.dumps", "yaml.dump", "yaml.safe_dump", "simplejson.dump", "simplejson.dumps"})
_DEEPEST = 12
_WRAPPERS = frozenset({"list", "tuple", "sorted", "dict", "copy.deepcopy", "copy.copy", "collections.OrderedDict"})


@dataclass(frozen=True, eq=False)
class Leaf:
    """One value in a document.

    Attributes:
        keys: the keys that lead to it, `*` where they are computed.
        value: the expression.
        node: where it is put into the document.
        names: the names it went through.
        document: the call that writes it.
    """

    keys: tuple[str, ...]
    value: ast.expr
    node: ast.AST
    names: tuple[str, ...]
    document: ast.Call

    @property
    def key(self) -> str:
        """The last key that is known."""
        return next((key for key in reversed(self.keys) if key != "*"), "")


def leaves(script: Script) -> Iterator[Leaf]:
    """All values in all documents that a script writes."""
    for call in script.calls:
        if script.dotted(call.func) in WRITERS and call.args:
            start = Leaf((), call.args[0], call, (), call)
            yield from _Reader(script).expand(start, 0)


class _Reader:
    """Follows one document to its values; each name and function is followed once for each key."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._seen: set[tuple[tuple[str, ...], object]] = set()

    def expand(self, leaf: Leaf, depth: int) -> Iterator[Leaf]:
        value = leaf.value
        if depth > _DEEPEST:
            yield leaf
        elif isinstance(value, ast.Dict):
            for key, inner in zip(value.keys, value.values, strict=True):
                yield from self.expand(self._below(leaf, key, inner), depth + 1)
        elif isinstance(value, ast.List | ast.Tuple | ast.Set):
            for inner in value.elts:
                inner = inner.value if isinstance(inner, ast.Starred) else inner
                yield from self.expand(replace(leaf, value=inner, node=inner), depth + 1)
        elif isinstance(value, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            yield from self.expand(replace(leaf, value=value.elt, node=value.elt), depth + 1)
        elif isinstance(value, ast.DictComp):
            yield from self.expand(self._below(leaf, value.key, value.value), depth + 1)
        elif isinstance(value, ast.IfExp):
            for inner in (value.body, value.orelse):
                # One of two: what is written down for a case is not what is always written.
                yield from self.expand(replace(leaf, value=inner, node=value), depth + 1)
        elif isinstance(value, ast.Name):
            yield from self._named(leaf, value.id, depth)
        elif isinstance(value, ast.Call):
            yield from self._called(leaf, value, depth)
        else:
            yield leaf

    def _below(self, leaf: Leaf, key: ast.expr | None, value: ast.expr) -> Leaf:
        if key is None:  # `**value`
            return replace(leaf, value=value, node=value)
        name = self._script.constant(key)
        return replace(leaf, keys=(*leaf.keys, name if isinstance(name, str) else "*"), value=value, node=value)

    def _named(self, leaf: Leaf, name: str, depth: int) -> Iterator[Leaf]:
        if (leaf.keys, name) in self._seen:
            return
        self._seen.add((leaf.keys, name))
        leaf = replace(leaf, names=(*leaf.names, name))
        binds = [bind for bind in self._script.binds.get(name, ()) if bind.kind != "augment"]
        for bind in binds:
            yield from self._bound(leaf, bind, depth)
        yield from self._stored(leaf, name, depth)
        if not binds:
            yield leaf

    def _bound(self, leaf: Leaf, bind: Bind, depth: int) -> Iterator[Leaf]:
        if bind.kind == "assign" and bind.index is None and bind.value is not None:
            yield from self.expand(replace(leaf, value=bind.value), depth + 1)
        else:
            yield leaf

    def _stored(self, leaf: Leaf, name: str, depth: int) -> Iterator[Leaf]:
        """What is put into a named container later."""
        for node in self._script.nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    keys = self._keys(target, name)
                    if keys is not None:
                        inner = replace(leaf, keys=(*leaf.keys, *keys), value=node.value, node=node)
                        yield from self.expand(inner, depth + 1)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                keys = () if _is_name(node.func.value, name) else self._keys(node.func.value, name)
                if keys is not None and node.func.attr in ("append", "update", "extend", "insert") and node.args:
                    inner = replace(leaf, keys=(*leaf.keys, *keys), value=node.args[-1], node=node)
                    yield from self.expand(inner, depth + 1)

    def _keys(self, target: ast.expr, name: str) -> tuple[str, ...] | None:
        """The keys of `name["a"]["b"]`, None for anything else."""
        keys: list[str] = []
        while isinstance(target, ast.Subscript):
            key = self._script.constant(target.slice)
            keys.append(key if isinstance(key, str) else "*")
            target = target.value
        return tuple(reversed(keys)) if keys and _is_name(target, name) else None

    def _called(self, leaf: Leaf, call: ast.Call, depth: int) -> Iterator[Leaf]:
        name = self._script.dotted(call.func)
        if name in _WRAPPERS and (call.args or call.keywords):
            for argument in call.args[:1]:
                yield from self.expand(replace(leaf, value=argument, node=argument), depth + 1)
            for keyword in call.keywords if name in ("dict", "collections.OrderedDict") else ():
                keys = leaf.keys if keyword.arg is None else (*leaf.keys, keyword.arg)
                inner = replace(leaf, keys=keys, value=keyword.value, node=keyword.value)
                yield from self.expand(inner, depth + 1)
            return
        returned = [value for function in self._script.called(call) for value in self._script.returns(function)]
        if not returned or (leaf.keys, call) in self._seen:
            yield leaf
            return
        self._seen.add((leaf.keys, call))
        for value in returned:
            yield from self.expand(replace(leaf, value=value, node=value), depth + 1)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
