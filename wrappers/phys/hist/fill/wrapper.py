"""Fill weighted histograms, with a category for each process and each systematic variation, from tables of events."""

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

# --- common: tables (kept by wrappers/embed.py; edit wrappers/common/tables.py) ---
# Flat tables in Parquet, ROOT (TTree or RNTuple), npz or CSV files: their columns, and arrays of them in pieces.

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


ROWS_PER_PIECE = 500_000


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file (or a tree of one) with columns of equal length."""

    path: str
    tree: str | None
    columns: tuple[str, ...]
    entries: int
    held: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """What an error message calls this table."""
        return f"{self.path}: tree {self.tree}" if self.tree else self.path

    def check(self, wanted: Sequence[str]) -> None:
        """Raise `WrongInput` for the first wanted column that is not there."""
        for column in wanted:
            if column not in self.columns:
                raise WrongInput(f"{self.name}: no column {column!r}. {near(column, self.columns)}")

    def pieces(self, wanted: Sequence[str], *, rows: int = ROWS_PER_PIECE) -> Iterator[dict[str, np.ndarray]]:
        """Yield arrays of at most `rows` entries, shape (n,) each, in the order of the file.

        Raises:
            WrongInput: for a column that is missing or not one number (or bool) per row.
        """
        self.check(wanted)
        for piece in _reader(self.path)(self, list(wanted), rows):
            for column, array in piece.items():
                if array.ndim != 1 or array.dtype.kind not in "biuf":
                    raise WrongInput(f"{self.name}: column {column!r} is not one number per row ({array.dtype})")
            yield piece

    def read(self, wanted: Sequence[str]) -> dict[str, np.ndarray]:
        """Return whole columns, shape (entries,) each."""
        pieces = list(self.pieces(wanted))
        if not pieces:
            return {column: np.empty(0) for column in wanted}
        return {column: np.concatenate([piece[column] for piece in pieces]) for column in wanted}


def open_table(path: str, tree: str | None = None) -> Table:
    """Open a table without reading its columns.

    Args:
        path: a file ending in .parquet, .root, .npz or .csv.
        tree: name of the TTree or RNTuple; may be left out where the file has only one.

    Raises:
        WrongInput: if it cannot be read, the tree is missing or ambiguous, or columns differ in length.
    """
    opener = _OPENERS.get(Path(path).suffix)
    if opener is None:
        raise WrongInput(f"{path}: tables are read from {', '.join(_OPENERS)} files, not from {Path(path).suffix!r}")
    try:
        return opener(path, tree)
    except WrongInput:
        raise
    except Exception as error:
        raise WrongInput(f"{path}: cannot be read: {type(error).__name__}: {error}") from error


def _open_parquet(path: str, _: str | None) -> Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return Table(path=path, tree=None, columns=tuple(file.schema_arrow.names), entries=file.metadata.num_rows)


def _open_root(path: str, tree: str | None) -> Table:
    import uproot

    with uproot.open(path) as file:
        classes = file.classnames(cycle=False)
        trees = [name for name, kind in classes.items() if kind == "TTree" or "RNTuple" in kind]
        if tree is None and len(trees) != 1:
            raise WrongInput(f"{path}: which tree? params: tree=... There are: {', '.join(trees) or 'none'}")
        chosen = trees[0] if tree is None else tree
        if chosen not in trees:
            raise WrongInput(f"{path}: no tree {chosen!r}. {near(chosen, trees)}")
        return Table(path=path, tree=chosen, columns=tuple(file[chosen].keys()), entries=file[chosen].num_entries)


def _open_npz(path: str, _: str | None) -> Table:
    with np.load(path, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    return _held(path, held)


def _open_csv(path: str, _: str | None) -> Table:
    held = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8", deletechars="")
    return _held(path, {name: np.atleast_1d(held[name]) for name in held.dtype.names or ()})


def _held(path: str, held: dict[str, np.ndarray]) -> Table:
    lengths = {name: len(array) for name, array in held.items() if array.ndim}
    if len(set(lengths.values())) > 1:
        raise WrongInput(f"{path}: columns differ in length: {lengths}")
    return Table(path=path, tree=None, columns=tuple(held), entries=next(iter(lengths.values()), 0), held=held)


def _reader(path: str) -> Any:
    return {".parquet": _read_parquet, ".root": _read_root}.get(Path(path).suffix, _read_held)


def _read_parquet(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table.path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            yield {name: batch.column(name).to_numpy(zero_copy_only=False) for name in wanted}


def _read_root(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    import uproot

    with uproot.open(table.path) as file:
        for piece in file[table.tree].iterate(wanted, library="np", step_size=rows):
            yield {name: np.asarray(piece[name]) for name in wanted}


def _read_held(table: Table, wanted: list[str], rows: int) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, table.entries, rows):
        yield {name: table.held[name][start : start + rows] for name in wanted}


_OPENERS = {".parquet": _open_parquet, ".root": _open_root, ".npz": _open_npz, ".csv": _open_csv}


# --- end of common ---

# --- common: histograms (kept by wrappers/embed.py; edit wrappers/common/histograms.py) ---
# Histograms as UHI JSON or ROOT objects: reading, writing, and taking one spectrum out of their categories.

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


NOMINAL = "nominal"
"""The category of an axis `systematic` that is no variation; it stands first."""
CATEGORY_AXES = ("process", "systematic")


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """One binned observable of one process: sums of weights and of squared weights, without and with the flow bins.

    Attributes:
        observable: name of the axis.
        label: the axis label with its unit, for plots.
        unit: unit of the edges, may be empty.
        edges: shape (n + 1,), in `unit`.
        values: sums of weights, shape (n,).
        variances: sums of squared weights, shape (n,).
        underflow: sum of weights and of squared weights below the first edge.
        overflow: the same from the last edge on.
    """

    observable: str
    label: str
    unit: str
    edges: np.ndarray
    values: np.ndarray
    variances: np.ndarray
    underflow: tuple[float, float]
    overflow: tuple[float, float]


def read_histograms(path: str, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """Read `hist.Hist` objects by name from a UHI JSON or a ROOT file.

    A JSON file holds one UHI histogram, a mapping of names to them, or `{"histograms": {name: histogram}, ...}`. In a
    ROOT file every TH1, TH2 and TH3 is read; names hold the folder.

    Args:
        path: a file ending in .json or .root.
        wanted: names to read; without any, all.

    Raises:
        WrongInput: if the file cannot be read, holds no histograms, or lacks a wanted one.
    """
    readers = {".json": _json_histograms, ".root": _root_histograms}
    reader = readers.get(Path(path).suffix)
    if reader is None:
        raise WrongInput(
            f"{path}: histograms are read from .json (UHI) and .root files, not from {Path(path).suffix!r}"
        )
    try:
        found = reader(path)
        for name in wanted:
            if name not in found:
                raise WrongInput(f"{path}: no histogram {name!r}. {near(name, found)}")
        if not found:
            raise WrongInput(f"{path}: there is no histogram in it (UHI JSON or TH1, TH2)")
        return {name: found[name]() for name in wanted or found}
    except WrongInput:
        raise
    except Exception as error:
        raise WrongInput(f"{path}: no readable histograms: {type(error).__name__}: {error}") from error


def _json_histograms(path: str) -> dict[str, Any]:
    import hist

    document = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        return {}
    if "uhi_schema" in document:
        name = document.get("metadata", {}).get("name") or Path(path).stem
        return {name: lambda: hist.Hist(document)}
    held = document.get("histograms", document)
    known = {name: one for name, one in held.items() if isinstance(one, dict) and "uhi_schema" in one}
    return {name: lambda one=one: hist.Hist(one) for name, one in known.items()}


def _root_histograms(path: str) -> dict[str, Any]:
    import uproot

    with uproot.open(path) as file:
        names = [name for name, kind in file.classnames(cycle=False).items() if kind.startswith(("TH1", "TH2", "TH3"))]
        objects = {name: file[name] for name in names}
    return {name: one.to_hist for name, one in objects.items()}


def read_metadata(path: str) -> dict[str, Any]:
    """Return what stands beside the histograms in a file of `write_histograms` (provenance, yields); else nothing."""
    if Path(path).suffix != ".json":
        return {}
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    held = isinstance(document, dict) and "uhi_schema" not in document and isinstance(document.get("histograms"), dict)
    return {key: value for key, value in document.items() if key != "histograms"} if held else {}


def uhi(histogram: Any) -> dict[str, Any]:
    """Return a histogram as the object of UHI's JSON schema, of plain Python values."""
    from uhi.io.json import default

    value: dict[str, Any] = json.loads(json.dumps(histogram, default=default))
    return value


