"""What a script names: texts that may be columns, in the order in which they stand there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from snakemake_executor_plugin_llmagent.syntax import parse

MOST_NAMES, LONGEST = 3000, 200


def mentions(source: str) -> tuple[str, ...]:
    """Texts and attributes of a script that may name columns of its inputs.

    Keys of mappings that it builds (results, mostly) and what follows `snakemake.` are none.
    """
    try:
        tree = parse(source)
    except SyntaxError:
        return ()
    found = dict.fromkeys(name for name in _names(tree) if name and len(name) <= LONGEST)
    return tuple(found)[:MOST_NAMES]


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
            # `"pt*weight"` and `"m_yy > 105"` are expressions of pandas and uproot.
            if len(node.value) <= LONGEST and not node.value.isidentifier():
                yield from _words(node.value)
        return
    if isinstance(node, ast.Attribute):
        if not _of_snakemake(node):
            yield node.attr
            yield from _names(node.value)
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.Dict) and child in node.keys and isinstance(child, ast.Constant):
            continue
        if isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant):
            continue
        if isinstance(node, ast.Expr) and isinstance(child, ast.Constant):
            continue  # a text that stands alone is a comment
        yield from _names(child)


def _words(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from (node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _of_snakemake(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "snakemake"
