"""The constants at the top of a script, and the same script with another value of one of them."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from snakemake_executor_plugin_llmagent.decisions import constant_name
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.syntax import parse

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, kw_only=True, eq=False)
class Constant:
    """A plain value that is assigned once, at the top level of a script.

    Attributes:
        name: as the script has it.
        value: what it is.
        start, end: where the value stands in the script [bytes of UTF-8].
    """

    name: str
    value: object
    start: int
    end: int


class NoValue(ValueError):
    """A value that cannot stand where a constant stands; says why."""


def constants(source: str) -> tuple[Mapping[str, Constant], Mapping[str, str]]:
    """The constants of a script by the names of decisions, and why other names are none.

    Raises:
        ConfigError: the script is no Python.
    """
    try:
        tree = parse(source)
    except SyntaxError as error:
        raise ConfigError(f"The script is not valid Python: line {error.lineno}: {error.msg}.") from None
    lines = [0, *(match.end() for match in _LINE_END.finditer(source.encode("utf-8", "surrogatepass")))]
    stored = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    found: dict[str, Constant] = {}
    others: dict[str, str] = {}
    for name, value in _assigned(tree):
        if stored[name] > 1:
            others[constant_name(name)] = "is assigned more than once in the script"
            continue
        try:
            plain = ast.literal_eval(value)
        except (ValueError, TypeError, MemoryError, RecursionError):
            others[constant_name(name)] = "is computed in the script, and no plain value there"
            continue
        assert value.end_lineno is not None and value.end_col_offset is not None
        found[constant_name(name)] = Constant(
            name=name, value=plain, start=lines[value.lineno - 1] + value.col_offset,
            end=lines[value.end_lineno - 1] + value.end_col_offset,
        )  # fmt: skip
    return found, others


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names and values of the assignments at the top level, also of `LOW, HIGH = 105, 160`."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
            if isinstance(target, ast.Name):
                yield target.id, value
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                for part, its in zip(target.elts, value.elts, strict=False):
                    if isinstance(part, ast.Name):
                        yield part.id, its


def with_values(source: str, changes: Mapping[Constant, str]) -> str:
    """A script with other values, given as Python; nothing else of its text changes."""
    text = source.encode("utf-8", "surrogatepass")
    for constant, value in sorted(changes.items(), key=lambda change: -change[0].start):
        text = text[: constant.start] + value.encode("utf-8") + text[constant.end :]
    return text.decode("utf-8", "surrogatepass")


def written(value: object, like: object) -> str:
    """A value from a record as Python, in the form that the script's own value has: lists as tuples, 1 as 1.0.

    Raises:
        NoValue: it is of another kind than the script's own value.
    """
    if isinstance(like, tuple | list | set | frozenset):
        return _several(value, like)
    if isinstance(like, bool):
        if not isinstance(value, bool):
            raise NoValue(f"{value!r} is not true or false")
        return repr(value)
    if isinstance(like, int | float):
        return _number(value, like)
    if isinstance(like, str | dict) and not isinstance(value, type(like)) and value is not None:
        raise NoValue(f"{value!r} is of another kind than {like!r}")
    return repr(value)


def _several(value: object, like: tuple[object, ...] | list[object] | set[object] | frozenset[object]) -> str:
    if not isinstance(value, list | tuple):
        raise NoValue(f"{value!r} is not a list, as {like!r} is")
    forms = list(like)
    parts = [written(one, forms[min(i, len(forms) - 1)]) if forms else repr(one) for i, one in enumerate(value)]
    inside = ", ".join(parts)
    if isinstance(like, tuple):
        return f"({inside},)" if len(parts) == 1 else f"({inside})"
    return f"{{{inside}}}" if isinstance(like, set) and parts else f"[{inside}]"


def _number(value: object, like: int | float) -> str:
    if isinstance(value, str):  # YAML takes `1e-3` for a text
        try:
            number = float(value)
        except ValueError:
            raise NoValue(f"{value!r} is not a number") from None
        value = int(number) if isinstance(like, int) and number.is_integer() else number
    if value is None:
        return "None"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoValue(f"{value!r} is not a number")
    if math.isnan(value) or value in (float("inf"), float("-inf")):
        return f"float({str(value)!r})"
    return repr(float(value) if isinstance(like, float) else value)


def listed(alternatives: object, like: object) -> list[object]:
    """The alternatives of a decision one by one, where an author has not put a single one into a list."""
    if alternatives is None:
        return []
    if not isinstance(alternatives, list | tuple):
        return [alternatives]
    one = isinstance(like, list | tuple) and like and not any(isinstance(part, list | tuple) for part in like)
    if one and alternatives and not any(isinstance(part, list | tuple | str) for part in alternatives):
        return [list(alternatives)]
    return list(alternatives)
