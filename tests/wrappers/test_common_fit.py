"""Models, likelihoods and minimisation that the fit and the statistics share: against closed forms and other code."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from wrappers.common.fit_hs3 import read_hs3, write_hs3
from wrappers.common.fit_minimise import minimise
from wrappers.common.fit_report import chi2_probability, goodness, interesting, nice_edges, profile, spectra
from wrappers.common.fit_start import with_starts
from wrappers.common.fit_toys import asimov, toy
from wrappers.common.job import WrongInput
from wrappers.common.likelihood import Counts, Data, Events, Likelihood, expected, make_counts, make_events
from wrappers.common.model import Model, parse_model
from wrappers.common.shapes import make_shape

LOW, HIGH = 105.0, 160.0
PEAK = "DSCB(mu=125, sigma=1.7, alpha_l=1.5, n_l=5, alpha_r=1.8, n_r=8)"
TEMPLATE = (np.linspace(LOW, HIGH, 12).tolist(), [1.0, 2.0, 3.0, 10.0, 60.0, 20.0, 5.0, 3.0, 2.0, 1.0, 1.0])
MODELS: dict[str, tuple[Any, dict[str, float], dict[str, Any]]] = {
    "tails": (
        "DSCB + exp",
        {
            "mu": 125.0,
            "sigma": 1.8,
            "alpha_l": 1.4,
            "n_l": 5.0,
            "alpha_r": 1.7,
            "n_r": 8.0,
            "lam": -0.02,
            "n_signal": 300.0,
            "n_background": 3000.0,
        },
        {},
    ),
    "strength": (
        "mu * 250 * gauss(mu=m_h, sigma=2) + poly3",
        {"mu": 1.2, "m_h": 125.1, "c1": -0.4, "c2": 0.1, "c3": 0.02, "n_background": 3000.0},
        {"constraints": {"m_h": [125.0, 0.3]}},
    ),
    "one tail": (
        "s = CB + b = bern2",
        {"mu": 125.0, "sigma": 1.8, "alpha": 1.4, "n": 5.0, "c1": 0.7, "c2": 0.4, "n_s": 300.0, "n_b": 3000.0},
        {},
    ),
    "exponential of a polynomial": (
        "gauss(mu=125, sigma=2) + exppoly2",
        {"n_signal": 300.0, "n_background": 3000.0, "c1": -0.6, "c2": 0.1},
        {},
    ),
    "power": ("gauss(mu=125, sigma=2) + power", {"n_signal": 300.0, "n_background": 3000.0, "p": -3.0}, {}),
    "template": (
        "mu * template + exp",
        {"mu": 1.3, "n_background": 3000.0, "lam": -0.02},
        {"templates": {"signal": TEMPLATE}},
    ),
    "categories": (
        {"low": "mu * 100 * gauss(mu=m_h) + exp", "high": "mu * 200 * gauss(mu=m_h) + exp"},
        {
            "mu": 1.2,
            "m_h": 125.1,
            "sigma_low": 1.5,
            "sigma_high": 2.0,
            "lam_low": -0.02,
            "lam_high": -0.03,
            "n_background_low": 1000.0,
            "n_background_high": 2000.0,
        },
        {"constraints": {"m_h": [125.0, 0.3]}},
    ),
}


def build(name: str) -> Model:
    text, values, more = MODELS[name]
    return parse_model(text, "m_yy", LOW, HIGH, **more).changed(values)


def moved(model: Model) -> dict[str, float]:
    """Other values of all free parameters: a third of a percent up or down in turn."""
    result = dict(model.values)
    for place, name in enumerate(model.free):
        result[name] *= 1 + (0.003 if place % 2 else -0.003)
    return result


def at(likelihood: Likelihood, values: Mapping[str, float]) -> float:
    return likelihood([values[name] for name in likelihood.names])


# The description of models


def free(model: Model) -> tuple[str, ...]:
    return tuple(sorted(model.free))


def test_names_are_implied_and_told_apart() -> None:
    assert free(parse_model("gauss + exp", "x", 0, 1)) == ("lam", "mu", "n_background", "n_signal", "sigma")
    two = parse_model("a = gauss + b = gauss(sigma=s) + poly2", "x", 0, 1)
    assert free(two) == ("a_mu", "b_mu", "c1", "c2", "n_a", "n_b", "n_background", "s", "sigma")
    assert [one.name for one in parse_model("gauss + cb + exp + poly1", "x", 0, 1).categories[0].components] == [
        "gauss_1",
        "cb_2",
        "exp_3",
        "poly1_4",
    ]
    strength = parse_model("mu * gauss + exp", "x", 0, 1)
    assert set(strength.free) == {"mu", "signal_mu", "sigma", "n_background", "lam"}


def test_numbers_are_fixed_start_values_are_free() -> None:
    model = parse_model("gauss(x, mean=0.25, width=0.1?) + exp(slope=-1e0)", "x", 0, 1)
    assert model.parameters["mu"].fixed and model.parameters["mu"].value == 0.25
    assert not model.parameters["sigma"].fixed and model.parameters["sigma"].given
    assert model.parameters["lam"].fixed and model.parameters["lam"].value == -1
    assert free(model) == ("n_background", "n_signal", "sigma")


def test_categories_share_what_is_named_or_said_to_be_shared() -> None:
    text = "mu * 10 * gauss(mu=m, sigma=1) + exp"
    model = parse_model({"a": text, "b": text}, "x", 0, 9, shared=["lam"])
    assert free(model) == ("lam", "m", "mu", "n_background_a", "n_background_b")
    with pytest.raises(WrongInput, match=r"shared: no parameter 'lamb' is implied\. Did you mean lam"):
        parse_model({"a": text, "b": text}, "x", 0, 9, shared=["lamb"])
    start = parse_model({"a": "gauss + exp", "b": "gauss(mu=4?) + exp"}, "x", 0, 9, shared=["mu"])
    assert start.parameters["mu"].value == 4 and start.parameters["mu"].given
    with pytest.raises(WrongInput, match=r"mu is one parameter, but 3 here and 4\? there"):
        parse_model({"a": "gauss(mu=3) + exp", "b": "gauss(mu=4?) + exp"}, "x", 0, 9, shared=["mu"])


def test_params_change_parameters() -> None:
    given = {"mu": {"value": 124, "limits": [120, 130]}, "sigma": {"fixed": True}, "lam": {"limits": [None, 0]}}
    model = parse_model("gauss(sigma=2?) + exp", "x", 105, 160, parameters=given)
    mu, lam = model.parameters["mu"], model.parameters["lam"]
    assert (mu.value, mu.low, mu.high, mu.given, mu.fixed) == (124, 120, 130, True, False)
    assert (lam.low, lam.high, lam.given) == (None, 0, False)
    assert model.parameters["sigma"].fixed and model.parameters["sigma"].value == 2
    bound = parse_model("gauss + exp", "x", 105, 160, constraints={"mu": [125, 0.2]})
    assert bound.parameters["mu"].value == 125 and not bound.parameters["mu"].fixed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DSBC + exp", r"no shape 'DSBC'\. Did you mean DSCB"),
        ("gauss + poly6", r"no shape 'poly6'\. Did you mean .*poly5"),
        ("gauss(sgima=2) + exp", r"gauss has no parameter 'sgima'\. Did you mean sigma"),
        ("gauss(mu=125GeV) + exp", "'125GeV' is neither a number nor a parameter's name"),
        ("gauss(m_yyy) + exp", r"the observable is 'm_yy'\. Did you mean m_yy"),
        ("gauss +", "'' is not like"),
        ("gauss(mu=125 + exp", "is not like"),
        ("a = gauss + a = exp", "two components are called 'a'"),
        ("2b * gauss + exp", "'2b' is neither a number nor a parameter's name"),
        ("my peak = gauss + exp", "'my peak' cannot be a component's name"),
        ("mu * template(other) + exp", r"no histogram for the template 'other'\. There are: signal"),
        ("gauss(sigma=signal_mu) + mu * exp", "two parameters would be called 'signal_mu'; name one"),
    ],
)
def test_descriptions_that_are_wrong(text: str, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        parse_model(text, "m_yy", LOW, HIGH, templates={"signal": TEMPLATE})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"parameters": {"sigm": {"value": 2}}}, r"parameters: the model has no parameter 'sigm'\. Did you mean sigma"),
        ({"parameters": {"sigma": 2}}, "is wanted, not 2"),
        ({"parameters": {"sigma": {"start": 2}}}, "no key 'start'"),
        ({"parameters": {"sigma": {"limits": [3, 2]}}}, "limits 3 and 2 are not in order"),
        ({"parameters": {"sigma": {"value": 9, "limits": [1, 2]}}}, "the value 9 is outside its limits"),
        ({"constraints": {"m_u": [1, 2]}}, r"constraints: the model has no parameter 'm_u'\. Did you mean mu"),
        ({"constraints": {"sigma": 2}}, r"\[mean, width\] is wanted, not 2"),
        ({"constraints": {"sigma": [2, 0]}}, "the width 0 is not above 0"),
        ({"constraints": {"mu": [125, 1]}}, "mu is fixed: leave it free"),
        ({"shared": ["nothing"]}, "no parameter 'nothing' is implied"),
    ],
)
def test_params_that_are_wrong(more: dict[str, Any], message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        parse_model("gauss(mu=125) + exp", "m_yy", LOW, HIGH, **more)


def test_a_power_law_needs_a_positive_range() -> None:
    with pytest.raises(WrongInput, match="a power law needs a range above 0"):
        parse_model("power", "x", -1, 1)
    with pytest.raises(WrongInput, match="3 is not below 2"):
        parse_model("exp", "x", 3, 2)


# Likelihoods


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["unbinned", "binned", "weighted"])
def test_gradients_agree_with_finite_differences(name: str, kind: str) -> None:
    model = build(name)
    rng = np.random.default_rng(4)
    edges = {one.name: np.linspace(LOW, HIGH, 12) for one in model.categories}
    data: dict[str, Any] = dict(toy(model, rng, edges=edges if kind == "binned" else None))
    if kind == "weighted":
        data = {key: make_events(one.x, LOW, HIGH, rng.uniform(0.5, 1.5, len(one.x))) for key, one in data.items()}
    likelihood = Likelihood(model, data)
    values = np.array([moved(model)[one] for one in likelihood.names])
    gradient = likelihood.gradient(values.tolist())
    for place, value in enumerate(values):
        step = 1e-5 * max(abs(value), 0.1)
        sides = [np.where(np.arange(len(values)) == place, value + sign * step, values) for sign in (1, -1)]
        slope = (likelihood(sides[0].tolist()) - likelihood(sides[1].tolist())) / (2 * step)
        assert gradient[place] == pytest.approx(slope, rel=2e-4, abs=2e-4 * (1 + abs(slope))), likelihood.names[place]


def test_a_binned_likelihood_is_that_of_poisson() -> None:
    model = build("template")
    data = toy(model, np.random.default_rng(1), edges={"all": TEMPLATE[0]})
    likelihood = Likelihood(model, data)
    counts = data["all"]
    assert isinstance(counts, Counts)

    def poisson(values: Mapping[str, float]) -> float:
        total = np.sum(list(expected(model, "all", TEMPLATE[0], values).values()), axis=0)
        return float(sum(m - n * math.log(m) for m, n in zip(total, counts.counts, strict=True)))

    other = moved(model)
    change = at(likelihood, other) - at(likelihood, model.values)
    assert change == pytest.approx(poisson(other) - poisson(model.values), abs=1e-9)


def test_fine_bins_are_as_good_as_none() -> None:
    model = build("tails").changed({}, fixed=("mu", "sigma", "alpha_l", "n_l", "alpha_r", "n_r"))
    data = toy(model, np.random.default_rng(2))
    events = data["all"]
    assert isinstance(events, Events)
    unbinned = minimise(Likelihood(model, data))
    binned = minimise(Likelihood(model, {"all": make_counts(events, np.linspace(LOW, HIGH, 5001))}))
    for name in unbinned.free:
        assert abs(unbinned.values[name] - binned.values[name]) < 0.01 * unbinned.errors[name]
        assert unbinned.errors[name] == pytest.approx(binned.errors[name], rel=1e-3)


def test_the_weights_of_a_sum_are_those_of_its_events() -> None:
    """A yield alone: its estimate is the sum of weights, its error the root of the sum of squares."""
    rng = np.random.default_rng(5)
    weights = rng.uniform(-0.5, 2.0, 800)
    x = rng.uniform(0, 1, 800)
    data = {"all": make_events(x, 0, 1, weights)}
    result = minimise(Likelihood(parse_model("exp(lam=0)", "x", 0, 1).changed({"n_background": 500.0}), data))
    assert result.values["n_background"] == pytest.approx(weights.sum(), rel=1e-6)
    assert result.errors["n_background"] == pytest.approx(math.sqrt((weights**2).sum()), rel=1e-3)


def test_weighted_errors_are_those_of_the_sandwich() -> None:
    """The slope of an exponential, with derivatives written by hand."""
    rng = np.random.default_rng(6)
    x = np.sort(-np.log1p(rng.random(4000) * np.expm1(-2.0)) / 2.0)
    weights = np.exp(1.5 * x)
    result = minimise(Likelihood(parse_model("exp", "x", 0, 1), {"all": make_events(x, 0, 1, weights)}, extended=False))
    grid = (np.arange(20_000) + 0.5) / 20_000

    def moments(lam: float) -> tuple[float, float]:
        density = np.exp(lam * grid) / np.exp(lam * grid).sum()
        mean = float(density @ grid)
        return mean, float(density @ (grid - mean) ** 2)

    lam = brentq(lambda one: moments(one)[0] - weights @ x / weights.sum(), -5, 5)
    mean, variance = moments(lam)
    error = math.sqrt((weights**2 * (x - mean) ** 2).sum()) / (weights.sum() * variance)
    assert result.values["lam"] == pytest.approx(lam, abs=1e-5)
    assert result.errors["lam"] == pytest.approx(error, rel=1e-4)
    assert lam == pytest.approx(-0.5, abs=4 * error)


def test_weights_common_to_all_events_change_no_shape() -> None:
    model = build("tails")
    alone = dataclasses.replace(
        model, categories=(dataclasses.replace(model.categories[0], components=model.categories[0].components[:1]),)
    )
    x = toy(alone.changed({"n_signal": 5000.0}), np.random.default_rng(7))["all"]
    assert isinstance(x, Events)
    plain = minimise(Likelihood(alone, {"all": x}, extended=False))
    light = minimise(Likelihood(alone, {"all": make_events(x.x, LOW, HIGH, np.full(len(x.x), 1e-3))}, extended=False))
    for name in ("mu", "sigma", "alpha_l", "n_l"):
        assert light.values[name] == pytest.approx(plain.values[name], abs=1e-3 * plain.errors[name])
        assert light.errors[name] == pytest.approx(plain.errors[name], rel=0.25)


def test_a_constraint_counts_as_much_as_its_width_says_beside_weighted_events() -> None:
    """1000 events of weight 0.01 are worth 1000 events, not 10."""
    rng = np.random.default_rng(8)
    x = rng.normal(125, 2, 1000)
    model = parse_model("gauss(sigma=2)", "m", 100, 150, constraints={"mu": [126.0, 2 / math.sqrt(1000)]})
    model = model.changed({"n_signal": 10.0})
    result = minimise(Likelihood(model, {"all": make_events(x, 100, 150, np.full(1000, 0.01))}))
    assert result.values["mu"] == pytest.approx(0.5 * (126 + x.mean()), abs=1e-3)
    assert result.errors["mu"] == pytest.approx(2 / math.sqrt(2000), rel=0.05)


# Minimisation


def test_against_another_minimiser() -> None:
    """scipy and a numerical Hessian on the binned likelihood, written anew."""
    model = build("exponential of a polynomial")
    edges = np.linspace(LOW, HIGH, 56)
    data = toy(model, np.random.default_rng(9), edges={"all": edges})
    counts = data["all"]
    assert isinstance(counts, Counts)
    nodes, node_weights = np.polynomial.legendre.leggauss(8)
    x = 0.5 * (edges[1:] + edges[:-1])[:, None] + 0.5 * np.diff(edges)[:, None] * nodes
    z = (2 * x - LOW - HIGH) / (HIGH - LOW)

    def nll(values: Sequence[float]) -> float:
        n_signal, n_background, c1, c2 = values
        peak = np.exp(-0.5 * ((x - 125) / 2) ** 2) @ node_weights
        smooth = np.exp(c1 * z + c2 * z**2) @ node_weights
        total = n_signal * peak / peak.sum() + n_background * smooth / smooth.sum()
        return float((total - counts.counts * np.log(total)).sum())

    scale = np.array([60.0, 80.0, 0.03, 0.05])
    found = minimize(lambda one: nll(one * scale), np.array([300, 3000, -0.6, 0.1]) / scale, method="BFGS", tol=1e-8)
    best = found.x * scale
    hessian = np.zeros((4, 4))
    steps = 0.05 * scale
    for i in range(4):
        for j in range(4):
            signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
            unit = np.eye(4)
            ends = [nll(best + a * steps[i] * unit[i] + b * steps[j] * unit[j]) for a, b in signs]
            hessian[i, j] = (ends[0] - ends[1] - ends[2] + ends[3]) / (4 * steps[i] * steps[j])
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    result = minimise(Likelihood(model, data))
    for place, name in enumerate(("n_signal", "n_background", "c1", "c2")):
        assert abs(result.values[name] - best[place]) < 1e-3 * errors[place]
        assert result.errors[name] == pytest.approx(errors[place], rel=2e-3)
    assert result.valid and result.accurate and result.edm < 1e-6


def test_minos_of_a_poisson_number() -> None:
    """With n events the interval ends where m - n log(m) has risen by a half."""
    x = np.full(9, 125.0) + np.linspace(-1, 1, 9)
    model = parse_model("gauss(mu=125, sigma=2)", "m", 100, 150).changed({"n_signal": 5.0})
    result = minimise(Likelihood(model, {"all": make_events(x, 100, 150)}), minos=["n_signal"])

    def rise(m: float) -> float:
        return m - 9 - 9 * math.log(m / 9) - 0.5

    ends = (brentq(rise, 1, 9) - 9, brentq(rise, 9, 30) - 9)
    assert result.values["n_signal"] == pytest.approx(9, abs=1e-4)
    assert result.errors["n_signal"] == pytest.approx(3, rel=1e-3)
    assert result.minos["n_signal"] == pytest.approx(ends, abs=2e-3)
    scanned = profile(Likelihood(model, {"all": make_events(x, 100, 150)}), result, "n_signal")
    assert scanned is not None
    for value, height in zip(scanned["values"], scanned["two_delta_nll"], strict=True):
        assert height == pytest.approx(2 * (rise(value) + 0.5) if value > 0 else height, abs=1e-6)


def test_a_parameter_at_its_limit_is_held_there() -> None:
    model = parse_model("gauss(mu=125, sigma=2) + exp", "m", LOW, HIGH, parameters={"lam": {"limits": [-0.03, -0.01]}})
    data = toy(model.changed({"n_signal": 200.0, "n_background": 5000.0, "lam": -0.05}), np.random.default_rng(1))
    result = minimise(Likelihood(with_starts(model, data), data))
    assert result.at_limit == ("lam",)
    assert (result.values["lam"], result.errors["lam"]) == (-0.03, 0)
    held = minimise(Likelihood(with_starts(model, data), data), fixed={"lam": -0.03})
    for name in ("n_signal", "n_background"):
        assert result.values[name] == pytest.approx(held.values[name], abs=1e-3 * held.errors[name])
        assert result.errors[name] == pytest.approx(held.errors[name], rel=1e-4)


def test_all_parameters_at_their_limits() -> None:
    model = parse_model("50 * gauss(mu=125, sigma=2) + exp(lam=0)", "m", LOW, HIGH)
    x = np.full(20, 125.0) + np.linspace(-3, 3, 20)
    result = minimise(Likelihood(model.changed({"n_background": 3.0}), {"all": make_events(x, LOW, HIGH)}))
    assert result.at_limit == ("n_background",) and result.valid
    assert (result.values["n_background"], result.errors["n_background"]) == (0, 0)


def test_what_the_data_do_not_determine_is_named() -> None:
    """The tails of a Crystal Ball begin where a sharp Gaussian has no events."""
    x = np.random.default_rng(3).normal(125, 1, 300)
    light = make_events(x, LOW, HIGH, np.full(300, 0.02))
    for one in (make_events(x, LOW, HIGH), light, make_counts(light, np.linspace(LOW, HIGH, 221))):
        data: Data = {"all": one}
        model = with_starts(parse_model("DSCB", "m", LOW, HIGH), data)
        result = minimise(Likelihood(model, data, extended=False))
        held = {*result.undetermined, *result.at_limit}
        assert {"n_l", "n_r"} <= held and result.undetermined and not result.accurate
        assert all(result.errors[name] == 0 for name in held)
        assert result.values["mu"] == pytest.approx(x.mean(), abs=0.02)
        assert result.errors["mu"] == pytest.approx(1 / math.sqrt(300), rel=0.15)


def test_a_tail_that_begins_behind_the_last_event_is_not_determined() -> None:
    """The likelihood has a curvature there, from the integral alone, that would look like an error."""
    x = np.random.default_rng(20).normal(125, 1, 300)
    data = {"all": make_events(x, LOW, HIGH)}
    result = minimise(Likelihood(with_starts(parse_model("DSCB", "m", LOW, HIGH), data), data, extended=False))
    assert (result.values["mu"] - x.min()) / result.values["sigma"] < result.values["alpha_l"] < 5
    assert "alpha_l" in result.undetermined and result.errors["alpha_l"] == 0


def test_of_two_parameters_with_the_same_effect_one_is_held() -> None:
    model = parse_model("a * b * gauss(mu=125, sigma=2)", "m", LOW, HIGH).changed({"a": 9.0, "b": 8.0})
    result = minimise(Likelihood(model, {"all": make_events(np.linspace(122, 128, 81), LOW, HIGH)}))
    assert len(result.undetermined) == 1
    (other,) = {"a", "b"} - set(result.undetermined)
    assert result.values["a"] * result.values["b"] == pytest.approx(81, rel=1e-4)
    assert result.errors[other] / result.values[other] == pytest.approx(1 / 9, rel=1e-2)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_polynomials_within_their_limits_have_an_integral(degree: int) -> None:
    shape = make_shape(f"poly{degree}", LOW, HIGH)
    bounds = [(low, high) for _, low, high in shape.defaults()]
    for corner in itertools.product(*bounds):
        assert shape.integrals(np.array([LOW, HIGH]), [float(one or 0) for one in corner])[0] > 0.1 * (HIGH - LOW)


def test_nothing_is_determined() -> None:
    model = parse_model("0 * gauss + 50 * exp(lam=0)", "m", LOW, HIGH)
    result = minimise(Likelihood(model, {"all": make_events(np.linspace(110, 150, 50), LOW, HIGH)}))
    assert set(result.undetermined) == {"mu", "sigma"} and not result.accurate
    assert not result.covariance.any()


def test_starts_find_peaks_where_they_are() -> None:
    rng = np.random.default_rng(10)
    for place in (112.0, 125.0, 148.0):
        true = parse_model(f"gauss(mu={place}, sigma=1.5) + exppoly2", "m", LOW, HIGH)
        true = true.changed({"n_signal": 400.0, "n_background": 8000.0, "c1": -0.8, "c2": 0.2})
        data = toy(true, rng)
        model = with_starts(parse_model("gauss + exppoly2", "m", LOW, HIGH), data)
        assert model.values["mu"] == pytest.approx(place, abs=1.5)
        result = minimise(Likelihood(model, data))
        assert result.valid and abs(result.values["mu"] - place) < 4 * result.errors["mu"]
    two = parse_model("a=gauss(mu=115, sigma=1.5) + b=gauss(mu=140, sigma=1.5) + exp", "m", LOW, HIGH)
    two = two.changed({"n_a": 300.0, "n_b": 300.0, "n_background": 5000.0, "lam": -0.02})
    data = toy(two, rng)
    model = with_starts(parse_model("a=gauss + b=gauss + exp", "m", LOW, HIGH), data)
    places = sorted(minimise(Likelihood(model, data)).values[name] for name in ("a_mu", "b_mu"))
    assert places == pytest.approx([115, 140], abs=1.5)


def test_pulls_of_toys() -> None:
    """Injected signal comes back without bias, and errors are what the spread is: 80 unbinned fits."""
    model = parse_model(f"{PEAK} + exp", "m_yy", LOW, HIGH)
    true = {**model.values, "n_signal": 300.0, "n_background": 3000.0, "lam": -0.025}
    model, rng, number = model.changed(true), np.random.default_rng(11), 80
    pulls = []
    for _ in range(number):
        data = toy(model, rng)
        result = minimise(Likelihood(with_starts(parse_model(f"{PEAK} + exp", "m_yy", LOW, HIGH), data), data))
        assert result.valid and result.accurate
        pulls.append([(result.values[name] - true[name]) / result.errors[name] for name in result.free])
    print("pulls:", result.free, np.mean(pulls, axis=0), np.std(pulls, axis=0, ddof=1))
    assert np.abs(np.mean(pulls, axis=0)).max() < 3.2 / math.sqrt(number)
    assert np.abs(np.std(pulls, axis=0, ddof=1) - 1).max() < 3.2 / math.sqrt(2 * number)


def test_pulls_of_weighted_toys() -> None:
    """The same for events of two weights: the naive curvature would give pulls that are too wide by 1.36."""
    model = parse_model("gauss(mu=125, sigma=2) + exp", "m_yy", LOW, HIGH)
    true = {"n_signal": 150.0, "n_background": 1500.0, "lam": -0.025}
    rng, number, pulls = np.random.default_rng(12), 80, []
    for _ in range(number):
        parts: list[Any] = [
            toy(model, rng, {**true, "n_signal": 75 / w, "n_background": 750 / w})["all"] for w in (1, 3)
        ]
        x = np.concatenate([one.x for one in parts])
        weights = np.repeat([1.0, 3.0], [len(one.x) for one in parts])
        data = {"all": make_events(x, LOW, HIGH, weights)}
        result = minimise(Likelihood(with_starts(model, data), data))
        pulls.append([(result.values[name] - true[name]) / result.errors[name] for name in ("n_signal", "lam")])
    assert np.abs(np.mean(pulls, axis=0)).max() < 3.2 / math.sqrt(number)
    assert np.abs(np.std(pulls, axis=0, ddof=1) - 1).max() < 3.2 / math.sqrt(2 * number)


def test_asimov_data_give_back_their_values() -> None:
    for name in MODELS:
        model = dataclasses.replace(build(name), constraints={})
        result = minimise(Likelihood(model, asimov(model)), start=moved(model))
        assert result.valid and set(result.undetermined) <= {"n_l", "n_r"}, "300 events have short tails"
        for one in set(result.free) - set(result.undetermined):
            assert abs(result.values[one] - model.values[one]) < 0.01 * result.errors[one], (name, one)


# HS3


@pytest.mark.parametrize("name", MODELS)
def test_hs3_is_read_back_as_it_was(name: str) -> None:
    model = build(name)
    document = json.loads(json.dumps(write_hs3(model), allow_nan=False))
    again = read_hs3(document)
    assert again.categories == model.categories and dict(again.constraints) == dict(model.constraints)
    for key, one in model.parameters.items():
        assert dataclasses.replace(one, given=True) == again.parameters[key]
    data = toy(model, np.random.default_rng(13))
    assert at(Likelihood(again, data), moved(model)) == at(Likelihood(model, data), moved(model))
    assert write_hs3(again) == document


def hs3_density(one: Mapping[str, Any], x: np.ndarray, values: Mapping[str, float]) -> np.ndarray:
    """A distribution of HS3 0.2, not normalised, by the words of the standard alone."""

    def number(key: str) -> float:
        word = one[key]
        return values[word] if isinstance(word, str) else float(word)

    kind = one["type"]
    z = (2 * x - LOW - HIGH) / (HIGH - LOW)
    if kind == "gaussian_dist":
        return np.exp(-0.5 * ((x - number("mean")) / number("sigma")) ** 2)
    if kind == "exponential_dist":
        return np.exp(-number("c") * x)
    if kind in ("crystalball_doublesided_dist", "crystalball_dist"):
        double = kind != "crystalball_dist"
        t = (x - number("m0")) / number("sigma_L" if double else "sigma")
        result = np.exp(-0.5 * t * t)
        for side, suffix in ((-1, "_L" if double else ""), *([(1, "_R")] if double else [])):
            alpha, n = number(f"alpha{suffix}"), number(f"n{suffix}")
            tail = side * t > alpha
            result[tail] = (n / alpha) ** n * np.exp(-0.5 * alpha**2) * (n / alpha - alpha + side * t[tail]) ** -n
        return np.asarray(result)
    if kind == "chebychev_dist":
        return np.asarray(np.polynomial.chebyshev.chebval(z, [1, *(values[name] for name in one["coefficients"])]))
    if kind == "bernstein_poly_dist":
        s, last = 0.5 * (1 + z), len(one["coefficients"]) - 1
        given = [values[name] if isinstance(name, str) else name for name in one["coefficients"]]
        terms = [c * math.comb(last, i) * s**i * (1 - s) ** (last - i) for i, c in enumerate(given)]
        return np.asarray(np.sum(terms, axis=0))
    if kind == "histogram_dist":
        edges, contents = np.array(one["data"]["axes"][0]["edges"]), np.array(one["data"]["contents"])
        place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(contents) - 1)
        return np.asarray((contents / np.diff(edges))[place])
    assert kind == "generic_dist"
    names = {**values, "m_yy": x, "exp": np.exp}
    return np.asarray(eval(one["expression"].replace("^", "**"), {"__builtins__": {}}, names))


def hs3_nll(document: Mapping[str, Any], data: Mapping[str, Any], point: Mapping[str, float]) -> float:
    values = dict(point)
    for one in document["functions"]:
        if one["type"] == "product":
            factors = (values[f] if isinstance(f, str) else f for f in one["factors"])
            values[one["name"]] = math.prod(factors)
        else:
            values[one["name"]] = eval(one["expression"], {"__builtins__": {}}, values)
    distributions = {one["name"]: one for one in document["distributions"]}
    measured = {one["name"]: one["value"] for one in document["parameter_points"][0]["parameters"]}
    nodes, weights = np.polynomial.legendre.leggauss(20)
    panels = np.union1d(np.linspace(LOW, HIGH, 2001), TEMPLATE[0])
    grid = (0.5 * (panels[1:] + panels[:-1])[:, None] + 0.5 * np.diff(panels)[:, None] * nodes).ravel()
    steps = (0.5 * np.diff(panels)[:, None] * weights).ravel()
    total = 0.0
    for name in document["likelihoods"][0]["distributions"]:
        mixture = distributions[name]
        assert mixture["type"] == "mixture_dist" and mixture["extended"]
        density = np.zeros(len(data[name].x))
        for summand, coefficient in zip(mixture["summands"], mixture["coefficients"], strict=True):
            norm = hs3_density(distributions[summand], grid, values) @ steps
            density += values[coefficient] * hs3_density(distributions[summand], data[name].x, values) / norm
            total += values[coefficient]
        total -= np.log(density).sum()
    for name in document["likelihoods"][0].get("aux_distributions", []):
        one = distributions[name]
        total += 0.5 * ((measured[one["x"]] - values[one["mean"]]) / one["sigma"]) ** 2
    return total


@pytest.mark.parametrize("name", MODELS)
def test_hs3_says_the_same_by_the_words_of_the_standard(name: str) -> None:
    model = build(name)
    data = toy(model, np.random.default_rng(14))
    document = json.loads(json.dumps(write_hs3(model)))
    assert document["metadata"]["hs3_version"] == "0.2"
    likelihood = Likelihood(model, data)
    for point in (model.values, moved(model)):
        assert hs3_nll(document, data, point) == pytest.approx(at(likelihood, point), abs=1e-5)


def test_hs3_values_and_limits_may_be_edited_but_nothing_else() -> None:
    document = json.loads(json.dumps(write_hs3(build("template"))))
    document["parameter_points"][0]["parameters"][0] |= {"value": 2.5, "const": True}
    again = read_hs3(document)
    assert again.parameters["mu"].value == 2.5 and again.parameters["mu"].fixed
    document["distributions"][1]["type"] = "gaussian_dist"
    with pytest.raises(WrongInput, match="the distribution 'all_background' does not agree"):
        read_hs3(document)
    with pytest.raises(WrongInput, match="not an HS3 model that phys/zfit/fit wrote"):
        read_hs3({"distributions": []})


# What is reported


def test_probabilities_are_those_of_chi2() -> None:
    for ndf in (1, 2, 3, 10, 51, 200):
        for value in (0.0, 0.3 * ndf, float(ndf), 2.0 * ndf):
            assert chi2_probability(value, ndf) == pytest.approx(chi2.sf(value, ndf), rel=1e-9, abs=1e-300)


def test_goodness_is_pearsons_and_merges_small_bins() -> None:
    model = parse_model("exp(lam=0)", "x", 0, 4).changed({"n_background": 80.0})
    counts = Counts(edges=np.array([0.0, 1, 2, 3, 4]), counts=np.array([25.0, 15, 22, 18]))
    found = goodness(model, spectra(model, {"all": counts}, ""), 1)
    assert found["chi2"] == pytest.approx((25 + 25 + 4 + 4) / 20)
    assert found["ndf"] == 3 and found["p"] == pytest.approx(chi2.sf(found["chi2"], 3))
    few = goodness(
        model.changed({"n_background": 24.0}), spectra(model.changed({"n_background": 24.0}), {"all": counts}, ""), 1
    )
    assert few["chi2"] == pytest.approx((40 - 12) ** 2 / 12 * 2) and few["ndf"] == 1


def test_goodness_of_toys_is_flat() -> None:
    """p-values of unbinned fits to the right model."""
    model = parse_model("gauss(mu=125, sigma=2) + exp", "m_yy", LOW, HIGH)
    true = {"n_signal": 200.0, "n_background": 4000.0, "lam": -0.02}
    rng, values = np.random.default_rng(15), []
    for _ in range(60):
        data = toy(model, rng, true)
        result = minimise(Likelihood(model.changed(true), data))
        shown = spectra(model.changed(result.values), data, "GeV")
        values.append(goodness(model.changed(result.values), shown, 3)["p"])
    assert np.mean(values) == pytest.approx(0.5, abs=3 * math.sqrt(1 / 12 / 60))
    assert np.std(values) == pytest.approx(math.sqrt(1 / 12), abs=0.08)


def test_goodness_of_weighted_data_uses_their_variance() -> None:
    rng = np.random.default_rng(16)
    x = rng.uniform(0, 1, 20_000)
    data = {"all": make_events(x, 0, 1, np.full(20_000, 0.01))}
    model = parse_model("exp(lam=0)", "x", 0, 1).changed({"n_background": 200.0})
    shown = spectra(model, data, "", 20)
    found = goodness(model, shown, 1)
    assert 0.001 < found["p"] < 0.999
    assert np.std(shown[0]["pulls"]) == pytest.approx(1, abs=0.5)


def test_edges_for_plots_are_round() -> None:
    assert nice_edges(105, 160)[:3] == pytest.approx([105, 106, 107])
    assert np.diff(nice_edges(0, 0.7))[0] == pytest.approx(0.025)
    assert len(nice_edges(100.3, 159.7)) == 51
    assert nice_edges(0, 1, 7) == pytest.approx(np.linspace(0, 1, 8))
    assert nice_edges(0, 1, [0, 0.5, 1]).tolist() == [0, 0.5, 1]


def test_the_parameter_of_interest_is_the_first_free_factor_of_a_peak() -> None:
    assert interesting(parse_model("exp + mu * 5 * gauss", "x", 0, 1)) == "mu"
    assert interesting(parse_model("gauss + exp", "x", 0, 1)) == "n_signal"
    assert interesting(parse_model("5 * gauss + exp", "x", 0, 1)) == "n_background"
    assert interesting(parse_model("5 * exp", "x", 0, 1)) is None


def test_curves_have_the_steps_of_templates() -> None:
    model = build("template")
    curve = spectra(model, asimov(model, edges={"all": TEMPLATE[0]}), "GeV")[0]["curve"]
    x, signal = np.array(curve["x"]), np.array(curve["components"]["signal"])
    step = np.flatnonzero(np.diff(signal) != 0)
    assert len(step) == 9 and (np.diff(x)[step] < 1e-9).all(), "two of the eleven bins are alike"
    background = np.array(curve["components"]["background"])
    area = float((0.5 * (background[1:] + background[:-1]) * np.diff(x)).sum())
    assert area == pytest.approx(3000, rel=1e-4)
