"""Statistical models that the tests of phys/stats share: a workspace, and fits with their data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from tests.wrappers import kit
from wrappers.common.fit_hs3 import write_hs3
from wrappers.common.fit_minimise import minimise
from wrappers.common.likelihood import Counts, Likelihood, make_events
from wrappers.common.model import Model, parse_model

LOW, HIGH = 105.0, 160.0
SPECTRUM = kit.WRAPPERS.parent / "example_workflow" / "resources" / "atlas_2020" / "myy_spectrum.json"
FITTED_SHAPE = {
    "mu": 125.00524202644593,
    "sigma": 1.6953454903672902,
    "alpha_l": 1.5033092312769356,
    "n_l": 4.803797038564053,
    "alpha_r": 1.7900670614595677,
    "n_r": 8.116346201563225,
}
"""The fit to the simulation of the benchmark toy."""


def workspace(observed: list[float]) -> dict[str, Any]:
    """Return a signal on a background with a normalisation, a shape, and a bin-by-bin uncertainty."""
    modifiers = [
        {"name": "norm", "type": "normsys", "data": {"hi": 1.1, "lo": 0.92}},
        {"name": "shape", "type": "histosys", "data": {"hi_data": [52.0, 51.0], "lo_data": [48.0, 53.0]}},
        {"name": "staterror_SR", "type": "staterror", "data": [2.0, 3.0]},
    ]
    samples = [
        {"name": "signal", "data": [12.0, 11.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
        {"name": "background", "data": [50.0, 52.0], "modifiers": modifiers},
    ]
    return {
        "channels": [{"name": "SR", "samples": samples}],
        "observations": [{"name": "SR", "data": observed}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }


def _dscb(x: np.ndarray, mu: float, sigma: float, al: float, nl: float, ar: float, nr: float) -> np.ndarray:
    t = (x - mu) / sigma
    out = np.exp(-0.5 * t * t)
    left, right = t < -al, t > ar
    out[left] = np.exp(-0.5 * al * al) * (al / nl * (nl / al - al - t[left])) ** -nl
    out[right] = np.exp(-0.5 * ar * ar) * (ar / nr * (nr / ar - ar + t[right])) ** -nr
    return out


def _signal(random: np.random.Generator, number: int) -> np.ndarray:
    grid = np.linspace(LOW, HIGH, 200_001)
    density = _dscb(grid, 125.0, 1.7, 1.5, 5.0, 1.8, 8.0)
    cumulative = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(random.random(number), cumulative / cumulative[-1], grid)


def _background(random: np.random.Generator, number: int, slope: float = -0.025) -> np.ndarray:
    a, b = np.exp(slope * LOW), np.exp(slope * HIGH)
    return np.asarray(np.log(a + random.random(number) * (b - a)) / slope)


def _result(
    folder: Path, model: Model, data: Mapping[str, Any], poi: str, settings: dict[str, Any], path: Path
) -> dict[str, Path]:
    """Fit, and write what phys/zfit/fit writes as far as the statistics need it."""
    found = minimise(Likelihood(model, data))
    assert found.valid
    document = {
        "model": write_hs3(model.changed(found.values)),
        "poi": poi,
        "settings": settings,
        "parameters": {name: {"value": value, "error": found.errors[name]} for name, value in found.values.items()},
        "n_events": sum(one.total for one in data.values()),
    }
    (folder / "fit.json").write_text(json.dumps(document), encoding="utf-8")
    return {"fit": folder / "fit.json", "data": path}


def toy_fit(folder: Path) -> dict[str, Path]:
    """Fit the toy of the benchmarks: a DSCB fixed by simulation, on an exponential, 30,427 events."""
    random = np.random.default_rng(42)
    _signal(random, 100_000)  # the simulation: only its random numbers count here
    numbers = random.poisson(300), random.poisson(30_000)
    x = random.permutation(np.concatenate([_signal(random, numbers[0]), _background(random, numbers[1])]))
    np.savez(folder / "toy.npz", m_yy=x)
    shape = ", ".join(f"{name}={value!r}" for name, value in FITTED_SHAPE.items())
    model = parse_model(f"DSCB({shape}) + exp", "m_yy", LOW, HIGH).changed({"n_signal": 250.0, "n_background": 3e4})
    return _result(
        folder, model, {"all": make_events(x, LOW, HIGH)}, "n_signal", {"column": "m_yy"}, folder / "toy.npz"
    )


def fitted(folder: Path, *, events: tuple[int, int], seed: int) -> dict[str, Path]:
    """Fit a Gaussian of known place and width on an exponential to few events."""
    random = np.random.default_rng(seed)
    peak = norm.rvs(125, 2, size=events[0], random_state=random)
    x = np.concatenate([peak, _background(random, events[1])])
    np.savez(folder / "few.npz", m_yy=x)
    model = parse_model("gauss(mu=125, sigma=2) + exp", "m_yy", LOW, HIGH)
    model = model.changed({"n_signal": float(events[0]), "n_background": float(events[1]), "lam": -0.02})
    return _result(
        folder, model, {"all": make_events(x, LOW, HIGH)}, "n_signal", {"column": "m_yy"}, folder / "few.npz"
    )


def atlas_spectrum(folder: Path) -> dict[str, Path]:
    """Fit a cubic background and the expected signal to the spectrum of the ATLAS 2020 release."""
    spectrum = json.loads(SPECTRUM.read_text(encoding="utf-8"))
    edges = np.array(spectrum["bin_edges"], dtype=float)
    template = {"signal": (edges.tolist(), spectrum["signal"]["expected_counts"])}
    model = parse_model("signal = mu * template + poly3", "m_yy", LOW, HIGH, templates=template)
    background = next(name for name in model.free if name.startswith("n_"))
    data = {"all": Counts(edges=edges, counts=np.array(spectrum["counts"], dtype=float))}
    model = model.changed({"mu": 1.0, background: float(spectrum["n_events"])})
    return _result(folder, model, data, "mu", {}, SPECTRUM)
