"""Shapes: closed forms against quadrature and finite differences, at random and at awkward parameters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad

from wrappers.common.shapes import SHAPE_NAMES, Shape, make_shape, shape_name

LOW, HIGH = 105.0, 160.0
TEMPLATE = (np.linspace(100, 165, 14), np.arange(1.0, 14.0) ** 1.5)
NAMES = sorted(name.lower() for name in SHAPE_NAMES)


def random_values(name: str, shape: Shape, rng: np.random.Generator) -> list[float]:
    values = []
    for parameter in shape.parameters:
        if parameter == "mu":
            values.append(rng.uniform(100, 165))
        elif parameter == "sigma":
            values.append(rng.uniform(0.5, 4))
        elif parameter.startswith("alpha"):
            values.append(rng.uniform(0.2, 4))
        elif parameter.startswith("n"):
            values.append(10 ** rng.uniform(-0.5, 2.5))
        elif parameter == "lam":
            values.append(rng.uniform(-0.3, 0.3))
        elif parameter == "p":
            values.append(rng.uniform(-12, 8))
        elif name.startswith("bern"):
            values.append(rng.uniform(0, 3))
        elif name.startswith("exppoly"):
            values.append(rng.uniform(-4, 4))
        else:
            values.append(rng.uniform(-0.9, 0.9) / len(shape.parameters))
    return values


def kinks(name: str, values: list[float]) -> list[float]:
    if name in ("dscb", "cb"):
        places = [values[0] - values[2] * values[1], values[0]]
        return [*places, values[0] + values[4] * values[1]] if name == "dscb" else places
    return [values[0]] if name == "gauss" else list(TEMPLATE[0]) if name == "template" else []


def integral(function: Callable[[float], float], low: float, high: float, breaks: list[float]) -> float:
    points = [low, *sorted(one for one in breaks if low < one < high), high]
    return math.fsum(
        quad(function, a, b, epsabs=1e-300, epsrel=1e-12, limit=200)[0] for a, b in itertools.pairwise(points)
    )


@pytest.mark.parametrize("name", NAMES)
def test_integrals_agree_with_quadrature(name: str) -> None:
    shape = make_shape(name, LOW, HIGH, TEMPLATE)
    rng = np.random.default_rng(1)
    for _ in range(25 if name == "dscb" else 8):
        values = random_values(name, shape, rng)
        edges = np.concatenate([[LOW], np.sort(rng.uniform(LOW, HIGH, 3)), [HIGH]])

        def density(x: float, values: list[float] = values) -> float:
            return float(np.exp(shape.log_density(np.array([x]), values))[0])

        found = np.concatenate([shape.integrals(edges, values), shape.integrals(np.array([LOW, HIGH]), values)])
        bins = [*itertools.pairwise(edges), (LOW, HIGH)]
        expected = np.array([integral(density, a, b, kinks(name, values)) for a, b in bins])
        # A Gaussian far from its peak comes from differences of tiny numbers; what matters is the whole.
        np.testing.assert_allclose(found, expected, rtol=2e-10, atol=1e-13 * expected[-1])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "template"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    shape = make_shape(name, LOW, HIGH)
    rng = np.random.default_rng(2)
    edges = np.linspace(LOW, HIGH, 8)
    for _ in range(10):
        values = random_values(name, shape, rng)
        x = np.sort(rng.uniform(LOW, HIGH, 50))
        slopes, bins = shape.log_gradient(x, values), shape.integral_gradients(edges, values)
        assert slopes.shape == (len(values), 50) and bins.shape == (len(values), 7)
        for i, value in enumerate(values):
            step = 1e-5 * max(1e-2, abs(value))
            beside = [[*values[:i], value + sign * step, *values[i + 1 :]] for sign in (1, -1)]
            logs = [shape.log_density(x, one) for one in beside]
            integrals = [shape.integrals(edges, one) for one in beside]
            width = 2 * step
            np.testing.assert_allclose(slopes[i], (logs[0] - logs[1]) / width, rtol=2e-5, atol=1e-6)
            scale = np.abs(integrals[0]).max()
            np.testing.assert_allclose(
                bins[i] / scale, (integrals[0] - integrals[1]) / width / scale, rtol=2e-5, atol=2e-8
            )


@pytest.mark.parametrize("n", [1.0, 1 + 1e-14, 1 - 1e-9, 1 + 1e-5, 0.3, 30.0, 1e4, 1e7])
@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.5, 5.0])
def test_crystal_ball_is_stable_at_any_power(n: float, alpha: float) -> None:
    shape = make_shape("dscb", LOW, HIGH)
    values = [125.0, 1.7, alpha, n, alpha, n]

    def density(x: float) -> float:
        return float(np.exp(shape.log_density(np.array([x]), values))[0])

    expected = integral(density, LOW, HIGH, kinks("dscb", values))
    assert shape.integrals(np.array([LOW, HIGH]), values)[0] == pytest.approx(expected, rel=1e-11)
    assert np.isfinite(shape.integral_gradients(np.array([LOW, 110.0, HIGH]), values)).all()


def test_crystal_ball_has_the_textbook_form() -> None:
    x = np.array([110.0, 118.0, 124.0, 125.5, 129.0, 150.0])
    mu, sigma, alpha_l, n_l, alpha_r, n_r = 125.0, 1.7, 1.5, 5.0, 1.8, 8.0
    expected = []
    for t in (x - mu) / sigma:
        if t < -alpha_l:
            expected.append(
                (n_l / alpha_l) ** n_l * math.exp(-(alpha_l**2) / 2) * (n_l / alpha_l - alpha_l - t) ** -n_l
            )
        elif t > alpha_r:
            expected.append(
                (n_r / alpha_r) ** n_r * math.exp(-(alpha_r**2) / 2) * (n_r / alpha_r - alpha_r + t) ** -n_r
            )
        else:
            expected.append(math.exp(-t * t / 2))
    shape = make_shape("dscb", LOW, HIGH)
    found = np.exp(shape.log_density(x, [mu, sigma, alpha_l, n_l, alpha_r, n_r]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_gaussian_far_from_the_window_keeps_its_relative_precision() -> None:
    shape = make_shape("gauss", LOW, HIGH)
    expected = 2.0 * math.sqrt(math.pi / 2) * (math.erfc(10 / math.sqrt(2)) - math.erfc(15 / math.sqrt(2)))
    assert shape.integrals(np.array([105.0, 115.0]), [85.0, 2.0])[0] == pytest.approx(expected, rel=1e-12)


def test_chebyshev_polynomials_are_the_known_ones() -> None:
    x = np.linspace(LOW, HIGH, 30)
    z = (2 * x - LOW - HIGH) / (HIGH - LOW)
    values = [0.1, -0.2, 0.05, 0.02, -0.03]
    expected = np.polynomial.chebyshev.chebval(z, [1, *values])
    np.testing.assert_allclose(np.exp(make_shape("poly5", LOW, HIGH).log_density(x, values)), expected, rtol=1e-12)


def test_bernstein_with_all_coefficients_one_is_flat() -> None:
    x = np.linspace(LOW, HIGH, 30)
    np.testing.assert_allclose(make_shape("bern4", LOW, HIGH).log_density(x, [1.0] * 4), 0, atol=1e-12)


def test_a_negative_polynomial_has_no_logarithm_but_does_not_complain() -> None:
    logs = make_shape("poly1", 0, 1).log_density(np.array([0.1, 0.9]), [2.0])
    assert logs[0] == -np.inf and np.isfinite(logs[1])


def test_template_of_its_own_bins_gives_back_its_contents() -> None:
    shape = make_shape("template", LOW, HIGH, TEMPLATE)
    np.testing.assert_array_equal(shape.integrals(TEMPLATE[0], []), TEMPLATE[1])
    np.testing.assert_allclose(shape.integrals(np.array([100.0, 102.5, 105.0]), []), [0.5, 0.5])
    assert np.exp(shape.log_density(np.array([99.0, 100.0, 165.0, 166.0]), [])) == pytest.approx(
        [0, 0.2, 13**1.5 / 5, 0]
    )


@pytest.mark.parametrize(
    ("word", "name"),
    [("DSCB", "dscb"), ("Crystal_Ball", "cb"), ("Gaussian", "gauss"), ("Exponential", "exp"), ("pol3", "poly3"),
     ("Chebyshev2", "poly2"), ("bernstein3", "bern3"), ("ExpPoly2", "exppoly2"), ("power_law", "power"),
     ("poly6", None), ("dscc", None)],
)  # fmt: skip
def test_names(word: str, name: str | None) -> None:
    assert shape_name(word) == name
