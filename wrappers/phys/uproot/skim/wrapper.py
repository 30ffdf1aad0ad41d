"""Select events and columns of ROOT and Parquet files, define new columns, and count the cut flow."""

__author__ = "The snakemake-executor-plugin-llmagent developers"
__copyright__ = "Copyright 2026, the snakemake-executor-plugin-llmagent developers"
__license__ = "MIT"

# --- common: job (kept by wrappers/embed.py; edit wrappers/common/job.py) ---
# What every wrapper does around its work: log, errors, parameters, progress, provenance, whole files or none.

import contextlib
import difflib
import gc
import hashlib
import importlib.metadata
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Importing packages makes many objects that stay: looking through them for garbage takes a tenth of a short job's time.
gc.set_threshold(50_000, 20, 100)

VERSION = "0.1.0"
HASHED_BYTES = 64 * 1024 * 1024
"""Inputs up to this size are identified by their SHA-256 in the provenance; larger ones by their size alone."""


class WrongInput(Exception):
    """The person who wrote the rule can mend this: the message says which file or parameter, and what to do."""


@contextlib.contextmanager
def logged(snakemake: Any) -> Iterator[None]:
    """Send everything that is printed to the rule's log, and errors to the terminal too.

    Raises:
        SystemExit: with status 1 after a `WrongInput`, whose message is shown without a traceback.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    path = Path(snakemake.log[0]) if len(snakemake.log) else None
    message = ""
    try:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(file, 1)
            os.dup2(file, 2)
            os.close(file)
        try:
            yield
        except WrongInput as error:
            message = f"Error: {error}\n"
        except Exception:
            message = traceback.format_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        if message and path:
            os.write(2, message.encode())
    finally:
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)
        gc.freeze()  # the job is done: nothing is worth a last look for garbage
    if message:
        sys.stderr.write(message)
        raise SystemExit(1)


def near(name: str, names: Iterable[str], *, most: int = 5) -> str:
    """Say which of `names` are like `name`: text for the end of an error message."""
    known = sorted(set(map(str, names)))
    lowered = {one.lower(): one for one in known}
    alike = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=most, cutoff=0.5)]
    if alike:
        return f"Did you mean {', '.join(alike)}?"
    shown = ", ".join(known[:20]) + (f", and {len(known) - 20} more" if len(known) > 20 else "")
    return f"There are: {shown}." if known else "There are none."


def parameters(snakemake: Any, defaults: Mapping[str, Any], *, required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the rule's params, completed by defaults.

    Args:
        snakemake: the object that Snakemake gives to a script.
        defaults: what params there are, and their values where the rule names none.
        required: params without a default.

    Raises:
        WrongInput: for an unknown, unnamed or missing param.
    """
    given = dict(snakemake.params.items())
    if len(snakemake.params) > sum(1 for _ in given):
        raise WrongInput('params: each needs a name, as in `params: cut="..."`')
    known = [*required, *defaults]
    for name in given:
        if name not in known:
            raise WrongInput(f"params: there is no {name!r}. {near(name, known)}")
    for name in required:
        if given.get(name) is None:
            raise WrongInput(f"params: {name!r} is missing")
    return {**defaults, **given}


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """Return the value of a param that is one of some words, or raise `WrongInput`."""
    if value not in options:
        raise WrongInput(f"params: {name}={value!r} is none of {', '.join(options)}. {near(str(value), options)}")
    return str(value)


def existing(paths: Iterable[Any]) -> list[str]:
    """Return paths as text after looking whether the local ones are files.

    Raises:
        WrongInput: naming the first file that is missing or empty, and files with similar names beside it.
    """
    texts = [str(path) for path in paths]
    for text in texts:
        if "://" in text:
            continue
        path = Path(text)
        if not path.is_file():
            beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
            raise WrongInput(f"{text}: no such file. {near(path.name, beside)}")
        if path.stat().st_size == 0:
            raise WrongInput(f"{text}: the file is empty")
    return texts


def provenance(snakemake: Any, wrapper: str, packages: Sequence[str]) -> dict[str, Any]:
    """Describe how an output came about, without anything that differs from one run to the next.

    Args:
        snakemake: the object that Snakemake gives to a script.
        wrapper: the wrapper's place in the collection, such as `phys/uproot/skim`.
        packages: distributions whose versions matter.
    """
    return {
        "wrapper": wrapper,
        "version": VERSION,
        "inputs": [_identity(str(path)) for path in snakemake.input],
        "params": json.loads(json.dumps(dict(snakemake.params.items()), default=str, sort_keys=True)),
        "packages": {name: importlib.metadata.version(name) for name in sorted(packages)},
    }


def _identity(path: str) -> dict[str, Any]:
    if "://" in path or not Path(path).is_file():
        return {"file": path}
    size = Path(path).stat().st_size
    identity: dict[str, Any] = {"file": Path(path).name if Path(path).is_absolute() else path, "bytes": size}
    if size <= HASHED_BYTES:
        identity["sha256"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return identity


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[Path]:
    """Yield a hidden name beside `path` (same suffix) to write to; it becomes `path` if all goes well, else it goes."""
    final = Path(str(path))
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{os.getpid()}.{final.name}")
    try:
        yield partial
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Any, value: Any) -> None:
    """Write JSON for people and programs: indented, in the order given, whole or not at all; NaN is an error."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


class Progress:
    """Lines in the log about how far long work has come, at most one every few seconds."""

    def __init__(self, what: str, total: int, unit: str = "events", *, every: float = 5.0) -> None:
        self.what, self.total, self.unit, self.every = what, total, unit, every
        self.done = 0
        self.started = self.said = time.monotonic()

    def add(self, number: int) -> None:
        """Count `number` more; print a line if the last one is some seconds old."""
        self.done += number
        now = time.monotonic()
        if now - self.said >= self.every and self.done:
            self.said = now
            left = (now - self.started) * (self.total / self.done - 1)
            share = 100 * self.done / max(self.total, 1)
            print(
                f"{self.what}: {self.done:,} of {self.total:,} {self.unit} ({share:.0f} %), {left:.0f} s left",
                flush=True,
            )


# --- end of common ---

# --- common: operations (kept by wrappers/embed.py; edit wrappers/common/operations.py) ---
# What expressions compute with: operators and functions that work alike on NumPy and Awkward Arrays.

import ast
from collections.abc import Callable
from typing import Any

import numpy as np


def is_awkward(value: Any) -> bool:
    """Tell whether a value is an Awkward Array, without importing Awkward Array."""
    return type(value).__module__.startswith("awkward")


def depth(value: Any) -> int:
    """Return the number of axes, 0 for a plain number."""
    return int(getattr(value, "ndim", 0))


def is_boolean(value: Any) -> bool:
    """Tell whether the numbers of an array are booleans."""
    return bool(number_type(value) == np.bool_)


def number_type(value: Any) -> Any:
    """Return the NumPy dtype of an array's numbers; None where there is no one such type."""
    if not is_awkward(value):
        return np.asarray(value).dtype
    layout = value.layout
    while not hasattr(layout, "dtype"):
        if not hasattr(layout, "content"):
            return None
        layout = layout.content
    return layout.dtype


