"""What expressions compute with: operators and functions that work alike on NumPy and Awkward Arrays."""

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
