"""Shapes of spectra in closed form: logarithms of densities, integrals over bins, and derivatives of both.

A shape lives on a range [low, high] and is not normalised: whoever uses it divides by its integral. Arrays of x must
ascend (the tails of peaks are slices then). `values` are the shape's parameters in the order of its `parameters`.

| name | density, up to its normalisation | parameters |
|---|---|---|
| `dscb` | double-sided Crystal Ball: a Gaussian with a power law on both sides | `mu sigma alpha_l n_l alpha_r n_r` |
| `cb` | Crystal Ball: the power law on the left only | `mu sigma alpha n` |
| `gauss` | Gaussian | `mu sigma` |
| `exp` | exp(lam x) | `lam` |
| `power` | x^p, for low > 0 | `p` |
| `poly1` … `poly5` | 1 + sum c_i T_i(z): any polynomial, in Chebyshev's basis | `c1 c2 …` |
| `bern1` … `bern5` | sum c_i B_i(z), with c_0 = 1: Bernstein's basis, positive if all c_i are | `c1 c2 …` |
| `exppoly1` … `exppoly5` | exp(sum c_i z^i) | `c1 c2 …` |
| `template` | constant within each bin of a histogram | |

z = (2 x - low - high) / (high - low) runs from -1 to 1. A polynomial's own normalisation is left to its yield, which
makes `poly3` the four-parameter cubic with free coefficients; Chebyshev's basis spans the same functions with weakly
correlated parameters, so binned and unbinned fits both use it.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from wrappers.common.peaks import Peak, PlainShape, exponential_integrals, exponential_moments

NODES = 16
PANELS = 8
MOST_COEFFICIENTS = 5
ALIASES = {
    "doublecb": "dscb", "doublesidedcb": "dscb", "doublecrystalball": "dscb", "doublesidedcrystalball": "dscb",
    "crystalball": "cb", "gaussian": "gauss", "normal": "gauss", "expo": "exp", "exponential": "exp",
    "powerlaw": "power", "histogram": "template", "hist": "template", "linear": "poly1",
}  # fmt: skip
"""Other names of shapes, in lower case without underscores."""
SHAPE_NAMES = (
    "DSCB", "CB", "gauss", "exp", "power", "template",
    *(f"{family}{n}" for family in ("poly", "bern", "exppoly") for n in range(1, MOST_COEFFICIENTS + 1)),
)  # fmt: skip


class Shape(Protocol):
    """What every shape offers; k parameters, n values of x, m bins between m + 1 edges."""

    parameters: tuple[str, ...]

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the logarithm of the density, shape (n,); -inf where the density is not positive."""

    def density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the density, shape (n,); a polynomial's may be negative."""

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the derivatives of the logarithm by the parameters, shape (k, n)."""

    def summed_gradient(self, x: np.ndarray, values: Sequence[float], weights: np.ndarray) -> np.ndarray:
        """Return the sum over x of weights, shape (n,), times `log_gradient`, shape (k,)."""

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the integral over each bin, shape (m,)."""

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        """Return the derivatives of the integrals by the parameters, shape (k, m)."""

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        """Return a start value and limits for each parameter, for a range of which nothing else is known."""


def shape_name(word: str) -> str | None:
    """Return the canonical name for what a person calls a shape, or None: `Crystal_Ball` is `cb`."""
    plain = re.sub(r"[\s_-]", "", word).lower()
    plain = re.sub(r"^(?:chebyshev|chebychev|cheby|polynomial|pol)(?=\d$)", "poly", plain)
    plain = re.sub(r"^bernstein(?=\d$)", "bern", plain)
    plain = ALIASES.get(plain, plain)
    return plain if plain in {name.lower() for name in SHAPE_NAMES} else None