def as_lists(value: Any) -> Any:
    """Return arrays of a fixed number per event as lists per event, so that all combine alike with one per event."""
    if depth(value) < 2 or (is_awkward(value) and not _has_fixed_length(value.layout)):
        return value
    import awkward as ak

    return ak.from_regular(value if is_awkward(value) else ak.from_numpy(value), axis=None)


def same_lengths(left: Any, right: Any) -> bool:
    """Tell whether the lists of two arrays are of the same length in each event."""
    import awkward as ak

    return len(left) == len(right) and bool(ak.all(ak.num(left, axis=1) == ak.num(right, axis=1)))


def _has_fixed_length(layout: Any) -> bool:
    while layout is not None and not layout.is_regular:
        layout = getattr(layout, "content", None)
    return layout is not None


def as_numpy(value: Any) -> np.ndarray:
    """Return one value per event as NumPy, shape (n,); missing ones become NaN, or False for booleans."""
    if not is_awkward(value):
        return np.asarray(value)
    import awkward as ak

    missing = {np.dtype(bool): False}.get(number_type(value), np.nan)
    return np.asarray(ak.to_numpy(ak.fill_none(value, missing) if "?" in str(value.type) else value))


def as_signed(value: Any) -> Any:
    """Return whole numbers and booleans as int64: True + True is 2, and unsigned 0 - 1 is -1."""
    kind = number_type(value)
    if isinstance(value, bool | int | float) or kind is None or kind.kind not in "biu" or kind.itemsize == 8:
        return value
    if not is_awkward(value):
        return np.asarray(value).astype(np.int64)
    import awkward as ak

    return ak.values_astype(value, np.int64)


def _reduction(name: str, **options: Any) -> Callable[[Any], Any]:
    def reduce(value: Any) -> Any:
        import awkward as ak

        return getattr(ak, name)(value, axis=-1, **options)

    return reduce


def _number(value: Any) -> Any:
    import awkward as ak

    return ak.num(value, axis=-1)


def _where(condition: Any, left: Any, right: Any) -> Any:
    if not any(is_awkward(one) for one in (condition, left, right)):
        return np.where(condition, left, right)
    import awkward as ak

    return ak.where(condition, left, right)


def _clip(value: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(value, low), high)


def _delta_phi(left: Any, right: Any) -> Any:
    return np.remainder(left - right + np.pi, 2 * np.pi) - np.pi


REDUCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "num": (1, _number),
    "count": (1, _reduction("sum")),
    "sum": (1, _reduction("sum")),
    "any": (1, _reduction("any")),
    "all": (1, _reduction("all")),
    # The minimum of no numbers is +inf, the maximum -inf: `max(pt) > 25` is then False, `min(dr) > 0.4` True.
    "min": (1, _reduction("min", mask_identity=False)),
    "max": (1, _reduction("max", mask_identity=False)),
}
_ELEMENTWISE = (
    "sqrt exp expm1 log log10 log1p log2 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
    "floor ceil sign isnan isfinite"
)
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    **{name: (1, getattr(np, name)) for name in _ELEMENTWISE.split()},
    **{name: (2, getattr(np, name)) for name in ("arctan2", "hypot", "minimum", "maximum")},
    "abs": (1, np.absolute),
    "clip": (3, _clip),
    "delta_phi": (2, _delta_phi),
    "where": (3, _where),
    **REDUCTIONS,
}
"""Functions by name: how many arguments, and what computes them."""

