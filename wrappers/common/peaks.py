"""Peaks with power-law tails in closed form, and integrals of exponentials that are regular everywhere."""

import math
from collections.abc import Sequence

import numpy as np

HALF_ROOT = math.sqrt(math.pi / 2)


class PlainShape:
    """What a shape may leave as it is: the density is the exponential of what it knows, sums go over all events."""

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        raise NotImplementedError

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        raise NotImplementedError

    def density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        return np.asarray(np.exp(self.log_density(x, values)))

    def summed_gradient(self, x: np.ndarray, values: Sequence[float], weights: np.ndarray) -> np.ndarray:
        return np.asarray(self.log_gradient(x, values) @ weights)


def _phi(y: np.ndarray) -> np.ndarray:
    """Integral of exp(y s) for s from 0 to 1: (exp(y) - 1) / y, at y = 0 too."""
    safe = np.where(y == 0, 1.0, y)
    return np.where(y == 0, 1.0, np.expm1(safe) / safe)


def _psi(y: np.ndarray) -> np.ndarray:
    """Integral of s exp(y s) for s from 0 to 1; near y = 0 its series, elsewhere (exp(y) (y - 1) + 1) / y^2."""
    small = np.abs(y) < 0.5
    near, far = np.where(small, y, 0.0), np.where(small, 1.0, y)
    series, term = np.zeros_like(near), np.ones_like(near)
    for j in range(16):
        series = series + term / (j + 2)
        term = term * near / (j + 1)
    return np.where(small, series, (np.exp(far) * (far - 1) + 1) / far**2)


