"""What a script names: texts that may be columns, in the order in which they stand there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from snakemake_executor_plugin_llmagent.syntax import parse

MOST_NAMES, LONGEST, MOST_PATTERNS = 3000, 200, 50


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


# --- names that are put together, and names that stand where values are taken ----------------------------------------


def patterns(source: str) -> tuple[str, ...]:
    r"""Regular expressions of the texts that a script puts together: `ph\w+_\w+` of `f"ph{i}_{name}"`."""
    try:
        tree = parse(source)
    except SyntaxError:
        return ()
    found = dict.fromkeys(_pattern(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr))
    return tuple(pattern for pattern in found if pattern)[:MOST_PATTERNS]


def _pattern(node: ast.JoinedStr) -> str:
    fixed = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
    if not re.fullmatch(r"\w{2,}", "".join(fixed)) or not re.search("[A-Za-z]{2}", "".join(fixed)):
        return ""
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\w+" for part in node.values)


def taken(source: str) -> frozenset[str]:
    """Names by which a script takes values: `table["pt"]`, `events.pt`, `pc.field("pt")`, `"pt > 30"`.

    What only stands in lists may be read and never used.
    """
    try:
        tree = parse(source)
    except SyntaxError:
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            found.add(str(node.slice.value))
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Call):
            found |= {str(one.value) for one in node.args if isinstance(one, ast.Constant)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.isidentifier():
            found |= set(_words(node.value)) if len(node.value) <= LONGEST else set()
    return frozenset(found)