BINARY: dict[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Pow: np.power,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor,
}
COMPARISONS: dict[type, Callable[..., Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


# --- end of common ---

# --- common: expressions (kept by wrappers/embed.py; edit wrappers/common/expressions.py) ---
# Expressions over columns of events, such as `sum(photon_pt > 25) >= 2 and photon_pt[:, 0] > 35`.
#
# Written in Python's syntax and computed node by node: nothing but the operators and functions named here can run.
#

import ast
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


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


# --- end of common ---

# --- common: events (kept by wrappers/embed.py; edit wrappers/common/events.py) ---
# Events with lists of objects in ROOT (TTree, RNTuple) or Parquet files: columns, and arrays in chunks.

import bisect
import contextlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np


CHUNK_SIZE = "32 MB"
"""About so much memory is taken by the columns of one chunk."""

MOST_ROWS = 250_000
"""Rows of Parquet files read at once, however narrow they are: what is computed of them may be much wider."""
MEMORY_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}

REMOTE_PACKAGES = {
    "root": ("fsspec_xrootd", "fsspec-xrootd"),
    "roots": ("fsspec_xrootd", "fsspec-xrootd"),
    "s3": ("s3fs", "s3fs"),
}


class Chunk(Mapping[str, Any]):
    """Arrays of some successive events by column name, each read when it is first asked for.

    Numbers per event are NumPy arrays of shape (entries,), lists are Awkward Arrays of length `entries`.
    """

    def __init__(self, names: Sequence[str], entries: int, read: Callable[[list[str]], dict[str, Any]]) -> None:
        self.entries = entries
        self._names, self._read, self._held = list(names), read, dict[str, Any]()

    def load(self, names: Iterable[str]) -> None:
        """Read several columns together, which is faster than one after the other."""
        missing = [name for name in dict.fromkeys(names) if name not in self._held]
        if missing:
            self._held.update(self._read(missing))

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        self.load([name])
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, kw_only=True)
class Events:
    """A Parquet file, or a tree of a ROOT file, with columns of one value or one list per event.

    Attributes:
        path: the file or URL.
        tree: the TTree or RNTuple, None for Parquet.
        kind: `TTree`, `RNTuple` or `Parquet`.
        columns: all columns, in the order of the file.
        types: types such as `float32`, `var * bool`, `4 * int32` by column, of the columns that were asked for.
        entries: number of events.
        nullable: columns of a Parquet file that may have missing values.
        counters: branches that hold the lengths of other columns' lists, by those columns.
    """

    path: str
    tree: str | None
    kind: str
    columns: tuple[str, ...]
    entries: int
    types: Mapping[str, str] = field(repr=False)
    nullable: frozenset[str] = frozenset()
    counters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What an error message calls these events."""
        return f"{self.path}: tree {self.tree}" if self.tree else self.path

    def check(self, wanted: Iterable[str]) -> None:
        """Raise `WrongInput` for the first wanted column that is not there or cannot be read."""
        known = set(self.columns)
        for column in wanted:
            if column not in known:
                raise WrongInput(f"{self.name}: no column {column!r}. {near(column, self.columns)}")
            if self.types.get(column, "").startswith("unreadable"):
                raise WrongInput(f"{self.name}: column {column!r} is {self.types[column]}")

    def chunks(
        self, wanted: Sequence[str], *, size: int | str = CHUNK_SIZE, threads: int = 1, stop: int | None = None
    ) -> Iterator[Chunk]:
        """Yield the events in the order of the file, in chunks that read only the wanted columns.

        Args:
            wanted: columns.
            size: number of events per chunk, or their memory such as "100 MB".
            threads: how many threads decompress.
            stop: end after so many events; by default after all.

        Raises:
            WrongInput: for a missing column or an unreadable file.
        """
        self.check(wanted)
        step = check_size(size)
        reader = _parquet_chunks if self.kind == "Parquet" else _root_chunks
        end = self.entries if stop is None else stop
        with _readable(self.name):
            yield from reader(self, list(dict.fromkeys(wanted)), step, threads, end)


def open_events(
    path: str, tree: str | None = None, *, typed: Callable[[Sequence[str]], Iterable[str]] | None = None
) -> Events:
    """Open events without reading their columns.

    Args:
        path: a .root or .parquet file, or a URL of one (http, https, root, s3).
        tree: name of the TTree or RNTuple; may be left out where the file has only one.
        typed: chooses from all columns those whose types are wanted (finding types takes time in trees with
            thousands of branches); by default all.

    Raises:
        WrongInput: if it cannot be read, or the tree is missing or ambiguous.
    """
    suffix = PurePosixPath(urlsplit(path).path).suffix
    openers = {".root": _open_root, ".parquet": _open_parquet}
    if suffix not in openers:
        raise WrongInput(f"{path}: events are read from {' and '.join(openers)} files, not from {suffix!r}")
    check_remote(path)
    with _readable(path):
        return openers[suffix](path, tree, typed or (lambda names: names))


def open_all(
    paths: Sequence[str], tree: str | None = None, *, typed: Callable[[Sequence[str]], Iterable[str]] | None = None
) -> list[Events]:
    """Open several files and see that the typed columns have the same types in all.

    Raises:
        WrongInput: naming the first file that cannot be opened or differs.
    """
    files = [open_events(path, tree, typed=typed) for path in paths]
    for file in files[1:]:
        file.check(files[0].types)
        for column, kind in files[0].types.items():
            if file.types[column] != kind:
                raise WrongInput(
                    f"{file.name}: column {column!r} is {file.types[column]!r}, but {kind!r} in {files[0].path}"
                )
    return files


def check_size(size: Any) -> int | str:
    """Return a number of events, or a memory size in bytes such as `100000000 B`; raise `WrongInput` if neither."""
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?i?b)\s*", str(size).lower())
    number = float(parts[1]) * MEMORY_UNITS.get(parts[2], 0) if parts else 0
    if number < 1:
        raise WrongInput(f'params: step_size={size!r} is neither a number of events nor a memory size such as "100 MB"')
    return f"{number:.0f} B"


def check_remote(path: str) -> None:
    """Raise `WrongInput` if a package is missing that URLs of this kind need."""
    scheme = path.partition("://")[0] if "://" in path else ""
    module, package = REMOTE_PACKAGES.get(scheme, ("", ""))
    if module and importlib.util.find_spec(module) is None:
        raise WrongInput(f"{path}: {scheme}:// URLs need the package {package}: add it to the environment")
    if scheme.startswith("http") and not _is_root(path) and importlib.util.find_spec("aiohttp") is None:
        raise WrongInput(f"{path}: Parquet files by {scheme}:// need the package aiohttp: add it to the environment")


def open_uproot(path: str) -> Any:
    """Open a ROOT file or URL; http(s) is read without further packages."""
    import uproot

    if path.startswith(("http://", "https://")) and importlib.util.find_spec("aiohttp") is None:
        return uproot.open(path, handler=uproot.source.http.HTTPSource, array_cache=None)
    if "://" in path:
        return uproot.open(path, array_cache=None)
    # Fewer calls per basket than through fsspec, which is the default.
    return uproot.open(path, array_cache=None, handler=uproot.MemmapSource)


def tree_names(file: Any) -> list[str]:
    """Return the names of the TTrees and RNTuples in an open ROOT file."""
    classes = file.classnames(cycle=False)
    return [name for name, kind in classes.items() if kind in ("TTree", "TNtuple", "TNtupleD") or "RNTuple" in kind]


def branch_types(tree: Any, chosen: Iterable[str] | None = None) -> dict[str, str]:
    """Return types by column, of all columns of an open TTree or RNTuple, or of the chosen ones."""
    branches = _leaves(tree)
    return {name: _type(tree, branches[name]) for name in (branches if chosen is None else chosen)}


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """Say which file is meant when its content cannot be read."""
    try:
        yield
    except WrongInput:
        raise
    except Exception as error:
        raise WrongInput(f"{name}: cannot be read: {type(error).__name__}: {error}") from error


def _is_root(path: str) -> bool:
    return PurePosixPath(urlsplit(path).path).suffix == ".root"


def _open_root(path: str, tree: str | None, typed: Callable[[Sequence[str]], Iterable[str]]) -> Events:
    with open_uproot(path) as file:
        trees = tree_names(file)
        if not trees:
            raise WrongInput(f"{path}: there is no TTree or RNTuple in this file")
        if tree is None and len(trees) > 1:
            raise WrongInput(f"{path}: which tree? params: tree=... There are: {', '.join(trees)}")
        chosen = trees[0] if tree is None else tree
        if chosen not in trees:
            raise WrongInput(f"{path}: no tree {chosen!r}. {near(chosen, trees)}")
        source = file[chosen]
        columns = tuple(_leaves(source))
        types = branch_types(source, [name for name in typed(columns) if name in columns])
        kind = "TTree" if hasattr(source, "branches") else "RNTuple"
        entries = int(source.num_entries)
        counters = {column: leaf.count_branch.name for column, leaf in _leaves(source).items() if _is_counted(leaf)}
    return Events(path=path, tree=chosen, kind=kind, columns=columns, entries=entries, types=types, counters=counters)


def _leaves(tree: Any) -> dict[str, Any]:
    """Return what holds data in a tree, by name: branches without branches, or the fields of an RNTuple."""
    if not hasattr(tree, "branches"):
        return {name: name for name in tree.keys(recursive=False) if not name.startswith("_")}
    leaves: dict[str, Any] = {}
    for full, branch in tree.iteritems(recursive=True, full_paths=True):
        if not branch.branches:
            leaves[full if branch.name in leaves else branch.name] = branch
    return leaves


def _is_counted(leaf: Any) -> bool:
    return getattr(leaf, "count_branch", None) is not None


def _type(tree: Any, leaf: Any) -> str:
    try:
        if isinstance(leaf, str):
            form = tree.to_akform(filter_name=lambda name: name == leaf or name.startswith(leaf + "."))[0]
            return str(form.content(leaf).type)
        return str(leaf.interpretation.awkward_form(tree.file).type)
    except Exception as error:
        kind = getattr(leaf, "typename", None) or type(error).__name__
        return f"unreadable ({kind})"


def _root_chunks(events: Events, wanted: list[str], step: int | str, threads: int, end: int) -> Iterator[Chunk]:
    import uproot

    executor = uproot.ThreadPoolExecutor(threads) if threads > 1 else None
    try:
        with open_uproot(events.path) as file:
            tree = file[events.tree]
            for start, stop in _ranges(tree, wanted, step, end):

                def read(names: list[str], start: int = start, stop: int = stop) -> dict[str, Any]:
                    options = {
                        "entry_start": start,
                        "entry_stop": stop,
                        "decompression_executor": executor,
                        "array_cache": None,
                    }
                    with _readable(events.name):
                        arrays = tree.arrays(names, library="ak", how=dict, **options)
                    return {name: _plain(arrays[name]) for name in names}

                yield Chunk(wanted, stop - start, read)
    finally:
        if executor is not None:
            executor.shutdown()


def _ranges(tree: Any, wanted: list[str], step: int | str, end: int) -> list[tuple[int, int]]:
    """Divide the entries where baskets or clusters end: a part of one is read as slowly as all of it.

    Baskets of a TTree may end at different entries in each branch, or be larger than a step: then it is cut as asked.
    """
    entries = min(int(tree.num_entries), end)
    if isinstance(step, str):
        step = tree.num_entries_for(step, expressions=wanted) if wanted and entries else entries
    step = max(int(step), 1)
    if hasattr(tree, "branches"):
        return list(_between_baskets(tree, wanted, step, entries))
    ranges: list[tuple[int, int]] = []
    for cluster in tree.cluster_summaries:
        start = cluster.num_first_entry
        stop = min(start + cluster.num_entries, entries)
        if ranges and stop - ranges[-1][0] <= step:
            ranges[-1] = (ranges[-1][0], stop)
        elif stop > start:
            ranges.append((start, stop))
    return ranges


def _between_baskets(tree: Any, wanted: list[str], step: int, entries: int) -> Iterator[tuple[int, int]]:
    ends = sorted(tree.common_entry_offsets(filter_name=wanted)) if wanted else []
    start = 0
    while start < entries:
        place = bisect.bisect_right(ends, start + step) - 1
        stop = ends[place] if place >= 0 and ends[place] > start else start + step
        yield start, min(stop, entries)
        start = stop


def _plain(array: Any) -> Any:
    """Return an Awkward Array with one number per event as NumPy, without a copy; others as they are."""
    import awkward as ak

    layout = array.layout
    return (
        layout.to_backend_array()
        if isinstance(layout, ak.contents.NumpyArray) and layout.purelist_depth == 1
        else array
    )


def _open_parquet(path: str, _: str | None, typed: Callable[[Sequence[str]], Iterable[str]]) -> Events:
    import pyarrow.parquet as pq

    with _stream(path) as source, pq.ParquetFile(source) as file:
        schema = file.schema_arrow
        columns = tuple(schema.names)
        types = {name: _arrow_type(schema.field(name).type) for name in typed(columns) if name in columns}
        nullable = frozenset(one.name for one in schema if _may_miss(one))
        entries = file.metadata.num_rows
    return Events(
        path=path, tree=None, kind="Parquet", columns=columns, entries=entries, types=types, nullable=nullable
    )


def _stream(path: str) -> Any:
    if "://" not in path:
        return open(path, "rb")  # noqa: PTH123 (whoever asked closes it)
    import fsspec

    return fsspec.open(path, "rb").open()


def _may_miss(column: Any) -> bool:
    inner = getattr(column.type, "value_field", None)
    return bool(column.nullable) or (inner is not None and _may_miss(inner))


def _arrow_type(kind: Any) -> str:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} * {_arrow_type(kind.value_type)}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"var * {_arrow_type(kind.value_type)}"
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return str(np.dtype(kind.to_pandas_dtype()))
    return "string" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def _parquet_chunks(events: Events, wanted: list[str], step: int | str, threads: int, end: int) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(max(threads, 1))
    with _stream(events.path) as source, pq.ParquetFile(source) as file:
        rows = step if isinstance(step, int) else _rows(file.metadata, wanted, step)
        for batch in file.iter_batches(batch_size=rows, columns=wanted, use_threads=threads > 1):
            batch = batch.slice(0, end)

            def read(names: list[str], batch: Any = batch) -> dict[str, Any]:
                return {name: _from_arrow(batch.column(name)) for name in names}

            yield Chunk(wanted, batch.num_rows, read)
            end -= batch.num_rows
            if end <= 0:
                return


def _rows(metadata: Any, wanted: list[str], step: str) -> int:
    """Return how many rows of the wanted columns take about so much memory."""
    total = 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            if column.path_in_schema.partition(".")[0] in wanted:
                total += column.total_uncompressed_size
    bytes_per_row = max(total / max(metadata.num_rows, 1), 1)
    return min(max(int(float(step.split()[0]) / bytes_per_row), 1), MOST_ROWS)


def _from_arrow(array: Any) -> Any:
    import awkward as ak

    def without_options(layout: Any) -> Any:
        if isinstance(layout, ak.contents.UnmaskedArray):
            return without_options(layout.content)
        return layout.copy(content=without_options(layout.content)) if layout.is_list else layout

    return _plain(ak.Array(without_options(ak.from_arrow(array, highlevel=False))))


# --- end of common ---

import fnmatch
import math
import uuid

PIECE_BYTES = 32_000_000
"""Selected events are written when they take so much memory: the size of row groups, clusters and baskets."""

PARAMS = {
    "tree": None,
    "output_tree": None,
    "cut": None,
    "define": {},
    "keep": ["*"],
    "weight": 1,
    "urls": [],
    "step_size": CHUNK_SIZE,
    "format": "ttree",
    "compression": "zstd-3",
}
COMPRESSIONS = {"zstd": 3, "zlib": 1, "lz4": 4, "lzma": 1, "gzip": 6, "snappy": 0, "none": 0}
"""Compressions and the level that is taken where none is named."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do with the events of all files, all of it checked.

    Attributes:
        files: inputs in order.
        derived: expressions of new columns.
        cuts: names and the parts of each cut, which are computed one after the other.
        weight: expression.
        kept: columns of the output.
        base: columns that are read.
        empty: zero-length arrays of the output, which show its types.
    """

    files: list[Events]
    derived: dict[str, Expression]
    cuts: list[tuple[str, list[Expression]]]
    weight: Expression
    kept: list[str]
    base: list[str]
    empty: dict[str, Any]


class Frame(Mapping[str, Any]):
    """The columns of those events of a chunk that have passed so far; derived ones are computed when asked for."""

    def __init__(self, chunk: Mapping[str, Any], entries: int, derived: Mapping[str, Expression]) -> None:
        self.entries = entries
        self._chunk, self._derived = chunk, derived
        self._rows: np.ndarray | None = None
        self._held = dict[str, Any]()
        self.memory = dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        if name not in self._held:
            if name in self._derived:
                value = self._derived[name].evaluate(self)
                self._held[name] = value if depth(value) else np.full(self.entries, value)
            else:
                self._held[name] = taken(self._chunk[name], self._rows)
        return self._held[name]

    def __contains__(self, name: object) -> bool:
        return name in self._derived or name in self._chunk

    def __iter__(self) -> Iterator[str]:
        return iter([*self._chunk, *self._derived])

    def __len__(self) -> int:
        return len(self._chunk) + len(self._derived)

    def narrow(self, mask: np.ndarray) -> None:
        """Keep the events where `mask`, shape (entries,), is true."""
        if mask.all():
            return
        self._rows = np.flatnonzero(mask) if self._rows is None else self._rows[mask]
        # Columns of the file are taken anew when needed, so that those no longer needed cost nothing.
        self._held = {name: taken(value, mask) for name, value in self._held.items() if name in self._derived}
        self.memory.clear()
        self.entries = len(self._rows)


def taken(array: Any, rows: np.ndarray | None) -> Any:
    """Return some rows of an array, all of them for None."""
    if rows is None or not is_awkward(array):
        return array if rows is None else array[rows]
    import awkward as ak

    # Taken lists point into the old ones; packed once here, every operation on them is faster.
    return ak.to_packed(array[rows])


class CutFlow:
    """Numbers of events and sums of weights after each cut."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.events = [0] * len(self.names)
        self.weights = [0.0] * len(self.names)
        self.squares = [0.0] * len(self.names)

    def add(self, step: int, weights: np.ndarray) -> None:
        """Count events after a cut; weights have shape (events,)."""
        self.events[step] += len(weights)
        self.weights[step] += float(np.sum(weights))
        self.squares[step] += float(np.square(weights).sum())  # `dot` would start threads of BLAS that spin

    def rows(self) -> list[dict[str, Any]]:
        """Return the cut flow as JSON; errors are the square root of the sum of squared weights."""
        columns = zip(self.names, self.events, self.weights, self.squares, strict=True)
        return [
            {"cut": name, "events": events, "yield": weight, "error": math.sqrt(square)}
            for name, events, weight, square in columns
        ]


