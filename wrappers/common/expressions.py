"""Expressions over columns of events, such as `sum(photon_pt > 25) >= 2 and photon_pt[:, 0] > 35`.

Written in Python's syntax and computed node by node: nothing but the operators and functions named here can run.
"""

import ast
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wrappers.common.job import WrongInput, near
from wrappers.common.operations import (
    BINARY,
    COMPARISONS,
    FUNCTIONS,
    REDUCTIONS,
    as_lists,
    as_numpy,
    as_signed,
    depth,
    is_boolean,
    same_lengths,
)

CONSTANTS = {"pi": float(np.pi), "inf": float("inf"), "nan": float("nan")}
"""Names with a meaning of their own; a column of such a name is reached by `column("pi")`."""


@dataclass(frozen=True, kw_only=True)
class Expression:
    """A checked expression.

    Attributes:
        text: the expression, its white space normalised.
        where: what it is, for error messages, such as `params: cut`.
        names: the columns that it needs, in order of appearance.
    """

    text: str
    where: str
    names: tuple[str, ...]
    node: ast.expr

    def check(self, columns: Iterable[str], *, of: str = "") -> None:
        """Raise `WrongInput` at the first name that is none of `columns`; `of` names their file and tree."""
        known = set(columns)
        for node in ast.walk(self.node):
            name = _column_name(node)
            if name is not None and name in self.names and name not in known:
                raise self.wrong(node, f"{of + ': ' if of else ''}no column {name!r}. {near(name, known)}")

    def evaluate(self, arrays: Mapping[str, Any]) -> Any:
        """Compute the expression.

        Args:
            arrays: NumPy or Awkward Arrays by column name, the first axis being the events. If it has an attribute
                `memory`, a dict, lists taken by a mask are kept there; whoever changes the arrays must empty it.

        Returns:
            An array, flat or jagged, or one number if the expression has no columns.

        Raises:
            WrongInput: where something cannot be computed, pointing at the place.
        """
        with np.errstate(all="ignore"):
            return _compute(self, self.node, arrays)

    def per_event(self, arrays: Mapping[str, Any], entries: int) -> np.ndarray:
        """Compute one number per event, shape (entries,); missing values become NaN (False for booleans)."""
        value = self.evaluate(arrays)
        if depth(value) == 0:
            return np.full(entries, value)
        if depth(value) > 1:
            raise self.wrong(self.node, "this is a list per event where one value is needed: use any(), all(), sum()…")
        return as_numpy(value)

    def mask(self, arrays: Mapping[str, Any], entries: int) -> np.ndarray:
        """Compute which events pass, shape (entries,), bool; the expression must be a condition."""
        value = self.per_event(arrays, entries)
        if value.dtype != np.bool_:
            raise self.wrong(self.node, "this is a number, not a condition: compare it with something")
        return value

    def conjuncts(self) -> list["Expression"]:
        """Return the parts joined by `and` at the top, so that each need only be computed for what passed before."""
        if not (isinstance(self.node, ast.BoolOp) and isinstance(self.node.op, ast.And)):
            return [self]
        parts = []
        for node in self.node.values:
            text = ast.get_source_segment(self.text, node) or self.text
            parts.append(compile_expression(text, where=self.where))
        return [one for part in parts for one in part.conjuncts()]

    def wrong(self, node: ast.AST, message: str) -> WrongInput:
        """Return an error that shows the expression and marks a place in it."""
        return WrongInput(f"{self.where}: {message}\n{_marked(self.text, node)}")


def compile_expression(text: Any, *, where: str = "expression") -> Expression:
    """Check an expression.

    Args:
        text: in Python's syntax. `and`, `or`, `not` and comparison chains work element by element.
        where: what it is, for error messages, such as `params: cut`.

    Raises:
        WrongInput: for anything that is not allowed, pointing at the place.
    """
    if isinstance(text, bool | int | float):
        text = repr(text)
    if not isinstance(text, str) or not text.strip():
        raise WrongInput(f"{where}: an expression is needed, not {text!r}")
    text = " ".join(text.split())
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise WrongInput(f"{where}: {_syntax_hint(text, error)}\n{_marked(text, error)}") from None
    names: dict[str, None] = {}
    expression = Expression(text=text, where=where, names=(), node=node)
    _check(expression, node, names)
    return Expression(text=text, where=where, names=tuple(names), node=node)


def _syntax_hint(text: str, error: Exception) -> str:
    for sign, word in (("&&", "and"), ("||", "or"), ("!", "not")):
        if sign in text.replace("!=", ""):
            return f"expressions are in Python's syntax: write `{word}` for `{sign}`"
    return f"not a Python expression ({getattr(error, 'msg', None) or type(error).__name__})"


def _marked(text: str, place: Any) -> str:
    """Return the expression with a line of carets below the place of a node or of a syntax error."""
    if isinstance(place, ast.AST) and hasattr(place, "col_offset"):
        coded = text.encode()
        start = len(coded[: place.col_offset].decode())
        stop = len(coded[: getattr(place, "end_col_offset", None) or place.col_offset + 1].decode())
    else:
        start = max((getattr(place, "offset", 1) or 1) - 1, 0)
        stop = start + 1
    return f"    {text}\n    {' ' * start}{'^' * max(stop - start, 1)}"