def exponential_integrals(k: float, start: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Integral of exp(k s) for s from start to start + width."""
    return np.exp(k * start) * width * _phi(k * width)


def exponential_moments(k: float, start: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Integral of s exp(k s) for s from start to start + width."""
    return np.exp(k * start) * width * (start * _phi(k * width) + width * _psi(k * width))


class Peak(PlainShape):
    """Gaussian core exp(-t^2/2) with t = (x - mu) / sigma, and power-law tails where |t| > alpha on their sides.

    A tail is exp(-alpha^2/2) E^-n with E = 1 + alpha/n (|t| - alpha), which is the Crystal Ball function (J. E. Gaiser,
    SLAC-R-255, appendix F) without its overflow for large n. With L = log E the integral of the tail is
    exp(-alpha^2/2) n/alpha times that of exp((1 - n) L), regular at n = 1.
    """

    def __init__(self, low: float, high: float, *, left: bool, right: bool) -> None:
        self.low, self.high, self.left, self.right = low, high, left, right
        tails = ("alpha_l", "n_l", "alpha_r", "n_r") if left and right else ("alpha", "n") if left else ()
        self.parameters: tuple[str, ...] = ("mu", "sigma", *tails)

    def _tails(self, values: Sequence[float]) -> list[tuple[int, int, float, float]]:
        """For each tail its side (-1: left), the place of its alpha among the parameters, alpha and n."""
        sides = [side for side, there in ((-1, self.left), (1, self.right)) if there]
        return [(side, 2 + 2 * i, values[2 + 2 * i], values[3 + 2 * i]) for i, side in enumerate(sides)]

    def _slice(self, x: np.ndarray, side: int, mu: float, sigma: float, alpha: float) -> slice:
        border = int(np.searchsorted(x, mu + side * alpha * sigma))
        return slice(0, border) if side < 0 else slice(border, len(x))

    def log_density(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        mu, sigma = values[:2]
        t = (x - mu) / sigma
        result = -0.5 * t * t
        for side, _, alpha, n in self._tails(values):
            part = self._slice(x, side, mu, sigma, alpha)
            result[part] = -0.5 * alpha * alpha - n * np.log1p(alpha / n * (side * t[part] - alpha))
        return np.asarray(result)

    def log_gradient(self, x: np.ndarray, values: Sequence[float]) -> np.ndarray:
        mu, sigma = values[:2]
        t = (x - mu) / sigma
        result = np.zeros((len(self.parameters), len(x)))
        result[0], result[1] = t / sigma, t * t / sigma
        for side, place, alpha, n in self._tails(values):
            part = self._slice(x, side, mu, sigma, alpha)
            u = side * t[part]
            rise = 1 + alpha / n * (u - alpha)
            result[0, part] = side * alpha / (rise * sigma)
            result[1, part] = u * alpha / (rise * sigma)
            gone = 1 - 1 / rise
            result[place, part] = -(alpha + n / alpha) * gone
            result[place + 1, part] = gone - np.log(rise)
        return result

    def summed_gradient(self, x: np.ndarray, values: Sequence[float], weights: np.ndarray) -> np.ndarray:
        mu, sigma = values[:2]
        result = np.zeros(len(self.parameters))
        core = [0, len(x)]
        for side, place, alpha, n in self._tails(values):
            part = self._slice(x, side, mu, sigma, alpha)
            core[0 if side < 0 else 1] = part.stop if side < 0 else part.start
            w, u = weights[part], side * (x[part] - mu) / sigma
            rise = 1 + alpha / n * (u - alpha)
            slope = w * (alpha / sigma) / rise
            gone = float(w.sum() - (w / rise).sum())
            result[0] += side * slope.sum()
            result[1] += u @ slope
            result[place] = -(alpha + n / alpha) * gone
            result[place + 1] = gone - w @ np.log(rise)
        t = (x[core[0] : core[1]] - mu) / sigma
        weighted = weights[core[0] : core[1]] * t
        result[0] += weighted.sum() / sigma
        result[1] += t @ weighted / sigma
        return result

    def integrals(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        mu, sigma = values[:2]
        t = (np.asarray(edges, float) - mu) / sigma
        tails = {side: (alpha, n) for side, _, alpha, n in self._tails(values)}
        result = np.zeros(len(t) - 1)
        for side in (-1, 1):
            alpha, n = tails.get(side, (math.inf, 1.0))
            u = np.clip(side * t, 0, None)
            result += _core(np.minimum(u, alpha), side)
            if side in tails:
                start, width = _tail_bins(u, side, alpha, n)
                result += math.exp(-0.5 * alpha**2) * n / alpha * exponential_integrals(1 - n, start, width)
        return sigma * result

    def integral_gradients(self, edges: np.ndarray, values: Sequence[float]) -> np.ndarray:
        mu, sigma = values[:2]
        edges = np.asarray(edges, float)
        t = (edges - mu) / sigma
        density = np.exp(self.log_density(edges, values))
        result = np.zeros((len(self.parameters), len(t) - 1))
        result[0] = -np.diff(density)
        result[1] = self.integrals(edges, values) / sigma - np.diff(t * density)
        for side, place, alpha, n in self._tails(values):
            start, width = _tail_bins(np.clip(side * t, 0, None), side, alpha, n)
            gone = exponential_integrals(1 - n, start, width) - exponential_integrals(-n, start, width)
            height = sigma * math.exp(-0.5 * alpha**2) * n / alpha
            result[place] = -height * (alpha + n / alpha) * gone
            result[place + 1] = height * (gone - exponential_moments(1 - n, start, width))
        return result

    def defaults(self) -> list[tuple[float, float | None, float | None]]:
        width = self.high - self.low
        middle = 0.5 * (self.low + self.high)
        core = [(middle, self.low, self.high), (width / 30, width / 2000, width / 2)]
        return [*core, *[(1.5, 0.3, 5.0), (5.0, 1.05, 50.0)] * (self.left + self.right)]


def _core(u: np.ndarray, side: int) -> np.ndarray:
    """Integral of exp(-u^2/2) over each bin between values that ascend (right) or descend (left), none below 0."""
    inner, outer = (u[:-1], u[1:]) if side > 0 else (u[1:], u[:-1])
    root = math.sqrt(0.5)
    erf = np.array([math.erf(root * one) for one in u])
    erfc = np.array([math.erfc(root * one) for one in u])
    near, far = side * np.diff(erf), -side * np.diff(erfc)
    return HALF_ROOT * np.where((inner > 0.5) & (outer > inner), far, near)


def _tail_bins(u: np.ndarray, side: int, alpha: float, n: float) -> tuple[np.ndarray, np.ndarray]:
    """Return L = log E at the inner edge of each bin, and how far it rises within the bin, 0 where there is no tail."""
    rise = np.log1p(alpha / n * (np.maximum(u, alpha) - alpha))
    return (rise[:-1] if side > 0 else rise[1:]), side * np.diff(rise)