def main(snakemake: Any) -> None:
    """Run the job."""
    with logged(snakemake):
        params = parameters(snakemake, PARAMS)
        data, reports = outputs(snakemake)
        codec = compression(params["compression"], data)
        check_size(params["step_size"])
        choice("format", params["format"], ("ttree", "rntuple"))
        plan = planned(snakemake, params, data)
        origin = provenance(snakemake, "phys/uproot/skim", ["awkward", "numpy", "uproot"])
        flow = CutFlow(["all", *(name for name, _ in plan.cuts)])
        with replacing(data) as partial:
            writer = writer_for(partial, plan, params, codec, origin)
            try:
                select(plan, params, flow, writer, threads=snakemake.threads)
            finally:
                writer.close()
        report(flow, reports, params, origin, data)


def outputs(snakemake: Any) -> tuple[str, list[str]]:
    """Return the output of events and those of the cut flow, told apart by their suffixes."""
    events = [str(path) for path in snakemake.output if str(path).endswith((".root", ".parquet"))]
    reports = [str(path) for path in snakemake.output if str(path).endswith((".json", ".md"))]
    for path in map(str, snakemake.output):
        if path not in events + reports:
            raise WrongInput(f"output: {path}: events go to .root or .parquet, the cut flow to .json or .md")
    if len(events) != 1:
        raise WrongInput(f"output: one .root or .parquet file is needed for the events, not {len(events)}")
    return events[0], reports