def _column_name(node: ast.AST) -> str | None:
    """Return the name of the column that a node stands for: `pt`, `Photon.PT` or `column("any name")`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            base = _column_name(value)
            return None if base is None else f"{base}.{attribute}"
        case ast.Call(func=ast.Name(id="column"), args=[ast.Constant(value=str(name))], keywords=[]):
            return name
    return None


def _check(expression: Expression, node: ast.AST, names: dict[str, None]) -> None:
    """Refuse what is not allowed at or below a node, and collect the names of columns."""
    column = _column_name(node)
    if column is not None:
        if not (isinstance(node, ast.Name) and column in CONSTANTS):
            names[column] = None
        return
    if isinstance(node, ast.Call):
        _check_call(expression, node)
        below: Sequence[ast.AST] = node.args
    elif isinstance(node, ast.Subscript):
        below = [node.value, *_check_index(expression, node)]
    elif isinstance(node, ast.Constant):
        if not isinstance(node.value, bool | int | float):
            raise expression.wrong(node, "only numbers, True and False can stand here")
        return
    elif isinstance(node, ast.Compare):
        _check_compare(expression, node)
        below = [node.left, *(one for part in node.comparators for one in _members(part))]
    elif isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        below = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp):
        below = [node.operand]
    elif isinstance(node, ast.BoolOp):
        below = node.values
    elif isinstance(node, ast.IfExp):
        raise expression.wrong(node, "write where(condition, a, b) instead of `a if condition else b`")
    else:
        raise expression.wrong(node, f"{type(node).__name__} is not allowed in an expression")
    for one in below:
        _check(expression, one, names)


def _check_call(expression: Expression, node: ast.Call) -> None:
    if not isinstance(node.func, ast.Name):
        raise expression.wrong(node.func, "only functions by their plain name can be called: sqrt(x), not np.sqrt(x)")
    name = node.func.id
    if name not in FUNCTIONS:
        raise expression.wrong(node.func, f"there is no function {name!r}. {_near_function(name)}")
    if node.keywords:
        raise expression.wrong(node, f"{name}() takes no named arguments")
    wanted = FUNCTIONS[name][0]
    if len(node.args) != wanted:
        other = f"; for the {name} of two values write {name}imum(a, b)" if name in ("min", "max") else ""
        raise expression.wrong(node, f"{name}() takes {wanted} argument{'s' * (wanted != 1)}{other}")


def _near_function(name: str) -> str:
    alike = difflib.get_close_matches(name.lower(), FUNCTIONS, n=3, cutoff=0.6)
    return f"Did you mean {', '.join(alike)}?" if alike else f"There are: {', '.join(sorted(FUNCTIONS))}."


def _check_index(expression: Expression, node: ast.Subscript) -> list[ast.AST]:
    """Allow `x[:, 0]`, `x[:, :2]` and `x[mask]`; return what of the index is itself an expression."""
    index = node.slice
    if isinstance(index, ast.Tuple) and index.elts and isinstance(index.elts[0], ast.Slice):
        first, *others = index.elts
        if ast.unparse(first) == ":" and others and all(_is_constant_index(one) for one in others):
            return []
    elif not isinstance(index, ast.Slice | ast.Tuple) and not _is_constant_index(index):
        return [index]
    base = ast.unparse(node.value)
    raise expression.wrong(
        index,
        f"the first axis is the events: write {base}[:, 0] for the first of each event, "
        f"{base}[:, :2] for the first two, {base}[mask] for those that pass",
    )


def _is_constant_index(node: ast.AST) -> bool:
    if isinstance(node, ast.Slice):
        return all(one is None or _is_constant_index(one) for one in (node.lower, node.upper, node.step))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int


def _check_compare(expression: Expression, node: ast.Compare) -> None:
    for operator, part in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.Is | ast.IsNot):
            raise expression.wrong(node, "compare with == or !=, not with `is`")
        if isinstance(operator, ast.In | ast.NotIn) and not isinstance(part, ast.Tuple | ast.List):
            raise expression.wrong(part, "`in` needs a list of numbers, such as (1, 2, 3)")
    for part in (node.left, *node.comparators):
        bitwise = isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitAnd | ast.BitOr | ast.BitXor)
        if bitwise and expression.text.encode()[: part.col_offset].rstrip()[-1:] != b"(":
            sign = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}[type(part.op)]  # type: ignore[attr-defined]
            raise expression.wrong(part, f"`{sign}` binds more tightly than comparisons: write `and`/`or`, or brackets")


def _members(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple | ast.List) else [node]


def _compute(expression: Expression, node: ast.AST, arrays: Mapping[str, Any]) -> Any:
    """Return the value of a node; whatever goes wrong is told with its place."""
    column = _column_name(node)
    if column is not None:
        if isinstance(node, ast.Name) and column in CONSTANTS:
            return CONSTANTS[column]
        if column not in arrays:
            raise expression.wrong(node, f"no column {column!r}. {near(column, arrays)}")
        return as_lists(arrays[column])
    try:
        return _COMPUTE[type(node)](expression, node, arrays)
    except WrongInput:
        raise
    except Exception as error:
        raise expression.wrong(node, _explained(node, error)) from error


_LENGTHS_DIFFER = "these lists differ in length in some event, so they cannot be combined element by element"


def _explained(node: ast.AST, error: Exception) -> str:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        return (
            "some events have too few entries for this. Cut on their number first, as in "
            "`num(x) > 0 and x[:, 0] > 25` or by an earlier cut"
        )
    if "broadcast" in str(error):
        return _LENGTHS_DIFFER
    reason = str(error).strip().splitlines() or [""]
    return f"cannot be computed: {type(error).__name__}: {reason[0]}"


def _compute_call(expression: Expression, node: ast.Call, arrays: Mapping[str, Any]) -> Any:
    assert isinstance(node.func, ast.Name)
    name = node.func.id
    values = [_compute(expression, one, arrays) for one in node.args]
    if name in REDUCTIONS:
        if depth(values[0]) < 2:
            raise expression.wrong(node, f"{name}() needs a list per event; this is one value per event")
        if name == "count" and not is_boolean(values[0]):
            raise expression.wrong(node, "count() counts where a condition holds; the length of a list is num(x)")
    return FUNCTIONS[name][1](*values)


def _compute_subscript(expression: Expression, node: ast.Subscript, arrays: Mapping[str, Any]) -> Any:
    value = _compute(expression, node.value, arrays)
    if depth(value) < 2:
        raise expression.wrong(node, "this is one value per event: there is no list to take from")
    if isinstance(node.slice, ast.Tuple):
        return value[tuple(_constant_index(one) for one in node.slice.elts)]
    # Such as photon_pt[good] is often written several times: callers may offer a place to remember it.
    memory, key = getattr(arrays, "memory", {}), ast.dump(node)
    if key not in memory:
        memory[key] = _masked(expression, node, value, arrays)
    return memory[key]


def _masked(expression: Expression, node: ast.Subscript, value: Any, arrays: Mapping[str, Any]) -> Any:
    mask = _compute(expression, node.slice, arrays)
    if depth(mask) < 2 or not is_boolean(mask):
        raise expression.wrong(node.slice, "a mask must be a condition on each entry of the lists")
    if not same_lengths(value, mask):
        raise expression.wrong(node, _LENGTHS_DIFFER)
    return value[mask]


def _constant_index(node: ast.AST | None) -> Any:
    if isinstance(node, ast.Slice):
        return slice(_constant_index(node.lower), _constant_index(node.upper), _constant_index(node.step))
    return None if node is None else ast.literal_eval(ast.unparse(node))


def _compute_compare(expression: Expression, node: ast.Compare, arrays: Mapping[str, Any]) -> Any:
    result = None
    left = _compute(expression, node.left, arrays)
    for operator, part in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.In | ast.NotIn):
            held: Any = np.False_
            for one in _members(part):
                held = np.logical_or(held, np.equal(left, _compute(expression, one, arrays)))
            one_result = held if isinstance(operator, ast.In) else np.logical_not(held)
        else:
            right = _compute(expression, part, arrays)
            one_result = COMPARISONS[type(operator)](left, right)
            left = right
        result = one_result if result is None else np.logical_and(result, one_result)
    return result


def _compute_binary(expression: Expression, node: ast.BinOp, arrays: Mapping[str, Any]) -> Any:
    left, right = (_compute(expression, one, arrays) for one in (node.left, node.right))
    function = BINARY[type(node.op)]
    if isinstance(node.op, ast.BitAnd | ast.BitOr | ast.BitXor):
        return function(left, right)
    left, right = as_signed(left), as_signed(right)
    if isinstance(node.op, ast.Pow) and isinstance(right, int | float):
        return np.square(left) if right == 2 else function(left, float(right) if right < 0 else right)
    return function(left, right)


def _compute_unary(expression: Expression, node: ast.UnaryOp, arrays: Mapping[str, Any]) -> Any:
    value = _compute(expression, node.operand, arrays)
    match node.op:
        case ast.Not():
            return np.logical_not(value)
        case ast.Invert():
            return np.invert(value)
        case ast.USub():
            return -value if isinstance(value, int | float) else np.negative(as_signed(value))
    return value


def _compute_boolean(expression: Expression, node: ast.BoolOp, arrays: Mapping[str, Any]) -> Any:
    function = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
    result = _compute(expression, node.values[0], arrays)
    for one in node.values[1:]:
        result = function(result, _compute(expression, one, arrays))
    return result


_COMPUTE: dict[type, Callable[..., Any]] = {
    ast.Constant: lambda _, node, __: node.value,
    ast.Call: _compute_call,
    ast.Subscript: _compute_subscript,
    ast.Compare: _compute_compare,
    ast.BinOp: _compute_binary,
    ast.UnaryOp: _compute_unary,
    ast.BoolOp: _compute_boolean,
}