def write_histograms(path: Any, histograms: Mapping[str, Any], provenance: Mapping[str, Any], **more: Any) -> None:
    """Write `{"provenance": ..., more..., "histograms": {name: UHI}}`; a `.uhi.json` file holds the histograms alone.

    The second kind is what `uhi validate` and `uhi add` read; the provenance is text in each histogram's metadata.
    """
    objects = {name: uhi(histogram) for name, histogram in histograms.items()}
    if str(path).endswith(".uhi.json"):
        said = json.dumps(provenance, sort_keys=True)
        plain = {
            name: {**one, "metadata": {**one.get("metadata", {}), "provenance": said}} for name, one in objects.items()
        }
        write_rows(path, plain)
    else:
        write_rows(path, {"provenance": provenance, **more, "histograms": objects})


def write_rows(path: Any, value: Any) -> None:
    """Write JSON with each list of numbers or words on one line; whole or not at all; NaN is an error."""
    with replacing(path) as partial:
        partial.write_text(_rows(value, "") + "\n", encoding="utf-8")


def _rows(value: Any, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, Mapping) and value:
        lines = [f"{inner}{json.dumps(str(key))}: {_rows(one, inner)}" for key, one in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        return "[\n" + ",\n".join(inner + _rows(one, inner) for one in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def categories(histogram: Any, axis: str) -> list[str]:
    """Return the words on an axis such as `process` or `systematic`; none if there is no such axis."""
    return list(histogram.axes[axis]) if axis in histogram.axes.name else []


def variables(histogram: Any) -> list[Any]:
    """Return the axes that are observables, in their order."""
    return [axis for axis in histogram.axes if axis.name not in CATEGORY_AXES]


def spectrum(histogram: Any, *, process: str | None = None, systematic: str = NOMINAL) -> Spectrum:
    """Return one process (or the sum of all) at one variation of a histogram with one observable.

    A histogram without an axis `systematic` is its own nominal.

    Raises:
        WrongInput: if there is no such process or variation, or the histogram has more than one observable.
    """
    name = histogram.name or "the histogram"
    axes = variables(histogram)
    if len(axes) != 1:
        raise WrongInput(
            f"{name}: a histogram with one observable is needed; its axes are {', '.join(histogram.axes.name)}"
        )
    cells = _cells(histogram)
    for axis, chosen in (("process", process), ("systematic", systematic)):
        words = categories(histogram, axis)
        if chosen is not None and chosen not in words and (words or axis == "process" or chosen != NOMINAL):
            raise WrongInput(f"{name}: no {axis} {chosen!r}. {near(chosen, words)}")
    # from the last axis to the first, so that the places of the others stay
    for place in reversed(range(len(histogram.axes))):
        axis = histogram.axes[place].name
        if axis == "process" and process is None:
            cells = cells.sum(axis=place + 1)
        elif axis in CATEGORY_AXES:
            chosen = process if axis == "process" else systematic
            cells = cells.take(categories(histogram, axis).index(str(chosen)), axis=place + 1)
    traits = axes[0].traits
    under = cells[:, 0] if traits.underflow else np.zeros(2)
    over = cells[:, -1] if traits.overflow else np.zeros(2)
    inner = cells[:, int(traits.underflow) : cells.shape[1] - int(traits.overflow)]
    return Spectrum(
        observable=axes[0].name,
        label=axes[0].label,
        unit=axis_unit(axes[0]),
        edges=np.asarray(axes[0].edges, dtype=float),
        values=inner[0],
        variances=inner[1],
        underflow=(float(under[0]), float(under[1])),
        overflow=(float(over[0]), float(over[1])),
    )


def _cells(histogram: Any) -> np.ndarray:
    """Sums of weights and of squared weights with flow bins, shape (2, ...); a count is its own variance."""
    view = histogram.view(flow=True)
    pair = [view["value"], view["variance"]] if view.dtype.names else [view, view]
    return np.stack(pair).astype(float)


def axis_unit(axis: Any) -> str:
    """Return the unit of an axis: what `hist/fill` noted, else what stands in brackets at the end of the label."""
    known = getattr(axis, "unit", None)
    if known is not None:
        return str(known)
    label = str(axis.label).strip()
    return label[label.rindex("[") + 1 : -1] if label.endswith("]") and "[" in label else ""


def variation_pairs(systematics: Iterable[str]) -> dict[str, list[str]]:
    """Group variations by their name without `_up` and `_down`."""
    groups: dict[str, list[str]] = {}
    for name in sorted(systematics):
        groups.setdefault(re.sub(r"_?(up|down|dn)$", "", name, flags=re.IGNORECASE) or name, []).append(name)
    return groups


def garwood(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper errors of Poisson counts, shape (n,) each: the central 68.27 % interval.

    F. Garwood, Biometrika 28 (1936) 437; its ends are quantiles of the chi-square distribution.
    """
    from scipy.special import gammaincinv, ndtr

    tail = float(ndtr(-1.0))
    low = np.where(counts > 0, gammaincinv(np.maximum(counts, 1e-9), tail), 0.0)
    return counts - low, gammaincinv(counts + 1.0, 1 - tail) - counts


def count_errors(values: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper errors: Garwood's for counts, sqrt(sum w^2) on both sides for weighted entries."""
    if np.all(values >= 0) and np.allclose(values, variances, rtol=1e-9, atol=0):
        return garwood(values)
    error = np.sqrt(variances)
    return error, error


# --- end of common ---

import itertools
import re
from concurrent.futures import ThreadPoolExecutor

DEFAULTS = {"weight": 1, "cut": None, "process": None, "data": None, "systematics": {}, "tree": None}
AXIS_KEYS = ("variable", "bins", "edges", "unit", "label")
VARIATION_KEYS = ("weight", "columns", "processes")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A binned observable: an expression, and its bins as `(n, low, high)` or as edges."""

    name: str
    variable: Expression
    bins: tuple[int, float, float] | None
    edges: tuple[float, ...] | None
    unit: str
    label: str

    def build(self) -> Any:
        """Return the axis for `hist`, with underflow and overflow."""
        import hist

        label = f"{self.label} [{self.unit}]" if self.unit else self.label
        if self.bins:
            axis = hist.axis.Regular(*self.bins, name=self.name, label=label)
        else:
            axis = hist.axis.Variable(self.edges, name=self.name, label=label)
        axis.unit = self.unit
        return axis


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A histogram to fill: its axes, and a cut of its own."""

    name: str
    axes: tuple[Axis, ...]
    cut: Expression | None


@dataclass(frozen=True, kw_only=True)
class Variation:
    """One category of the axis `systematic`: its weight, and what stands in place of columns."""

    name: str
    weight: Expression
    columns: Mapping[str, Expression]
    processes: tuple[str, ...] | None

    def needs(self, expressions: Iterable[Expression]) -> list[str]:
        """Return the columns of the files that are read for this variation."""
        wanted = [name for one in (*expressions, self.weight) for name in one.names if name not in self.columns]
        return [*wanted, *(name for one in self.columns.values() for name in one.names)]


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that is to be done, checked."""

    plans: tuple[Plan, ...]
    cut: Expression | None
    variations: tuple[Variation, ...]
    data: tuple[str, ...]

    @property
    def expressions(self) -> list[Expression]:
        """The cuts and variables, which each variation computes."""
        cuts = [self.cut, *(plan.cut for plan in self.plans)]
        return [one for one in cuts if one] + [axis.variable for plan in self.plans for axis in plan.axes]

    def of(self, process: str) -> list[Variation]:
        """Return the variations that act on a process, nominal first; data have weight 1 and none but nominal."""
        nominal = self.variations[0]
        if process in self.data:
            return [Variation(name=NOMINAL, weight=compile_expression(1), columns={}, processes=None)]
        return [nominal, *(one for one in self.variations[1:] if one.processes is None or process in one.processes)]


class Filled:
    """What a file of one process gave: contents by histogram and variation, and counts."""

    def __init__(self, task: Task, process: str) -> None:
        import hist

        self.process = process
        self.contents = {
            (plan.name, one.name): hist.Hist(*(axis.build() for axis in plan.axes), storage=hist.storage.Weight())
            for plan in task.plans
            for one in task.of(process)
        }
        self.read = 0
        self.events = 0
        self.sums = np.zeros(2)
        self.nan = {plan.name: 0 for plan in task.plans}


class Values:
    """Expressions over one piece of a table, each computed once."""

    def __init__(self, arrays: Mapping[str, Any], entries: int) -> None:
        self.arrays, self.entries = arrays, entries
        self.known: dict[str, np.ndarray] = {}

    def number(self, expression: Expression) -> np.ndarray:
        """Return an expression's value per event as float64, shape (entries,)."""
        if expression.text not in self.known:
            self.known[expression.text] = expression.per_event(self.arrays, self.entries).astype(float)
        return self.known[expression.text]

    def passes(self, cut: Expression | None) -> np.ndarray:
        """Return which events pass, shape (entries,), bool."""
        return np.ones(self.entries, dtype=bool) if cut is None else cut.mask(self.arrays, self.entries)

    def varied(self, columns: Mapping[str, Expression]) -> "Values":
        """Return the same piece with other values for some columns; itself if there are none."""
        if not columns:
            return self
        return Values({**self.arrays, **{name: self.number(one) for name, one in columns.items()}}, self.entries)


def main(snakemake: Any) -> None:
    """Fill the histograms of a rule."""
    with logged(snakemake):
        given = parameters(snakemake, DEFAULTS, required=["histograms"])
        outputs = check_outputs(snakemake)
        files = inputs_by_process(snakemake, given["process"])
        processes = list(dict.fromkeys(process for process, _ in files))
        task = read_task(given, processes)
        tables = [(process, open_table(path, given["tree"])) for process, path in files]
        for process, table in tables:
            check_columns(task, process, table)
        progress = Progress("fill", sum(table.entries for _, table in tables))
        with ThreadPoolExecutor(max_workers=max(1, snakemake.threads)) as pool:
            filled = list(pool.map(lambda one: fill(task, *one, progress), tables))
        histograms = {plan.name: combined(task, plan, processes, filled) for plan in task.plans}
        yields = summary(processes, filled)
        nan = {plan.name: dict.fromkeys(processes, 0) for plan in task.plans}
        for one, name in itertools.product(filled, nan):
            nan[name][one.process] += one.nan[name]
        tell(yields, nan)
        about = provenance(snakemake, "phys/hist/fill", ["boost-histogram", "hist", "numpy", "uhi"])
        for path, kind in outputs:
            WRITERS[kind](path, task, histograms, about, {"yields": yields, "not_a_number": nan})


def check_outputs(snakemake: Any) -> list[tuple[str, str]]:
    """Return each output with its kind.

    Raises:
        WrongInput: for one that is neither named `hs3` or `yields` nor ends in .json or .root.
    """
    if not len(snakemake.output):
        raise WrongInput("output: name a .json or .root file")
    names = {str(path): name for name, path in snakemake.output.items()}
    kinds = []
    for path in map(str, snakemake.output):
        name, suffix = names.get(path), Path(path).suffix
        if name in ("hs3", "yields") and suffix == ".json":
            kinds.append((path, str(name)))
        elif suffix in (".json", ".root") and name not in ("hs3", "yields"):
            kinds.append((path, suffix[1:]))
        else:
            raise WrongInput(
                f"output: {path}: histograms are written to .json (UHI) and .root; hs3 and yields to .json"
            )
    return kinds


def inputs_by_process(snakemake: Any, process: Any) -> list[tuple[str, str]]:
    """Return (process, file) of all inputs: a named input is a process of its name, others follow `process`."""
    if not len(snakemake.input):
        raise WrongInput("input: there are no files")
    existing(snakemake.input)
    named = {name: [value] if isinstance(value, str) else list(value) for name, value in snakemake.input.items()}
    pairs = [(name, str(path)) for name, paths in named.items() for path in paths]
    rest = [str(path) for path in snakemake.input][: len(snakemake.input) - len(pairs)]
    if isinstance(process, list | tuple):
        if len(process) != len(rest):
            raise WrongInput(f"params: process names {len(process)} processes for {len(rest)} unnamed input files")
        return [*zip(map(str, process), rest, strict=True), *pairs]
    if process is not None and not rest:
        raise WrongInput("params: process is for unnamed inputs; here each input's own name is its process")
    return [*((str(process or "events"), path) for path in rest), *pairs]


def read_task(given: Mapping[str, Any], processes: Sequence[str]) -> Task:
    """Check the params `histograms`, `weight`, `cut`, `data` and `systematics`."""
    if not isinstance(given["histograms"], Mapping) or not given["histograms"]:
        raise WrongInput('params: histograms={"m_yy": {"variable": "m_yy", "bins": [55, 105, 160], "unit": "GeV"}}')
    if not isinstance(given["systematics"], Mapping):
        raise WrongInput('params: systematics={"pileup_up": "weight * sf_up / sf"}, a weight for each name')
    data = given["data"]
    if data is None:
        data = [one for one in processes if one == "data"]
    data = [data] if isinstance(data, str) else list(data)
    for one in data:
        if one not in processes:
            raise WrongInput(f"params: data: there is no process {one!r}. {near(one, processes)}")
    weight = compile_expression(given["weight"], where="params: weight")
    nominal = Variation(name=NOMINAL, weight=weight, columns={}, processes=None)
    return Task(
        plans=tuple(read_plan(name, one) for name, one in given["histograms"].items()),
        cut=None if given["cut"] is None else compile_expression(given["cut"], where="params: cut"),
        variations=(
            nominal,
            *(read_variation(name, one, weight, processes) for name, one in given["systematics"].items()),
        ),
        data=tuple(data),
    )


def known_keys(where: str, given: Any, known: Sequence[str]) -> dict[str, Any]:
    """Return a mapping of a param after a look at its keys."""
    if not isinstance(given, Mapping):
        raise WrongInput(f"params: {where}: a mapping is needed (keys {', '.join(known)}), not {given!r}")
    for key in given:
        if key not in known:
            raise WrongInput(f"params: {where}: there is no {key!r}. {near(key, known)}")
    return dict(given)


def read_plan(name: str, given: Any) -> Plan:
    """Check one entry of the param `histograms`."""
    where = f"histograms: {name}"
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise WrongInput(f"params: {where}: a name has letters, digits, '_', '-' and '.' only")
    two = isinstance(given, Mapping) and "axes" in given
    fields = known_keys(where, given, ("axes", "cut") if two else (*AXIS_KEYS, "cut"))
    cut = fields.pop("cut", None)
    axes = fields["axes"] if two else [fields]
    if not isinstance(axes, list | tuple) or not 1 <= len(axes) <= 2:
        raise WrongInput(f"params: {where}: axes is a list of one or two axes")
    built = [read_axis(where, name, one) for one in axes]
    if len({axis.name for axis in built}) < len(built):
        raise WrongInput(f"params: {where}: both axes have the variable {built[0].name!r}")
    return Plan(
        name=name,
        axes=tuple(built),
        cut=None if cut is None else compile_expression(cut, where=f"params: {where}: cut"),
    )


def read_axis(where: str, name: str, given: Any) -> Axis:
    """Check variable, bins or edges, unit and label of an axis; without a variable, it is the histogram's name."""
    fields = known_keys(where, given, AXIS_KEYS)
    variable = compile_expression(fields.get("variable", name), where=f"params: {where}: variable")
    if not variable.names:
        raise WrongInput(f"params: {where}: the variable {variable.text!r} has no column in it")
    bins, edges = fields.get("bins"), fields.get("edges")
    if (bins is None) == (edges is None):
        raise WrongInput(f"params: {where}: give bins=[number, low, high] or edges=[...], one of them")
    if edges is not None and not (len(edges) > 1 and all(map(np.isfinite, edges)) and all(np.diff(edges) > 0)):
        raise WrongInput(f"params: {where}: edges must be finite and rise (beyond them are underflow and overflow)")
    if bins is not None:
        good = isinstance(bins, list | tuple) and len(bins) == 3 and isinstance(bins[0], int) and bins[0] > 0
        if not (good and np.isfinite(bins[1]) and np.isfinite(bins[2]) and bins[1] < bins[2]):
            raise WrongInput(f"params: {where}: bins=[number, low, high], such as [55, 105, 160], not {bins!r}")
    axis = re.sub(r"\W+", "_", variable.text).strip("_")
    if axis in CATEGORY_AXES:
        raise WrongInput(f"params: {where}: {axis!r} is the name of a category axis; write the variable otherwise")
    return Axis(
        name=axis,
        variable=variable,
        bins=None if bins is None else (bins[0], float(bins[1]), float(bins[2])),
        edges=None if edges is None else tuple(map(float, edges)),
        unit=str(fields.get("unit", "")),
        label=str(fields.get("label", variable.text)),
    )


def read_variation(name: str, given: Any, weight: Expression, processes: Sequence[str]) -> Variation:
    """Check one entry of the param `systematics`: a weight, or a mapping of weight, columns and processes."""
    where = f"systematics: {name}"
    if name == NOMINAL or not re.fullmatch(r"\w[\w.-]*", name):
        raise WrongInput(f"params: {where}: a name has letters, digits, '_', '-' and '.' only, and is not {NOMINAL!r}")
    fields = known_keys(where, given if isinstance(given, Mapping) else {"weight": given}, VARIATION_KEYS)
    columns = known_keys(f"{where}: columns", fields.get("columns", {}), tuple(fields.get("columns", {})))
    acts = fields.get("processes")
    acts = [acts] if isinstance(acts, str) else acts
    for one in acts or []:
        if one not in processes:
            raise WrongInput(f"params: {where}: there is no process {one!r}. {near(one, processes)}")
    if not columns and "weight" not in fields:
        raise WrongInput(f"params: {where}: name a weight or columns that it varies")
    return Variation(
        name=name,
        weight=compile_expression(fields["weight"], where=f"params: {where}") if "weight" in fields else weight,
        columns={
            column: compile_expression(text, where=f"params: {where}: {column}") for column, text in columns.items()
        },
        processes=None if acts is None else tuple(acts),
    )


def check_columns(task: Task, process: str, table: Table) -> None:
    """Raise `WrongInput` for a column that a file of this process lacks, telling which param needs it."""
    try:
        for one in task.expressions:
            one.check(table.columns, of=table.name)
        for variation in task.of(process):
            for expression in (variation.weight, *variation.columns.values()):
                expression.check(table.columns, of=table.name)
            for column in variation.columns:
                if column not in table.columns:
                    where = f"params: systematics: {variation.name}"
                    raise WrongInput(f"{where}: {table.name}: no column {column!r}. {near(column, table.columns)}")
    except WrongInput as error:
        acting = "systematics:" in str(error)
        hint = "\n    If it does not act on this process, name those it acts on: processes=[...]" if acting else ""
        raise WrongInput(f"{error}{hint}") from None


def fill(task: Task, process: str, table: Table, progress: Progress) -> Filled:
    """Fill one file, piece by piece."""
    filled = Filled(task, process)
    variations = task.of(process)
    wanted = dict.fromkeys(name for one in variations for name in one.needs(task.expressions))
    for arrays in table.pieces(list(wanted)):
        entries = len(next(iter(arrays.values())))
        nominal = Values(arrays, entries)
        filled.read += entries
        for variation in variations:
            fill_piece(task, filled, variation, nominal.varied(variation.columns), table.name)
        progress.add(entries)
    return filled


def fill_piece(task: Task, filled: Filled, variation: Variation, values: Values, name: str) -> None:
    """Fill one piece of a file into the histograms of one variation.

    Events whose variable is NaN are in no bin (boost-histogram would count them as overflow); they are counted apart.
    """
    passed = values.passes(task.cut)
    weights = values.number(variation.weight)
    wrong = int(np.count_nonzero(~np.isfinite(weights[passed])))
    if wrong:
        said = f"the weight {variation.weight.text!r} is NaN or infinite for {wrong:,} events that pass the cut"
        raise WrongInput(f"{name}: {said} (systematic {variation.name}). Mend the weight, or cut those events away.")
    if variation.name == NOMINAL:
        filled.events += int(passed.sum())
        filled.sums += weights[passed].sum(), np.square(weights[passed]).sum()
    for plan in task.plans:
        chosen = passed if plan.cut is None else passed & values.passes(plan.cut)
        numbers = [values.number(axis.variable) for axis in plan.axes]
        known = chosen & ~np.any(np.isnan(numbers), axis=0)
        if variation.name == NOMINAL:
            filled.nan[plan.name] += int(chosen.sum() - known.sum())
        filled.contents[plan.name, variation.name].fill(*(one[known] for one in numbers), weight=weights[known])


def combined(task: Task, plan: Plan, processes: Sequence[str], filled: Sequence[Filled]) -> Any:
    """Add up the files of each process; where a variation does not act on a process, its nominal content stands."""
    import hist

    systematics = [one.name for one in task.variations]
    total = hist.Hist(
        *(axis.build() for axis in plan.axes),
        hist.axis.StrCategory(processes, name="process", label="Process", overflow=False),
        hist.axis.StrCategory(systematics, name="systematic", label="Systematic variation", overflow=False),
        storage=hist.storage.Weight(),
        name=plan.name,
        label="Events",
    )
    view = total.view(flow=True)
    for one in filled:
        for place, systematic in enumerate(systematics):
            acts = (plan.name, systematic) in one.contents
            cells = one.contents[plan.name, systematic if acts else NOMINAL].view(flow=True)
            target = view[..., processes.index(one.process), place]
            target["value"] += cells["value"]
            target["variance"] += cells["variance"]
    return total


def summary(processes: Sequence[str], filled: Sequence[Filled]) -> dict[str, dict[str, Any]]:
    """Return events read, and events and weighted yield after the cut, for each process."""
    yields = {}
    for process in processes:
        mine = [one for one in filled if one.process == process]
        total, squared = np.sum([one.sums for one in mine], axis=0)
        yields[process] = {
            "n_read": sum(one.read for one in mine),
            "n_events": sum(one.events for one in mine),
            "yield": float(total),
            "yield_error": float(np.sqrt(squared)),
        }
    return yields


def tell(yields: Mapping[str, Mapping[str, Any]], nan: Mapping[str, Mapping[str, int]]) -> None:
    """Print a table of yields, and what was left out."""
    width = max(map(len, yields))
    print(f"{'process':{max(width, 7)}}  {'read':>14}  {'pass':>14}  {'yield':>16}  {'error':>12}")
    for process, one in yields.items():
        numbers = f"{one['n_read']:14,}  {one['n_events']:14,}  {one['yield']:16,.4f}  {one['yield_error']:12,.4f}"
        print(f"{process:{max(width, 7)}}  {numbers}")
        if not one["n_events"]:
            print(f"Warning: no event of {process} passes")
    for name, counts in nan.items():
        for process, count in counts.items():
            if count:
                print(f"Warning: {name}: {count:,} events of {process} have NaN as variable; they are in no bin")


def each_spectrum(task: Task, histograms: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield `<histogram>_<process>_<systematic>` and the histogram, for each variation that acts on a process."""
    for name, histogram in histograms.items():
        for process in categories(histogram, "process"):
            for variation in task.of(process):
                one = histogram[{"process": process, "systematic": variation.name}]
                one.name = f"{name}_{process}_{variation.name}"
                yield one.name, one


def write_json_file(path: str, _: Task, histograms: Mapping[str, Any], about: Any, more: Mapping[str, Any]) -> None:
    """Write UHI JSON, with the yields beside the histograms."""
    write_histograms(path, histograms, about, **more)


def write_yields(path: str, _: Task, __: Any, about: Any, more: Mapping[str, Any]) -> None:
    """Write the yields alone."""
    write_rows(path, {"provenance": about, **more})


def write_root(path: str, task: Task, histograms: Mapping[str, Any], about: Any, _: Any) -> None:
    """Write TH1D and TH2D."""
    import uproot

    with replacing(path) as partial, uproot.recreate(partial) as file:
        for name, histogram in each_spectrum(task, histograms):
            file[name] = histogram
        file["provenance"] = json.dumps(about, sort_keys=True)


def write_hs3(path: str, task: Task, histograms: Mapping[str, Any], about: Any, _: Any) -> None:
    """Write the `data` block of HS3 0.2: entries of type `binned`, the last axis running fastest, without flow bins.

    Contents of data processes are counts and have no `uncertainty` (Poisson); others have sqrt(sum w^2).
    """
    entries = []
    for name, histogram in each_spectrum(task, histograms):
        entry: dict[str, Any] = {"name": name, "type": "binned", "axes": [hs3_axis(axis) for axis in histogram.axes]}
        entry["contents"] = histogram.values().ravel().tolist()
        if not any(name.endswith(f"_{process}_{NOMINAL}") for process in task.data):
            sigma = np.sqrt(histogram.variances()).ravel().tolist()
            entry["uncertainty"] = {"type": "gaussian_uncertainty", "correlation": 0, "sigma": sigma}
        entries.append(entry)
    document = {"metadata": {"hs3_version": "0.2"}, "data": entries, "misc": {"provenance": about}}
    write_rows(path, document)


def hs3_axis(axis: Any) -> dict[str, Any]:
    """Return an axis in HS3's words."""
    edges = np.asarray(axis.edges, dtype=float).tolist()
    if type(axis).__name__ == "Regular":
        return {"name": axis.name, "min": edges[0], "max": edges[-1], "nbins": len(axis)}
    return {"name": axis.name, "edges": edges}


WRITERS = {"json": write_json_file, "root": write_root, "hs3": write_hs3, "yields": write_yields}

if "snakemake" in globals():
    main(snakemake)