def compression(value: Any, data: str) -> tuple[str, int]:
    """Return the name and level of a compression such as `zstd-3`."""
    name, _, level = str(value).partition("-")
    known = (
        ["zstd", "lz4", "gzip", "snappy", "none"]
        if data.endswith(".parquet")
        else ["zstd", "lz4", "zlib", "lzma", "none"]
    )
    if name not in known:
        raise WrongInput(
            f"params: compression={value!r}: {Path(data).suffix} files are compressed by {', '.join(known)}"
        )
    if level and not (level.isdigit() and 0 < int(level) < 23 and (int(level) < 10 or name == "zstd")):
        raise WrongInput(f"params: compression={value!r}: the level is a number, as in zstd-3")
    return name, int(level) if level else COMPRESSIONS[name]


def planned(snakemake: Any, params: dict[str, Any], data: str) -> Plan:
    """Check the inputs and expressions before any event is read."""
    urls = [params["urls"]] if isinstance(params["urls"], str) else list(params["urls"])
    paths = existing([*snakemake.input, *urls])
    if not paths:
        raise WrongInput("input: no files, and no params: urls")
    derived = {
        str(name): compile_expression(text, where=f"params: define: {name}")
        for name, text in mapping("define", params["define"]).items()
    }
    cuts = [(name, expression.conjuncts()) for name, expression in named_cuts(params["cut"])]
    weight = compile_expression(params["weight"], where="params: weight")
    patterns = [params["keep"]] if isinstance(params["keep"], str) else [str(one) for one in params["keep"]]
    expressions = [*derived.values(), *(part for _, parts in cuts for part in parts), weight]

    def used(columns: Sequence[str]) -> list[str]:
        names = [name for expression in expressions for name in expression.names]
        return list(dict.fromkeys(name for name in [*names, *matching(columns, patterns)] if name in columns))

    files = open_all(paths, params["tree"], typed=used)
    first = files[0]
    check_names(first, derived, expressions)
    kept = kept_columns(first, list(derived), patterns, tree_format(data, params))
    base = [name for name in first.columns if name in first.types and name in needed(kept, derived, expressions)]
    for file in files:
        file.check(base)
    nullable = {name for file in files for name in file.nullable}
    nothing = {name: zero_length(first.types[name], nullable=name in nullable) for name in base}
    columns = Frame(nothing, 0, derived)
    empty = rehearse(columns, cuts, weight, kept)
    plan = Plan(files=files, derived=derived, cuts=cuts, weight=weight, kept=kept, base=base, empty=empty)
    events = sum(file.entries for file in files)
    print(f"{len(files)} files, {events:,} events, {len(base)} of {len(first.columns)} columns are read")
    return plan


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Return a param that is a mapping, or raise `WrongInput`."""
    if not isinstance(value, Mapping):
        raise WrongInput(f"params: {name} is a mapping from names to expressions, not {value!r}")
    return value


def named_cuts(cut: Any) -> list[tuple[str, Expression]]:
    """Return cuts with their names in the cut flow: given ones, or the text of each part joined by `and`."""
    if cut is None:
        return []
    if isinstance(cut, Mapping):
        return [(str(name), compile_expression(text, where=f"params: cut: {name}")) for name, text in cut.items()]
    texts = [cut] if isinstance(cut, str | int | float) else list(cut)
    parts = [part for text in texts for part in compile_expression(text, where="params: cut").conjuncts()]
    return [(part.text, part) for part in parts]


def check_names(first: Events, derived: Mapping[str, Expression], expressions: Sequence[Expression]) -> None:
    """See that expressions name columns of the file, or new ones defined before them."""
    known = list(first.columns)
    for name, expression in derived.items():
        if name in first.columns:
            raise WrongInput(f"params: define: {first.name} has a column {name!r} already: choose another name")
        if not name.isidentifier():
            raise WrongInput(f"params: define: {name!r} cannot be the name of a column")
        expression.check(known, of=first.name)
        known.append(name)
    for expression in expressions[len(derived) :]:
        expression.check(known, of=first.name)


def matching(columns: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the columns that match a pattern and no pattern that begins with `!`, in the order of the columns."""
    wanted = [one for one in patterns if not one.startswith("!")] or ["*"]
    excluded = [one[1:] for one in patterns if one.startswith("!")]

    def matches(name: str, some: Sequence[str]) -> bool:
        return any(name == one or fnmatch.fnmatchcase(name, one) for one in some)

    return [name for name in columns if matches(name, wanted) and not matches(name, excluded)]