def make_shape(name: str, low: float, high: float, template: tuple[np.ndarray, np.ndarray] | None = None) -> Shape:
    """Return a shape on a range.

    Args:
        name: a canonical name, see `shape_name`.
        low: lower end of the range.
        high: upper end.
        template: edges, shape (m + 1,), and contents, shape (m,), of the histogram that `template` follows.
    """
    family = re.fullmatch(r"(poly|bern|exppoly)(\d)", name)
    if family and family[1] == "exppoly":
        return ExponentialOfPolynomial(int(family[2]), low, high)
    if family:
        return Polynomial(int(family[2]), low, high, bernstein=family[1] == "bern")
    if name == "template":
        if template is None:
            raise ValueError("a template needs a histogram")
        return Template(*template)
    if name in ("exp", "power"):
        return Exponential(low, high) if name == "exp" else Power(low)
    return Peak(low, high, left=name in ("dscb", "cb"), right=name == "dscb")


def _log(density: np.ndarray) -> np.ndarray:
    return np.log(density, where=density > 0, out=np.full(len(density), -np.inf))


class Exponential(PlainShape):
    """exp(lam (x - low)): falls for negative lam, flat at 0."""

    parameters: tuple[str, ...] = ("lam",)

    def __init__(self, low: float, high: float) -> None:
        self.low, self.width = low, high - low

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(values[0] * (x - self.low))

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(x - self.low)[None]

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return exponential_integrals(values[0], np.asarray(edges[:-1]) - self.low, np.diff(edges))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return exponential_moments(values[0], np.asarray(edges[:-1]) - self.low, np.diff(edges))[None]

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        return [(-1 / self.width, -200 / self.width, 200 / self.width)]


class Power(PlainShape):
    """(x / low)^p; in log(x / low) it is an exponential."""

    parameters: tuple[str, ...] = ("p",)

    def __init__(self, low: float) -> None:
        if low <= 0:
            raise ValueError("a power law needs a range above 0")
        self.low = low

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(values[0] * np.log(x / self.low))

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.log(x / self.low))[None]

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        steps = np.log(np.asarray(edges) / self.low)
        return self.low * exponential_integrals(values[0] + 1, steps[:-1], np.diff(steps))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        steps = np.log(np.asarray(edges) / self.low)
        return (self.low * exponential_moments(values[0] + 1, steps[:-1], np.diff(steps)))[None]

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        return [(-3.0, -100.0, 100.0)]


class Polynomial(PlainShape):
    """A polynomial that is 1 plus a sum of coefficients times basis functions (Chebyshev's, or Bernstein's).

    The basis functions of the array seen last are kept: fits evaluate the same one again and again.
    """

    def __init__(self, degree: int, low: float, high: float, *, bernstein: bool) -> None:
        self.middle, self.half, self.bernstein = 0.5 * (low + high), 0.5 * (high - low), bernstein
        self.parameters: tuple[str, ...] = tuple(f"c{i}" for i in range(1, degree + 1))
        self._known: tuple[np.ndarray, np.ndarray] | None = None
        self.basis = _bernstein_basis(degree) if bernstein else _chebyshev_basis(degree)

    def _terms(self, x: np.ndarray) -> np.ndarray:
        """Values of the basis functions, shape (degree + 1, n)."""
        if self._known is None or self._known[0] is not x:
            z = (np.asarray(x, float) - self.middle) / self.half
            powers = np.ones((len(self.basis), len(z)))
            for i in range(1, len(powers)):
                powers[i] = powers[i - 1] * z
            self._known = (x, self.basis @ powers)
        return self._known[1]

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return _log(self.density(x, values))

    def density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.concatenate([[1.0], values]) @ self._terms(x))

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        terms = self._terms(x)
        density = np.concatenate([[1.0], values]) @ terms
        return np.asarray(terms[1:] / np.where(density == 0, np.inf, density))

    def _integrated(self, edges: np.ndarray) -> np.ndarray:
        """Integrals of the basis functions, shape (degree + 1, m)."""
        z = (np.asarray(edges, float) - self.middle) / self.half
        powers = np.stack([np.diff(z ** (i + 1)) / (i + 1) for i in range(len(self.basis))])
        return np.asarray(self.half * (self.basis @ powers))

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.concatenate([[1.0], values]) @ self._integrated(edges))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return self._integrated(edges)[1:]

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        # A function that is nowhere negative has no Chebyshev coefficient beyond 2, and up to there the integral is
        # positive.
        one = (1.0, 0.0, 100.0) if self.bernstein else (0.0, -2.0, 2.0)
        return [one] * len(self.parameters)


