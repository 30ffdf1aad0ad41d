"""One pair of objects per event, leading or best in mass: its mass, pT and angles as flat columns."""

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

# --- common: lists (kept by wrappers/embed.py; edit wrappers/common/lists.py) ---
# Lists per event as flat NumPy arrays with the length of each list, and the order of their entries.

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def unpacked(arrays: Mapping[str, Any], names: Iterable[str], *, of: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the lengths of lists, shape (events,), and their entries one after another, shape (all entries,).

    Args:
        arrays: columns by name.
        names: columns that have one list per event, all of the same length in an event.
        of: the input, for error messages.

    Raises:
        WrongInput: if a column is no list of numbers, has missing values, or if lengths differ.
    """
    import awkward as ak

    lengths: np.ndarray | None = None
    flat: dict[str, np.ndarray] = {}
    of_first = ""
    for name in names:
        column = as_lists(arrays[name])
        if depth(column) != 2:
            what = "one value per event" if depth(column) < 2 else "a list of lists per event"
            raise WrongInput(f"{of}: {name!r} is {what}, where one list of numbers per event is needed")
        own = np.asarray(ak.num(column))
        if lengths is None:
            lengths, of_first = own, name
        elif not np.array_equal(own, lengths):
            event = int(np.flatnonzero(own != lengths)[0])
            raise WrongInput(
                f"{of}: {name!r} has {own[event]} entries where {of_first!r} has {lengths[event]}: "
                "they are not of the same objects"
            )
        flat[name] = _numbers(ak.flatten(column), name, of)
    return (np.empty(0, dtype=np.int64) if lengths is None else lengths), flat


def _numbers(values: Any, name: str, of: str) -> np.ndarray:
    import awkward as ak

    try:
        array = np.asarray(ak.to_numpy(values, allow_missing=False))
    except ValueError:
        raise WrongInput(f"{of}: {name!r} has missing values inside its lists") from None
    if array.dtype.kind not in "biuf":
        raise WrongInput(f"{of}: {name!r} is not a list of numbers ({array.dtype})")
    return array


def starts(lengths: np.ndarray) -> np.ndarray:
    """Return where the list of each event begins among all entries, and last where all end: shape (events + 1,)."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def descending(values: np.ndarray, lengths: np.ndarray) -> np.ndarray | None:
    """Return the places of all entries such that in each event they fall; equal ones keep their order, NaN come last.

    Args:
        values: entries one after another, shape (all entries,).
        lengths: of the lists, shape (events,).

    Returns:
        Indices into `values`, event by event, or None if they lie in this order already.
    """
    if len(values) < 2:
        return None
    offsets = starts(lengths)
    falls = values[1:] <= values[:-1]
    borders = offsets[1:-1]
    falls[borders[(borders > 0) & (borders < len(values))] - 1] = True
    if falls.all():
        return None
    event = np.repeat(np.arange(len(lengths)), lengths)
    order: np.ndarray = np.lexsort((-values.astype(np.float64), event))
    return order


# --- end of common ---

# --- common: flat (kept by wrappers/embed.py; edit wrappers/common/flat.py) ---
# Flat columns written piece by piece to Parquet, ROOT, npz or npy files, whole or not at all.

import contextlib
import json
import shutil
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np


ROWS_PER_GROUP = 250_000
"""Pieces are gathered until they have so many rows: few, large row groups or baskets, at a constant memory."""
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
Columns = Mapping[str, np.ndarray]
Write = Callable[[Columns], None]


@contextlib.contextmanager
def flat_writer(path: Any, provenance: Mapping[str, Any], *, tree: str = "events") -> Iterator[Write]:
    """Yield a function that adds rows to a new file; the file appears when the block ends without an error.

    The function takes columns by name, shape (n,) each, of the same names and types every time. It must be called at
    least once; n may be 0. In memory there are at most about `ROWS_PER_GROUP` rows more than one piece has.

    Args:
        path: ends in .parquet, .root (a TTree), .npz (an array per column) or .npy (one array, a column per column).
        provenance: is stored in the file (not in .npy, which has no place for it).
        tree: name of the TTree.

    Raises:
        WrongInput: for another suffix.
    """
    writer = flat_format(path)
    with replacing(path) as partial, contextlib.ExitStack() as stack:
        text = json.dumps(provenance, ensure_ascii=False)
        write = stack.enter_context(writer(partial, text, tree))
        waiting: list[Columns] = []

        def flush() -> None:
            write({name: np.concatenate([piece[name] for piece in waiting]) for name in waiting[0]})
            waiting.clear()

        def add(piece: Columns) -> None:
            waiting.append(piece)
            if sum(len(next(iter(one.values()))) for one in waiting) >= ROWS_PER_GROUP:
                flush()

        yield add
        if waiting:
            flush()


def flat_format(path: Any) -> Any:
    """Return what writes a file of this suffix.

    Raises:
        WrongInput: if nothing does.
    """
    suffix = Path(str(path)).suffix
    if suffix not in _WRITERS:
        raise WrongInput(f"{path}: flat columns are written to {', '.join(_WRITERS)} files, not to {suffix!r}")
    return _WRITERS[suffix]


@contextlib.contextmanager
def _to_parquet(path: Path, provenance: str, _: str) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []

        def write(piece: Columns) -> None:
            table = pa.Table.from_arrays([_arrow(array) for array in piece.values()], names=list(piece))
            table = table.replace_schema_metadata({"provenance": provenance})
            if not writers:
                writers.append(stack.enter_context(pq.ParquetWriter(path, table.schema, compression="zstd")))
            writers[0].write_table(table)

        yield write


def _arrow(array: np.ndarray) -> Any:
    """Return an array for Arrow without a copy; Arrow's own way would import pandas first."""
    import pyarrow as pa

    if array.dtype == bool:
        bits = np.packbits(array, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(array), [None, pa.py_buffer(bits)])
    kind = pa.from_numpy_dtype(array.dtype)
    return pa.Array.from_buffers(kind, len(array), [None, pa.py_buffer(np.ascontiguousarray(array))])


@contextlib.contextmanager
def _to_root(path: Path, provenance: str, tree: str) -> Iterator[Write]:
    import uproot

    # The contents do not differ from run to run; the dates inside a ROOT file still do.
    with uproot.recreate(path, uuid_function=lambda: uuid.UUID(int=0)) as file:
        file["provenance"] = provenance
        trees: list[Any] = []

        def write(piece: Columns) -> None:
            if not trees:
                # An assignment would write an RNTuple, which older programs cannot read.
                trees.append(file.mktree(tree, {name: array.dtype for name, array in piece.items()}))
            if len(next(iter(piece.values()))):
                trees[0].extend(dict(piece))

        yield write


@contextlib.contextmanager
def _to_npz(path: Path, provenance: str, _: str) -> Iterator[Write]:
    types: dict[str, np.dtype[Any]] = {}
    rows = [0]
    with tempfile.TemporaryDirectory(prefix=".columns-", dir=path.parent) as folder:

        def write(piece: Columns) -> None:
            for number, (name, array) in enumerate(piece.items()):
                types[name] = array.dtype
                with Path(folder, str(number)).open("ab") as column:
                    np.ascontiguousarray(array).tofile(column)
            rows[0] += len(next(iter(piece.values())))

        yield write
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for number, (name, dtype) in enumerate(types.items()):
                member = zipfile.ZipInfo(f"{name}.npy", date_time=ZIP_DATE)
                with archive.open(member, "w", force_zip64=True) as to:
                    _copy(Path(folder, str(number)), to, dtype, (rows[0],))
            with archive.open(zipfile.ZipInfo("provenance.npy", date_time=ZIP_DATE), "w") as to:
                np.lib.format.write_array(to, np.array(provenance), allow_pickle=False)


@contextlib.contextmanager
def _to_npy(path: Path, _: str, __: str) -> Iterator[Write]:
    shape, types = [0, 0], [np.dtype(np.float64)]
    with tempfile.TemporaryDirectory(prefix=".rows-", dir=path.parent) as folder:
        name = Path(folder, "rows")

        def write(piece: Columns) -> None:
            matrix = np.stack(list(piece.values()), axis=1)
            types[0], shape[1] = matrix.dtype, matrix.shape[1]
            shape[0] += matrix.shape[0]
            with name.open("ab") as rows:
                matrix.tofile(rows)

        yield write
        with path.open("wb") as to:
            _copy(name, to, types[0], tuple(shape))


def _copy(name: Path, to: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Write a .npy file whose numbers lie in the file `name`."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(to, header)
    with name.open("rb") as numbers:
        shutil.copyfileobj(numbers, to, 1 << 20)


_WRITERS: dict[str, Any] = {".parquet": _to_parquet, ".root": _to_root, ".npz": _to_npz, ".npy": _to_npy}


# --- end of common ---

DEFAULTS: dict[str, Any] = {
    "tree": None,
    "mass": None,
    "energy": None,
    "cut": None,
    "select": None,
    "require": None,
    "pair": "leading",
    "target": None,
    "charge": None,
    "accept": None,
    "keep": [],
    "keep_objects": [],
    "columns": None,
    "prefix": "",
    "rename": {},
    "weight": None,
    "step_size": CHUNK_SIZE,
    "output_tree": "events",
}
GEV = {"GeV": 1.0, "MeV": 0.001}
COLUMNS = (
    "mass",
    "pt",
    "delta_eta",
    "delta_phi",
    "cos_theta_star",
    "pt_t",
    "pt1",
    "pt2",
    "eta1",
    "eta2",
    "phi1",
    "phi2",
)
MORE_COLUMNS = ("rapidity", "delta_r", "mass1", "mass2", "pt1_over_mass", "pt2_over_mass", "number", "index1", "index2")
MASSLESS = ("photon", "photons", "gamma", "gammas", "ph")
"""Collections that are massless unless the rule says otherwise: what is called a photon is one."""
MASS_SUFFIXES, ENERGY_SUFFIXES = ("_mass", "_m"), ("_e", "_E", "_energy")
PAIRS_AT_ONCE = 2_000_000
"""Of all pairs of objects, so many are held in memory together."""
ROLES = ("pt", "eta", "phi", "mass", "energy", "charge")
REQUIREMENTS: dict[str, Any] = {">=": np.greater_equal, "==": np.equal}


@dataclass(frozen=True, kw_only=True)
class Collection:
    """The columns of one kind of object.

    Attributes:
        name: what log and cut flow call it.
        pt: column, as are `eta` and `phi`.
        mass: a column, or a number in GeV for all of them; None if `energy` is a column.
        energy: a column or None.
        charge: a column or None.
        keep: columns of which the values of the chosen objects are written, by their name in the output.
        select: which objects are good; None for all.
        operator: `>=` or `==`, of the number of good objects and `number`.
        number: of good objects that an event must have.
    """

    name: str
    pt: str
    eta: str
    phi: str
    mass: str | float | None
    energy: str | None
    charge: str | None
    keep: Mapping[str, str]
    select: Expression | None
    operator: str
    number: int

    @property
    def columns(self) -> list[str]:
        """All columns with one value per object, except those that only `select` needs."""
        named = [self.pt, self.eta, self.phi, self.mass, self.energy, self.charge, *self.keep.values()]
        return [name for name in dict.fromkeys(named) if isinstance(name, str)]

    @property
    def step(self) -> str:
        """What the cut flow calls the requirement on the number of objects."""
        return f"num({self.name}) {self.operator} {self.number}" + (f": {self.select.text}" if self.select else "")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the rule asks for, checked against the input."""

    collections: tuple[Collection, ...]
    gev: float
    cuts: tuple[Expression, ...]
    target: float | None
    charge: str | None
    accepts: tuple[Expression, ...]
    keep: tuple[str, ...]
    weight: Expression | None
    names: Mapping[str, str]

    @property
    def reads(self) -> list[str]:
        """All columns of the input that are needed."""
        expressions = [*self.cuts, *(one.select for one in self.collections if one.select)]
        expressions += [self.weight] if self.weight else []
        named = [name for one in expressions for name in one.names]
        return list(dict.fromkeys([*(name for one in self.collections for name in one.columns), *named, *self.keep]))

    @property
    def steps(self) -> list[str]:
        """Names of the steps of the cut flow."""
        pair = "a pair" + (f" of {self.charge} charge" if self.charge else "")
        steps = ["all", *(one.text for one in self.cuts), *(one.step for one in self.collections)]
        return [*steps, *([pair] if self.charge else []), *(one.text for one in self.accepts)]


@dataclass
class Objects:
    """The objects of one collection in a chunk, one after another.

    Attributes:
        lengths: number of objects in each event, shape (events,).
        flat: their columns, shape (all objects,) each.
        good: which pass the selection, shape (all objects,).
    """

    lengths: np.ndarray
    flat: dict[str, np.ndarray]
    good: np.ndarray


class CutFlow:
    """Events and sums of weights that are left after each step."""

    def __init__(self, steps: Sequence[str]) -> None:
        self.steps = list(steps)
        self.sums = np.zeros((len(steps), 3))

    def add(self, step: int, weights: np.ndarray) -> None:
        """Count events with these weights, shape (n,)."""
        self.sums[step] += len(weights), weights.sum(), np.square(weights).sum()

    def rows(self) -> list[dict[str, Any]]:
        """Return the table: events, and the yield with its error, the root of the sum of squared weights."""
        return [
            {"cut": cut, "events": int(events), "yield": float(total), "error": float(np.sqrt(squares))}
            for cut, (events, total, squares) in zip(self.steps, self.sums, strict=True)
        ]


def collections_of(given: Mapping[str, Any], file: Events) -> tuple[Collection, ...]:
    """Return the one or two collections that the params name, with the columns that they stand for."""
    named = given["objects"] if isinstance(given["objects"], list | tuple) else [given["objects"]]
    if not 1 <= len(named) <= 2:
        raise WrongInput("params: objects is one collection, or a list of two whose pairs are mixed")
    found = []
    for number, one in enumerate(named):
        options = {
            key: _of_collection(given, key, number, len(named)) for key in ("mass", "energy", "select", "require")
        }
        found.append(_collection(one, options, given, file, len(named)))
    for column in given["keep_objects"]:
        if not any(column in one.keep.values() for one in found):
            raise WrongInput(f"params: keep_objects: {column!r} belongs to none of {', '.join(c.name for c in found)}")
    return tuple(found)


def _of_collection(given: Mapping[str, Any], key: str, number: int, total: int) -> Any:
    value = given[key]
    if not isinstance(value, list | tuple):
        if value is not None and total == 2:
            raise WrongInput(f"params: {key} must be a list of two, one for each collection (None for neither)")
        return value
    if len(value) != total:
        raise WrongInput(f"params: {key} has {len(value)} entries for {total} collections")
    return value[number]


def _collection(
    named: Any, options: Mapping[str, Any], given: Mapping[str, Any], file: Events, total: int
) -> Collection:
    roles = _roles(named, options, given["charge"] is not None, file)
    name = roles.pop("name")
    if roles["charge"] is None and given["charge"] is not None:
        raise WrongInput(
            f"{file.name}: no column with the charge of {name}: name it in params: objects, {{charge: ...}}"
        )
    file.check(value for value in roles.values() if isinstance(value, str))
    select = None if options["select"] is None else compile_expression(options["select"], where="params: select")
    if select is not None:
        select.check(file.columns, of=file.name)
    operator, least = _requirement(options["require"], 2 if total == 1 else 1)
    keep = {}
    for column in given["keep_objects"]:
        file.check([column])
        stem = column.removeprefix(f"{name}_")
        if stem != column or (total == 1 and not isinstance(named, str)):
            keep[stem] = column
    return Collection(name=name, keep=keep, select=select, operator=operator, number=least, **roles)


def _roles(named: Any, options: Mapping[str, Any], charged: bool, file: Events) -> dict[str, Any]:
    """Return the columns of a collection by what they are, from its name or from a mapping."""
    if isinstance(named, Mapping):
        for key in named:
            if key not in (*ROLES, "name"):
                raise WrongInput(f"params: objects has no {key!r}. {near(str(key), ROLES)}")
        missing = [key for key in ("pt", "eta", "phi") if key not in named]
        if missing:
            raise WrongInput(f"params: objects names no column for {', '.join(missing)}")
        roles: dict[str, Any] = {"name": "objects", **dict.fromkeys(ROLES), **named}
    elif isinstance(named, str):
        roles = {"name": named, **dict.fromkeys(ROLES), **{key: f"{named}_{key}" for key in ("pt", "eta", "phi")}}
        if roles["pt"] not in file.columns:
            known = [column[:-3] for column in file.columns if column.endswith("_pt")]
            raise WrongInput(f"{file.name}: no column {roles['pt']!r} for objects={named!r}. {near(named, known)}")
        if charged:
            roles["charge"] = _first_of(file, named, ("_charge", "_q"))
    else:
        raise WrongInput(f"params: objects is a name such as photon, or a mapping of pt, eta, phi…, not {named!r}")
    roles |= {key: options[key] for key in ("mass", "energy") if options[key] is not None}
    if roles["mass"] is not None and roles["energy"] is not None:
        raise WrongInput(f"params: {roles['name']} can have a mass or an energy, not both")
    if roles["mass"] is None and roles["energy"] is None:
        roles |= _mass_of(file, str(roles["name"]))
    if isinstance(roles["mass"], int | float) and not (np.isfinite(roles["mass"]) and roles["mass"] >= 0):
        raise WrongInput(f"params: mass={roles['mass']!r} is no mass in GeV")
    return roles


def _mass_of(file: Events, name: str) -> dict[str, Any]:
    if name.lower() in MASSLESS:
        return {"mass": 0.0}
    mass, energy = _first_of(file, name, MASS_SUFFIXES), _first_of(file, name, ENERGY_SUFFIXES)
    if mass or energy:
        return {"mass": mass} if mass else {"energy": energy}
    raise WrongInput(
        f"{file.name}: no column with the mass or energy of {name}: name it (params: mass or energy), or give "
        "their mass in GeV, such as mass: 0"
    )


def _first_of(file: Events, name: str, suffixes: Sequence[str]) -> str | None:
    return next((name + suffix for suffix in suffixes if name + suffix in file.columns), None)


def _requirement(value: Any, least: int) -> tuple[str, int]:
    """Return operator and number of `2`, `">= 2"` or `"== 2"`."""
    if value is None:
        return ">=", least
    parts = re.fullmatch(r"\s*(>=|==)?\s*(\d+)\s*", str(value))
    if isinstance(value, bool) or not parts or int(parts[2]) < least:
        raise WrongInput(f'params: require={value!r} is not like ">= {least}" or "== {least}", nor at least {least}')
    return parts[1] or ">=", int(parts[2])


def plan_of(given: Mapping[str, Any], file: Events) -> Plan:
    """Check all params against the first input.

    Raises:
        WrongInput: for the first that is wrong.
    """
    unit = choice("unit", given["unit"], tuple(GEV))
    if choice("pair", given["pair"], ("leading", "best")) == "best" and not isinstance(given["target"], int | float):
        raise WrongInput('params: pair="best" needs target, a mass in GeV')
    if given["pair"] == "leading" and given["target"] is not None:
        raise WrongInput('params: target is for pair="best" only')
    if given["charge"] is not None:
        choice("charge", given["charge"], ("opposite", "same"))
    for key in ("keep", "keep_objects"):
        if isinstance(given[key], str):
            raise WrongInput(f"params: {key} is a list of columns, not {given[key]!r}")
    file.check(given["keep"])
    collections = collections_of(given, file)
    cuts = _conditions(given["cut"], "cut")
    weight = None if given["weight"] is None else compile_expression(given["weight"], where="params: weight")
    for expression in [*cuts, *([weight] if weight else [])]:
        expression.check(file.columns, of=file.name)
    extra = [f"{stem}{number}" for one in collections for stem in one.keep for number in _numbers_of(collections, one)]
    names = _names(given, extra)
    accepts = _conditions(given["accept"], "accept")
    for expression in accepts:
        expression.check([*COLUMNS, *MORE_COLUMNS, *extra, *given["keep"]], of="the pair")
    return Plan(
        collections=collections, gev=GEV[unit], cuts=cuts, charge=given["charge"], accepts=accepts, weight=weight,
        target=float(given["target"]) if given["pair"] == "best" else None, keep=tuple(given["keep"]), names=names,
    )  # fmt: skip


def _conditions(text: Any, name: str) -> tuple[Expression, ...]:
    return () if text is None else tuple(compile_expression(text, where=f"params: {name}").conjuncts())


def _numbers_of(collections: Sequence[Collection], one: Collection) -> tuple[int, ...]:
    return (1, 2) if len(collections) == 1 else (1 + [other is one for other in collections].index(True),)


def _names(given: Mapping[str, Any], extra: Sequence[str]) -> dict[str, str]:
    """Return the names in the output by the names of results."""
    chosen = [*COLUMNS, *extra] if given["columns"] is None else list(given["columns"])
    known = [*COLUMNS, *MORE_COLUMNS, *extra]
    for name in [*chosen, *given["rename"]]:
        if name not in known:
            raise WrongInput(f"params: there is no result {name!r}. {near(name, known)}")
    names = {name: given["rename"].get(name, f"{given['prefix']}{name}") for name in chosen}
    written = [*names.values(), *given["keep"]]
    twice = sorted({name for name in written if written.count(name) > 1})
    if twice:
        raise WrongInput(f"params: two output columns are called {twice[0]!r}: use prefix or rename")
    return names


def objects_of(chunk: Chunk, one: Collection, of: str) -> Objects:
    """Take the objects of a chunk apart, and find the good ones."""
    lengths, flat = unpacked(chunk, one.columns, of=of)
    pt = flat[one.pt]
    good = np.isfinite(pt) & (pt > 0)
    if one.select is not None:
        good &= _selected(one.select, chunk, lengths, of)
    return Objects(lengths=lengths, flat=flat, good=good)


def _selected(select: Expression, chunk: Chunk, lengths: np.ndarray, of: str) -> np.ndarray:
    """Compute the selection, shape (all objects,)."""
    import awkward as ak

    if _is_elementwise(select):
        # Entry by entry, and all lists are of the same objects: the flat numbers are several times faster.
        lists = [name for name in select.names if depth(chunk[name]) > 1]
        own, flat = unpacked(chunk, lists, of=of)
        if lists and np.array_equal(own, lengths):
            single = {name: np.repeat(chunk[name], lengths) for name in select.names if name not in lists}
            value = select.evaluate({**flat, **single})
            if value.dtype != np.bool_:
                raise WrongInput(f"params: select: this is a number, not a condition: {select.text}")
            return np.asarray(value)
    value = select.evaluate(chunk)
    if depth(value) == 1:
        return np.repeat(select.mask(chunk, chunk.entries), lengths)
    if depth(value) != 2 or not is_boolean(value) or not np.array_equal(ak.num(value), lengths):
        raise WrongInput(f"params: select is no condition on each of the objects: {select.text}")
    return np.asarray(ak.to_numpy(ak.flatten(value)))


def _is_elementwise(expression: Expression) -> bool:
    for node in ast.walk(expression.node):
        if isinstance(node, ast.Subscript):
            return False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REDUCTIONS:
            return False
    return True


def good_in_order(objects: Objects, pt: str, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the good objects of some events, by falling pT, and how many each event has.

    Args:
        objects: of all events.
        pt: the column to order by.
        events: which events, bool, shape (all events,).
    """
    places = np.flatnonzero(objects.good & np.repeat(events, objects.lengths))
    sums = np.concatenate([[0], np.cumsum(objects.good)])
    ends = starts(objects.lengths)
    numbers = (sums[ends[1:]] - sums[ends[:-1]])[events]
    order = descending(objects.flat[pt][places], numbers)
    return (places if order is None else places[order]), numbers


def pairs_of(plan: Plan, objects: Sequence[Objects], events: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose a pair in each event.

    Args:
        plan: what to choose.
        objects: of the one or two collections.
        events: in which events, bool, shape (all events,).

    Returns:
        Places of the first and of the second objects, and the indices of their events, shape (pairs,) each: an event
        without a pair of the wanted charge has none.
    """
    sides = [good_in_order(one, plan.collections[number].pt, events) for number, one in enumerate(objects)]
    which = np.flatnonzero(events)
    if plan.target is None and plan.charge is None:
        begins = [starts(numbers)[:-1] for _, numbers in sides]
        second = begins[0] + 1 if len(sides) == 1 else begins[1]
        return sides[0][0][begins[0]], sides[-1][0][second], which
    numbers = sides[0][1]
    combinations = numbers * (numbers - 1) // 2 if len(sides) == 1 else numbers * sides[1][1]
    block = np.cumsum(combinations) // PAIRS_AT_ONCE
    found = []
    for one in np.unique(block):
        part = slice(int(np.searchsorted(block, one)), int(np.searchsorted(block, one, side="right")))
        found.append(_best(plan, objects, _part(sides, part), which[part]))
    empty = np.empty(0, dtype=np.int64)
    first, second, chosen = (np.concatenate(column) for column in zip((empty, empty, empty), *found, strict=True))
    return first, second, chosen


def _part(sides: Sequence[tuple[np.ndarray, np.ndarray]], part: slice) -> list[tuple[np.ndarray, np.ndarray]]:
    parts = []
    for places, numbers in sides:
        ends = starts(numbers)
        parts.append((places[ends[part.start] : ends[part.stop]], numbers[part]))
    return parts


def _best(
    plan: Plan, objects: Sequence[Objects], sides: Sequence[tuple[np.ndarray, np.ndarray]], which: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Look at all pairs; the first in the order of pT wins where the cost is equal."""
    import awkward as ak

    lists = [ak.unflatten(places, numbers) for places, numbers in sides]
    pairs = ak.combinations(lists[0], 2) if len(lists) == 1 else ak.cartesian(lists)
    lengths = np.asarray(ak.num(pairs))
    first, second = (np.asarray(ak.flatten(one)) for one in ak.unzip(pairs))
    begins = starts(lengths)[:-1]
    if plan.target is None:
        cost = (np.arange(len(first)) - np.repeat(begins, lengths)).astype(np.float64)
    else:
        cost = np.abs(measure(plan, objects, first, second)["mass"] - plan.target)
    if plan.charge:
        charges = [objects[0].flat[str(plan.collections[0].charge)][first]]
        charges.append(objects[-1].flat[str(plan.collections[-1].charge)][second])
        product = charges[0].astype(np.float64) * charges[1]
        cost[~(product < 0 if plan.charge == "opposite" else product > 0)] = np.inf
    place = begins + np.asarray(ak.argmin(ak.unflatten(cost, lengths), axis=1))
    place = place[np.isfinite(cost[place])]
    chosen = np.repeat(which, lengths)[place]
    return first[place], second[place], chosen


def measure(plan: Plan, objects: Sequence[Objects], first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Compute what is known of pairs, in GeV and radians, float64, shape (pairs,) each.

    `mass`: of the pair. From rapidities and transverse masses, without the difference of large numbers in E² - p²:
    m² = (m1 + m2)² + 2 (E1 E2 - p1 p2 - m1 m2), which holds for nearly collinear objects too.
    `cos_theta_star`: |cos θ*| in the Collins-Soper frame (Phys. Rev. D 16 (1977) 2219). For massless objects it is
    |sinh Δη| / sqrt(1 + (pT/m)²) · 2 pT1 pT2 / m², as in ATLAS, arXiv:1407.4222.
    `pt_t`: the part of the pair's pT across the thrust axis, |pT × t|, t = (pT1 - pT2) / |pT1 - pT2|
    (ATLAS, arXiv:1207.7214).
    """
    one, two = (four_momentum(plan, objects, number, places) for number, places in ((0, first), (1, second)))
    pair = one.add(two)
    delta_phi, delta_eta = one.deltaphi(two), one.eta - two.eta
    m1, m2, pt1, pt2 = one.mass, two.mass, one.pt, two.pt
    mt1, mt2 = np.hypot(m1, pt1), np.hypot(m2, pt2)
    y1, y2 = (_rapidity(p, mt) for p, mt in ((one, mt1), (two, mt2)))
    # E1 E2 - p1 p2 - m1 m2 as a sum of terms that are not negative.
    heavy = (m1 * pt2 - m2 * pt1) ** 2 / (mt1 * mt2 + pt1 * pt2 + m1 * m2)
    excess = 2 * (mt1 * mt2 * np.sinh((y1 - y2) / 2) ** 2 + pt1 * pt2 * np.sin(delta_phi / 2) ** 2) + heavy
    mass = np.sqrt((m1 + m2) ** 2 + 2 * excess)
    momentum = np.sqrt(2 * excess * (2 * excess + 4 * m1 * m2))  # 2 m p*, p* being the momentum in the rest frame
    thrust = np.sqrt((pt1 - pt2) ** 2 + 4 * pt1 * pt2 * np.sin(delta_phi / 2) ** 2)
    along = 2 * mass * mt1 * mt2 * np.abs(np.sinh(y1 - y2))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(momentum > 0, along / (momentum * np.hypot(mass, pair.pt)), 0.0)
        across = np.where(thrust > 0, 2 * pt1 * pt2 * np.abs(np.sin(delta_phi)) / thrust, 0.0)
        over = {f"pt{number}_over_mass": pt / mass for number, pt in ((1, pt1), (2, pt2))}
    return {
        "mass": mass, "pt": pair.pt, "rapidity": pair.rapidity, "delta_eta": delta_eta, "delta_phi": delta_phi,
        "delta_r": np.hypot(delta_eta, delta_phi), "cos_theta_star": np.minimum(cosine, 1.0), "pt_t": across,
        "pt1": pt1, "pt2": pt2, "eta1": one.eta, "eta2": two.eta, "phi1": one.phi, "phi2": two.phi,
        "mass1": m1, "mass2": m2, **over,
    }  # fmt: skip


def _rapidity(momentum: Any, transverse: np.ndarray) -> np.ndarray:
    # For massless objects exactly the pseudorapidity.
    value = np.arcsinh(momentum.pt * np.sinh(momentum.eta) / transverse)
    return np.where(momentum.mass > 0, value, momentum.eta)


def four_momentum(plan: Plan, objects: Sequence[Objects], number: int, places: np.ndarray) -> Any:
    """Return four-momenta of objects as a `vector` array, in GeV, shape (n,).

    Args:
        plan: units and columns.
        objects: of the one or two collections.
        number: 0 for the first of the pair, 1 for the second.
        places: of the objects in their collection.
    """
    import vector

    number = min(number, len(objects) - 1)
    columns, flat = plan.collections[number], objects[number].flat
    pt, eta, phi = (flat[name][places].astype(np.float64) for name in (columns.pt, columns.eta, columns.phi))
    pt *= plan.gev
    if columns.energy is not None:
        energy = flat[columns.energy][places].astype(np.float64) * plan.gev
        momentum = pt * np.cosh(eta)
        mass = np.sqrt(np.maximum((energy - momentum) * (energy + momentum), 0.0))
    elif isinstance(columns.mass, str):
        # ROOT files have small negative masses of massless objects.
        mass = np.maximum(flat[columns.mass][places].astype(np.float64) * plan.gev, 0.0)
    else:
        mass = np.full(len(pt), float(columns.mass or 0.0))
    return vector.array({"pt": pt, "eta": eta, "phi": phi, "mass": mass})


def check_units(plan: Plan, objects: Sequence[Objects], of: str) -> None:
    """Compare magnitudes with the unit that the rule names.

    Raises:
        WrongInput: if half of all objects have a pT above 5 TeV or below 0.2 GeV, or an energy below their momentum.
    """
    for columns, one in zip(plan.collections, objects, strict=True):
        pt = one.flat[columns.pt][one.good].astype(np.float64) * plan.gev
        if not len(pt):
            continue
        middle = float(np.median(pt))
        if middle > 5000 or (plan.gev < 1 and middle < 0.2):
            unit, other = ("GeV", "MeV") if plan.gev == 1 else ("MeV", "GeV")
            raise WrongInput(
                f"{of}: with unit={unit!r} half of all {columns.pt} are {'above' if middle > 1 else 'below'} "
                f"{middle:g} GeV: are they in {other}?"
            )
        if columns.energy is not None:
            momentum = pt * np.cosh(one.flat[columns.eta][one.good].astype(np.float64))
            share = np.median(one.flat[columns.energy][one.good] * plan.gev / momentum)
            if share < 0.999:
                raise WrongInput(
                    f"{of}: {columns.energy} is {share:.3g} times the momentum that {columns.pt} gives: it is no "
                    "energy, or in another unit"
                )


def pass_events(plan: Plan, chunk: Chunk, weights: np.ndarray, flow: CutFlow) -> np.ndarray:
    """Apply the cuts on events, shape (events,), bool."""
    events = np.ones(chunk.entries, dtype=bool)
    flow.add(0, weights)
    for step, cut in enumerate(plan.cuts, start=1):
        events &= cut.mask(chunk, chunk.entries)
        flow.add(step, weights[events])
    return events


def rows_of(plan: Plan, chunk: Chunk, flow: CutFlow, of: str, checked: bool) -> tuple[dict[str, np.ndarray], int]:
    """Return the output's columns for a chunk, shape (accepted pairs,) each, and how many objects have no pT.

    Args:
        plan: what to do.
        chunk: some events.
        flow: is told how many pass.
        of: the input, for error messages.
        checked: the units have been checked already.
    """
    chunk.load(plan.reads)
    weights = np.ones(chunk.entries) if plan.weight is None else plan.weight.per_event(chunk, chunk.entries)
    weights = np.asarray(weights, dtype=np.float64)
    events = pass_events(plan, chunk, weights, flow)
    step = 1 + len(plan.cuts)
    objects = []
    for one in plan.collections:
        objects.append(objects_of(chunk, one, of))
        sums = np.concatenate([[0], np.cumsum(objects[-1].good)])
        ends = starts(objects[-1].lengths)
        events &= REQUIREMENTS[one.operator](sums[ends[1:]] - sums[ends[:-1]], one.number)
        flow.add(step, weights[events])
        step += 1
    if not checked:
        check_units(plan, objects, of)
    first, second, which = pairs_of(plan, objects, events)
    if plan.charge:
        flow.add(step, weights[which])
        step += 1
    results = results_of(plan, objects, first, second, which, chunk)
    passed = np.ones(len(which), dtype=bool)
    for accept in plan.accepts:
        passed &= accept.mask(results, len(which))
        flow.add(step, weights[which[passed]])
        step += 1
    named = {**plan.names, **{name: name for name in plan.keep}}
    bad = sum(int((~np.isfinite(one.flat[c.pt])).sum()) for c, one in zip(plan.collections, objects, strict=True))
    return {output: results[name][passed] for name, output in named.items()}, bad


def results_of(
    plan: Plan, objects: Sequence[Objects], first: np.ndarray, second: np.ndarray, which: np.ndarray, chunk: Chunk
) -> dict[str, np.ndarray]:
    """Return all results and kept columns by name, shape (pairs,) each."""
    results = measure(plan, objects, first, second)
    for number, places in ((1, first), (2, second)):
        side = min(number - 1, len(objects) - 1)
        begins = starts(objects[side].lengths)[:-1]
        results[f"index{number}"] = places - begins[which]
        for stem, column in plan.collections[side].keep.items():
            results[f"{stem}{number}"] = objects[side].flat[column][places]
    good = np.concatenate([[0], np.cumsum(objects[0].good)])
    ends = starts(objects[0].lengths)
    results["number"] = (good[ends[1:]] - good[ends[:-1]])[which]
    for name in plan.keep:
        if depth(chunk[name]) != 1:
            raise WrongInput(f"params: keep: {name!r} is not one number per event (keep_objects is for lists)")
        results[name] = as_numpy(chunk[name])[which]
    return results


def outputs_of(snakemake: Any) -> tuple[str, str | None]:
    """Return the paths of the table and of the cut flow, which is the output named `cutflow`."""
    named = dict(snakemake.output.items())
    cutflow = named.get("cutflow")
    tables = [str(path) for path in snakemake.output if str(path) != str(cutflow)]
    if len(tables) != 1:
        raise WrongInput(f"output: one table is written, and one more output may be called cutflow; not {len(tables)}")
    if cutflow is not None and Path(str(cutflow)).suffix != ".json":
        raise WrongInput(f"{cutflow}: the cut flow is a .json file")
    if flat_format(tables[0]) is flat_format("x.npy"):
        raise WrongInput(f"{tables[0]}: pairs are written to .parquet, .root or .npz files")
    return tables[0], cutflow


def run(snakemake: Any) -> None:
    """Do the job of a rule."""
    given = parameters(snakemake, DEFAULTS, required=("objects", "unit"))
    table, cutflow = outputs_of(snakemake)
    check_size(given["step_size"])
    paths = existing(snakemake.input)
    if not paths:
        raise WrongInput("input: no file of events")
    files = [open_events(path, given["tree"], typed=lambda _: ()) for path in paths]
    plan = plan_of(given, files[0])
    for file in files[1:]:
        file.check(plan.reads)
    for one in plan.collections:
        print(f"{one.name}: {one.pt}, {one.eta}, {one.phi}, " + (
            f"energy {one.energy}" if one.energy else f"mass {one.mass}" + ("" if isinstance(one.mass, str) else " GeV")
        ))  # fmt: skip
    about = provenance(snakemake, "phys/vector/pairs", ("awkward", "numpy", "uproot", "vector"))
    flow = CutFlow(plan.steps)
    progress = Progress("pairs", sum(file.entries for file in files))
    bad, checked = 0, False
    with flat_writer(table, about, tree=given["output_tree"]) as write:
        for file in files:
            for chunk in file.chunks(plan.reads, size=given["step_size"], threads=snakemake.threads):
                rows, without = rows_of(plan, chunk, flow, file.name, checked)
                write(rows)
                bad += without
                checked = checked or chunk.entries > 0
                progress.add(chunk.entries)
        if not checked:
            write(_no_rows(plan))
    report(flow, bad, about, cutflow)


def _no_rows(plan: Plan) -> dict[str, np.ndarray]:
    whole = ("number", "index1", "index2")
    kept = {name: np.empty(0) for name in plan.keep}
    return {out: np.empty(0, np.int64 if name in whole else np.float64) for name, out in plan.names.items()} | kept


def report(flow: CutFlow, bad: int, about: Mapping[str, Any], cutflow: str | None) -> None:
    """Print the cut flow, and write it where the rule wants it."""
    rows = flow.rows()
    for row in rows:
        print(f"{row['events']:>12,} events, yield {row['yield']:.6g} ± {row['error']:.3g}: {row['cut']}")
    if bad:
        print(f"{bad:,} objects have no finite pT and were left out")
    if not rows[-1]["events"]:
        print("No pair is left: the output is a valid table without rows")
    if cutflow:
        last = rows[-1]
        result = {"n_events": last["events"], "yield": last["yield"], "yield_error": last["error"], "cutflow": rows}
        write_json(cutflow, {**result, "provenance": about})


def main(snakemake: Any) -> None:
    """Run with everything printed to the rule's log."""
    with logged(snakemake):
        run(snakemake)


if "snakemake" in globals():
    main(snakemake)