def tree_format(data: str, params: dict[str, Any]) -> str:
    """Return `parquet`, `ttree` or `rntuple`."""
    return "parquet" if data.endswith(".parquet") else str(params["format"])


def kept_columns(first: Events, derived: Sequence[str], patterns: Sequence[str], kind: str) -> list[str]:
    """Return the columns of the output. What only a wildcard names, and what cannot be written, is left out."""
    available = [*first.columns, *derived]
    for pattern in patterns:
        if not matching(available, [pattern]):
            raise WrongInput(f"params: keep: {first.name}: no column matches {pattern!r}. {near(pattern, available)}")
    counters = {counter for column, counter in first.counters.items() if counter == f"n{column}"}
    kept = []
    for name in matching(available, patterns):
        reason = unwritable(first.types.get(name, ""), kind)
        if name in counters and (kind == "ttree" or name not in patterns):
            continue  # uproot writes such a counter for each list: it comes back in a TTree and is of no use elsewhere
        if not reason:
            kept.append(name)
        elif name in patterns:
            raise WrongInput(f"params: keep: {first.name}: column {name!r} is {first.types[name]}: {reason}")
        else:
            print(f"column {name} is left out: it is {first.types[name]}: {reason}")
    return kept


def unwritable(kind: str, format: str) -> str:
    """Return why a column of a type cannot be written, or nothing."""
    if kind.startswith("unreadable"):
        return "uproot cannot read it"
    if format == "ttree" and not re.fullmatch(r"((var|\d+) \* )?(bool|u?int\d+|float\d+)?", kind):
        return 'uproot writes numbers and lists of numbers to a TTree; take format: "rntuple" or a .parquet output'
    return ""