def _chebyshev_basis(degree: int) -> np.ndarray:
    """Coefficients of T_0 … T_degree in powers of z: T_i = 2 z T_(i-1) - T_(i-2)."""
    basis = np.eye(degree + 1)
    for i in range(2, degree + 1):
        basis[i] = 2 * np.roll(basis[i - 1], 1) - basis[i - 2]
    return basis


def _bernstein_basis(degree: int) -> np.ndarray:
    """Coefficients of Bernstein's polynomials in powers of z, with s = (1 + z) / 2: C(d, i) s^i (1 - s)^(d - i)."""
    basis = np.zeros((degree + 1, degree + 1))
    for i in range(degree + 1):
        row = np.array([math.comb(degree, i) / 2.0**degree])
        for factor in [(1.0, 1.0)] * i + [(1.0, -1.0)] * (degree - i):
            row = np.convolve(row, factor)
        basis[i, : len(row)] = row
    return basis


class ExponentialOfPolynomial(PlainShape):
    """exp(sum c_i z^i); integrals by Gauss-Legendre rules of 16 points on at least 8 panels of the range."""

    def __init__(self, degree: int, low: float, high: float) -> None:
        self.middle, self.half = 0.5 * (low + high), 0.5 * (high - low)
        self.parameters: tuple[str, ...] = tuple(f"c{i}" for i in range(1, degree + 1))
        self._rules: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def _powers(self, x: np.ndarray) -> np.ndarray:
        z = (np.asarray(x, float) - self.middle) / self.half
        powers = np.empty((len(self.parameters), *z.shape))
        powers[0] = z
        for i in range(1, len(powers)):
            powers[i] = powers[i - 1] * z
        return powers

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.tensordot(np.asarray(values, float), self._powers(x), 1))

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return self._powers(x)

    def _rule(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Powers of z at the nodes, shape (k, m, nodes), and their weights, shape (m, nodes); kept for later calls."""
        edges = np.asarray(edges, float)
        key = edges.tobytes()
        if key not in self._rules:
            nodes, weights = np.polynomial.legendre.leggauss(NODES)
            width = np.diff(edges)[:, None]
            panels = max(1, math.ceil(PANELS * float(width.max()) / (2 * self.half) - 1e-9))
            places = ((np.arange(panels)[:, None] + 0.5 * (nodes + 1)) / panels).ravel()
            x = edges[:-1, None] + width * places
            self._rules[key] = (self._powers(x), width * np.tile(weights, panels) / (2 * panels))
        return self._rules[key]

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        powers, weights = self._rule(edges)
        return np.asarray((np.exp(np.tensordot(np.asarray(values, float), powers, 1)) * weights).sum(axis=1))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        powers, weights = self._rule(edges)
        density = np.exp(np.tensordot(np.asarray(values, float), powers, 1)) * weights
        return np.asarray((powers * density).sum(axis=2))

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        return [(0.0, -50.0, 50.0)] * len(self.parameters)


class Template(PlainShape):
    """The contents of a histogram divided by the widths of its bins; 0 outside."""

    parameters: tuple[str, ...] = ()

    def __init__(self, edges: Any, contents: Any) -> None:
        self.edges, self.contents = np.asarray(edges, float), np.asarray(contents, float)
        self.sums = np.concatenate([[0.0], np.cumsum(self.contents)])

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return _log(self.density(x, values))

    def density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        place = np.searchsorted(self.edges, x, side="right") - 1
        place = np.where(x == self.edges[-1], len(self.contents) - 1, place)
        inside = (place >= 0) & (place < len(self.contents))
        return np.where(inside, (self.contents / np.diff(self.edges))[np.where(inside, place, 0)], 0.0)

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.zeros((0, len(x)))

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        if np.array_equal(edges, self.edges):
            return self.contents
        return np.diff(np.interp(edges, self.edges, self.sums))

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.zeros((0, len(edges) - 1))

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        return []