def needed(kept: Sequence[str], derived: Mapping[str, Expression], expressions: Sequence[Expression]) -> set[str]:
    """Return the names of all columns that the job uses."""
    used = [expression.names for expression in expressions if expression not in derived.values()]
    names = {name for some in used for name in some} | set(kept)
    for name, expression in reversed(derived.items()):
        if name in names:
            names |= set(expression.names)
    return names


def zero_length(kind: str, *, nullable: bool = False) -> Any:
    """Return an array of no events of a type such as `var * float32`, all of which may be missing if `nullable`."""
    import awkward as ak

    def layout(kind: str) -> Any:
        present = present_layout(kind)
        return ak.contents.UnmaskedArray(present) if nullable else present

    def present_layout(kind: str) -> Any:
        head, _, rest = kind.partition(" * ")
        if rest and head == "var":
            return ak.contents.ListOffsetArray(ak.index.Index64(np.zeros(1, np.int64)), layout(rest))
        if rest:
            return ak.contents.RegularArray(layout(rest), int(head))
        if kind == "string":
            return ak.Array([""])[:0].layout
        return ak.contents.NumpyArray(np.empty(0, kind))

    return _plain(ak.Array(layout(kind)))


def rehearse(
    columns: Frame, cuts: Sequence[tuple[str, Sequence[Expression]]], weight: Expression, kept: Sequence[str]
) -> dict[str, Any]:
    """Compute everything for no events: finds wrong types before work, and the types of the output."""
    weight.per_event(columns, 0)
    for _, parts in cuts:
        for part in parts:
            part.mask(columns, 0)
    return {name: columns[name] for name in kept}


def select(plan: Plan, params: dict[str, Any], flow: CutFlow, writer: Any, *, threads: int) -> None:
    """Run over all files in order and write what passes."""
    progress = Progress("skim", sum(file.entries for file in plan.files))
    used = [part.names for _, parts in plan.cuts for part in parts] + [plan.weight.names]
    early = needed([], plan.derived, []) | {name for some in used for name in some}
    for name, expression in reversed(plan.derived.items()):
        if name in early:
            early |= set(expression.names)
    first = [name for name in plan.base if name in early]
    pieces = Pieces(writer)
    for file in plan.files:
        start = 0
        for chunk in file.chunks(plan.base, size=params["step_size"], threads=threads):
            chunk.load(first)
            frame = Frame(chunk, chunk.entries, plan.derived)
            weights = plan.weight.per_event(frame, chunk.entries).astype(np.float64)
            if not np.isfinite(weights).all():
                entry = start + int(np.flatnonzero(~np.isfinite(weights))[0])
                raise WrongInput(f"{file.name}: the weight of event {entry} (counted from 0) is not a finite number")
            apply(plan, frame, weights, flow)
            if frame.entries:
                chunk.load(plan.base)
                pieces.add({name: frame[name] for name in plan.kept}, frame.entries)
            start += chunk.entries
            progress.add(chunk.entries)
            del chunk, frame  # before the next chunk is read
    pieces.flush()


def apply(plan: Plan, frame: Frame, weights: np.ndarray, flow: CutFlow) -> None:
    """Apply the cuts in order to the events of a chunk, and count them."""
    flow.add(0, weights)
    for number, (_, parts) in enumerate(plan.cuts, start=1):
        for part in parts:
            mask = part.mask(frame, frame.entries)
            frame.narrow(mask)
            weights = weights[mask]
        flow.add(number, weights)


class Pieces:
    """Collects selected events until there are enough to be written together."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self._held: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, arrays: dict[str, Any], entries: int) -> None:
        """Take the columns of some events."""
        import awkward as ak

        # Without packing, a few selected events would keep all lists of their chunk in memory.
        packed = {name: ak.to_packed(array) if is_awkward(array) else array for name, array in arrays.items()}
        self._held.append(packed)
        self._bytes += sum(array.nbytes for array in packed.values()) + entries
        if self._bytes >= PIECE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        import awkward as ak

        if not self._held:
            return
        joined = {}
        for name, one in self._held[0].items():
            columns = [piece[name] for piece in self._held]
            join = ak.concatenate if is_awkward(one) else np.concatenate
            joined[name] = one if len(columns) == 1 else join(columns)
        self._held, self._bytes = [], 0
        self.writer.extend(joined)


def kind_of(array: Any) -> str:
    """Return the type of an entry of an array, such as `var * ?float32`."""
    return str(array.type).partition(" * ")[2] if is_awkward(array) else str(array.dtype)


def plain_kind(array: Any) -> str:
    """Return the type of an entry of an array whatever may be missing, such as `var * float32`."""
    return re.sub(r"\?|option\[|\]", "", kind_of(array))


class ParquetOutput:
    """Writes row groups."""

    def __init__(self, path: Path, plan: Plan, codec: tuple[str, int], origin: dict[str, Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.written = 0
        fields = [
            pa.field(name, self._arrow(array).type, nullable=plain_kind(array) != kind_of(array))
            for name, array in plan.empty.items()
        ]
        self.schema = pa.schema(fields, metadata={"provenance": json.dumps(origin, ensure_ascii=False)})
        level = codec[1] if codec[0] in ("zstd", "gzip") else None
        dictionary = [name for name, array in plan.empty.items() if number_type(array) is None]
        self.file = pq.ParquetWriter(
            path, self.schema, compression=codec[0], compression_level=level, use_dictionary=dictionary
        )

    @staticmethod
    def _arrow(array: Any) -> Any:
        import awkward as ak

        return ak.to_arrow(array, extensionarray=False, list_to32=True, string_to32=True)

    def extend(self, arrays: dict[str, Any]) -> None:
        """Write a row group."""
        import pyarrow as pa

        columns = []
        for wanted, array in zip(self.schema, arrays.values(), strict=True):
            column = self._arrow(array)
            columns.append(column if column.type == wanted.type else column.cast(wanted.type))
        rows = len(next(iter(arrays.values())))
        self.written += rows
        self.file.write_table(pa.Table.from_arrays(columns, schema=self.schema), row_group_size=max(rows, 1))

    def close(self) -> None:
        """Finish the file; one without events gets an empty row group, without which some readers fail."""
        if not self.written:
            self.file.write_table(self.schema.empty_table())
        self.file.close()


class RootOutput:
    """Writes the baskets of a TTree or the clusters of an RNTuple."""

    def __init__(
        self, path: Path, plan: Plan, tree: str, format: str, codec: tuple[str, int], origin: dict[str, Any]
    ) -> None:
        import uproot

        text = json.dumps(origin, ensure_ascii=False)
        method = None if codec[0] == "none" else getattr(uproot, codec[0].upper())(codec[1])
        # The file's identity is made from how it came about, not from the clock and the machine.
        identity = uuid.uuid5(uuid.NAMESPACE_URL, text)
        self.file = uproot.recreate(path, compression=method, uuid_function=lambda: identity)
        self.file["provenance"] = text
        if format == "ttree":
            kinds = {name: plain_kind(array) for name, array in plan.empty.items()}
            self.tree = self.file.mktree(tree, kinds, counter_name=lambda name: counter_name(name, plan.kept))
        else:
            nothing = {name: zero_length(plain_kind(array)) for name, array in plan.empty.items()}
            self.tree = self.file.mkrntuple(tree, nothing)

    def extend(self, arrays: dict[str, Any]) -> None:
        """Write baskets or a cluster."""
        import awkward as ak

        for name, array in arrays.items():
            if is_awkward(array) and "?" in str(array.type):
                if ak.any(ak.is_none(array, axis=0)) or ak.any(ak.is_none(array, axis=-1), axis=None):
                    raise WrongInput(
                        f"column {name!r} has missing values, which ROOT files cannot hold: do not keep it"
                    )
                arrays[name] = ak.drop_none(array, axis=-1) if array.ndim > 1 else ak.to_numpy(ak.drop_none(array))
        self.tree.extend(arrays)

    def close(self) -> None:
        """Finish the file."""
        self.file.close()


def counter_name(name: str, taken: Sequence[str]) -> str:
    """Return a name for the branch with the lengths of a column's lists that is no column's name."""
    counter = f"n{name}"
    while counter in taken:
        counter = f"n_{counter}"
    return counter


def writer_for(
    path: Path, plan: Plan, params: dict[str, Any], codec: tuple[str, int], origin: dict[str, Any]
) -> ParquetOutput | RootOutput:
    """Open the output of events."""
    if path.suffix == ".parquet":
        return ParquetOutput(path, plan, codec, origin)
    tree = params["output_tree"] or plan.files[0].tree or "events"
    return RootOutput(path, plan, str(tree), str(params["format"]), codec, origin)


def report(flow: CutFlow, paths: Sequence[str], params: dict[str, Any], origin: dict[str, Any], data: str) -> None:
    """Write the cut flow, and print it."""
    rows = flow.rows()
    last = rows[-1]
    table = markdown(rows)
    print(f"\n{table}")
    if not last["events"]:
        print(f"No event passes: {data} is valid, has all columns, and is empty.")
    for path in paths:
        if path.endswith(".json"):
            totals = {"n_events": last["events"], "yield": last["yield"], "yield_error": last["error"]}
            weight = str(params["weight"])
            write_json(path, {**totals, "weight": weight, "cutflow": rows, "provenance": origin})
        else:
            with replacing(path) as partial:
                partial.write_text(f"# Cut flow\n\n{table}", encoding="utf-8")


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the cut flow as a table for people."""
    weighted = any(row["yield"] != row["events"] for row in rows)
    lines = ["| cut | events | of the last | of all |", "|:--|--:|--:|--:|"]
    if weighted:
        lines = ["| cut | events | of the last | of all | yield | error |", "|:--|--:|--:|--:|--:|--:|"]
    before = rows[0]["events"]
    for row in rows:
        shares = [share(row["events"], before), share(row["events"], rows[0]["events"])]
        cells = [str(row["cut"]).replace("|", "\\|"), f"{row['events']:,}", *shares]
        lines.append("| " + " | ".join(cells + [f"{row['yield']:,.6g}", f"{row['error']:,.3g}"] * weighted) + " |")
        before = row["events"]
    return "\n".join(lines) + "\n"


def share(part: int, whole: int) -> str:
    """Return a percentage as text."""
    return f"{100 * part / whole:.2f} %" if whole else "–"


if "snakemake" in globals():
    main(snakemake)
