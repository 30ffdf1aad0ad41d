"""phys/zfit/fit: results against truth, against likelihoods written anew, against zfit and published numbers."""

from __future__ import annotations

import json
import math
import re
import runpy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.optimize import brentq, minimize

from tests.wrappers import kit
from wrappers.common.fit_data import read_data
from wrappers.common.fit_hs3 import read_hs3
from wrappers.common.histograms import write_histograms
from wrappers.common.job import WrongInput
from wrappers.common.likelihood import Likelihood

WRAPPER = "phys/zfit/fit"
LOW, HIGH = 105.0, 160.0
SPECTRUM = kit.WRAPPERS.parent / "example_workflow" / "resources" / "atlas_2020" / "myy_spectrum.json"
SHAPE = {"mu": 125.0, "sigma": 1.7, "alpha_l": 1.5, "n_l": 5.0, "alpha_r": 1.8, "n_r": 8.0}
"""The true signal of the tests' data."""
M_YY: dict[str, Any] = {"observable": "m_yy", "range": [105, 160]}


def dscb(x: np.ndarray, mu: float, sigma: float, al: float, nl: float, ar: float, nr: float) -> np.ndarray:
    """The double-sided Crystal Ball as textbooks write it, not normalised."""
    t = (x - mu) / sigma
    out = np.exp(-0.5 * t * t)
    left, right = t < -al, t > ar
    out[left] = np.exp(-0.5 * al * al) * (al / nl * (nl / al - al - t[left])) ** -nl
    out[right] = np.exp(-0.5 * ar * ar) * (ar / nr * (nr / ar - ar + t[right])) ** -nr
    return out


def peak(rng: np.random.Generator, number: int, **changed: float) -> np.ndarray:
    grid = np.linspace(LOW, HIGH, 100_001)
    sums = np.cumsum(dscb(grid, *{**SHAPE, **changed}.values()))
    return np.asarray(np.interp(rng.random(number) * sums[-1], sums, grid))


def falling(rng: np.random.Generator, number: int, slope: float) -> np.ndarray:
    a, b = np.exp(slope * LOW), np.exp(slope * HIGH)
    return np.asarray(np.log(a + rng.random(number) * (b - a)) / slope)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pseudo-data in two categories (100 and 200 signal events), and simulated signal with weights."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(21)
    parts = [peak(rng, 100), falling(rng, 1000, -0.02), peak(rng, 200, sigma=2.4), falling(rng, 2500, -0.03)]
    category = np.repeat([0, 0, 1, 1], [len(one) for one in parts])
    np.savez(folder / "data.npz", m_yy=np.concatenate(parts), category=category, m_jj=np.ones(len(category)))
    mass = peak(rng, 12_000)
    np.savez(folder / "signal.npz", m_yy=mass, w=rng.choice([0.02, 0.03], 12_000), category=rng.integers(0, 2, 12_000))
    return folder


def fit(
    folder: Path, inputs: Any, *, plot: str | None = None, hs3: bool = False, **params: Any
) -> tuple[dict[str, Any], str]:
    outputs = {"fit": folder / "fit.json"}
    if plot:
        outputs["plot"] = folder / plot
    if hs3:
        outputs["hs3"] = folder / "hs3.json"
    log = kit.call(WRAPPER, folder, input=inputs, output=outputs, params=params)
    found: dict[str, Any] = json.loads(outputs["fit"].read_text(encoding="utf-8"))
    return found, log


def pull(row: dict[str, Any], truth: float) -> float:
    return float((row["value"] - truth) / row["error"])


def inked(path: Path) -> float:
    """Share of the pixels of a picture that are not white."""
    with Image.open(path) as image:
        return float((np.asarray(image.convert("L")) < 250).mean())


def test_snakefile(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    results = {path.stem: json.loads(path.read_text()) for path in (folder / "results").glob("*.json")}
    assert all(results[name]["valid"] for name in ("unbinned", "strength", "categories", "shapes"))

    unbinned = results["unbinned"]
    table, shape = unbinned["parameters"], unbinned["shape_fits"]["signal"]
    assert set(shape["fixed"]) == set(SHAPE) and all(table[name]["fixed"] for name in SHAPE)
    assert all(table[name]["value"] == shape["parameters"][name]["value"] for name in SHAPE)
    assert shape["yield"] == pytest.approx(300, rel=0.01) and shape["n_events"] == 20_000
    assert unbinned["n_events"] == 12_600 and unbinned["poi"] == "n_signal"
    assert abs(pull(table["n_signal"], 600)) < 3
    assert table["n_signal"]["value"] + table["n_background"]["value"] == pytest.approx(12_600, rel=1e-6)
    assert results["unbinned.hs3"]["metadata"]["hs3_version"] == "0.2"
    assert results["unbinned.hs3"]["misc"]["provenance"] == unbinned["provenance"]

    mu = results["strength"]["parameters"]["mu"]
    assert abs(pull(mu, 2)) < 3 and mu["minos"][0] < -0.15 < 0.15 < mu["minos"][1]
    both = results["categories"]
    assert abs(pull(both["parameters"]["mu"], 1)) < 3 and abs(pull(both["parameters"]["m_h"], 125)) < 3
    assert [one["category"] for one in both["spectra"]] == ["narrow", "wide"]
    narrow, wide = (both["parameters"][f"sigma_{name}"]["value"] for name in ("narrow", "wide"))
    assert narrow == pytest.approx(1.4, abs=0.05) and wide == pytest.approx(2.2, abs=0.08)
    shapes = results["shapes"]
    assert shapes["settings"]["binning"]["all"][:2] == [105, 105.5] and 50 < shapes["gof"]["ndf"] <= 104
    assert abs(pull(shapes["parameters"]["mu"], 125)) < 3

    assert (folder / "results/strength.pdf").read_bytes().startswith(b"%PDF")
    for name in ("unbinned", "categories"):
        assert 0.02 < inked(folder / f"results/{name}.png") < 0.5
    assert "n_signal" in (folder / "logs/unbinned.log").read_text()


# Against other code


def test_unbinned_against_a_likelihood_written_anew(tmp_path: Path, files: Path) -> None:
    """The extended likelihood with trapezoids as integrals, minimised by iminuit with its own derivatives."""
    from iminuit import Minuit

    shape = ", ".join(f"{name}={value}" for name, value in SHAPE.items())
    found, _ = fit(tmp_path, [files / "data.npz"], model=f"DSCB({shape}) + exp", **M_YY, minos=["n_signal"])
    x = np.load(files / "data.npz")["m_yy"]
    grid = np.linspace(LOW, HIGH, 40_001)
    signal = dscb(x, *SHAPE.values()) / np.trapezoid(dscb(grid, *SHAPE.values()), grid)

    def nll(n_signal: float, n_background: float, lam: float) -> float:
        smooth = np.exp(lam * (x - LOW)) / np.trapezoid(np.exp(lam * (grid - LOW)), grid)
        return float(n_signal + n_background - np.log(n_signal * signal + n_background * smooth).sum())

    minuit = Minuit(nll, n_signal=200, n_background=3000, lam=-0.02)
    minuit.errordef, minuit.tol, minuit.strategy = 0.5, 1e-4, 2
    minuit.migrad()
    minuit.hesse()
    minuit.minos("n_signal")
    for name in ("n_signal", "n_background", "lam"):
        row = found["parameters"][name]
        assert abs(row["value"] - minuit.values[name]) < 1e-3 * minuit.errors[name]
        assert row["error"] == pytest.approx(minuit.errors[name], rel=1e-3)
    ends = minuit.merrors["n_signal"]
    assert found["parameters"]["n_signal"]["minos"] == pytest.approx([ends.lower, ends.upper], rel=2e-3)
    correlation = np.array(minuit.covariance.correlation())
    places = [list(found["parameters"]).index(name) for name in ("n_signal", "n_background", "lam")]
    np.testing.assert_allclose(np.array(found["correlation"])[np.ix_(places, places)], correlation, atol=2e-3)
    assert found["fmin"] == pytest.approx(minuit.fval, abs=1e-3)
    for value, height in zip(found["profile"]["values"], found["profile"]["two_delta_nll"], strict=True):
        minuit.values["n_signal"], minuit.fixed["n_signal"] = value, True
        minuit.migrad()
        assert height == pytest.approx(2 * (minuit.fval - found["fmin"]), abs=2e-3)


def cubic(edges: np.ndarray) -> np.ndarray:
    """Integrals of 1, z, z^2, z^3 over bins, shape (4, m)."""
    z = (2 * edges - edges[0] - edges[-1]) / (edges[-1] - edges[0])
    return np.stack([np.diff(z ** (power + 1)) / (power + 1) for power in range(4)])


def test_template_on_the_atlas_spectrum(tmp_path: Path) -> None:
    """The strength in the 10/fb diphoton spectrum of the 2020 release, and the likelihood with the cubic anew."""
    found, log = fit(tmp_path, [SPECTRUM], model="mu * template + poly3", minos="mu")
    mu = found["parameters"]["mu"]
    assert mu["value"] == pytest.approx(1.11, abs=0.01) and mu["error"] == pytest.approx(0.39, abs=0.01)
    assert found["n_events"] == 76_394 and found["valid"] and found["accurate"]
    assert found["spectra"][0]["observable"] == "m_yy" and found["spectra"][0]["unit"] == "GeV"

    spectrum = json.loads(SPECTRUM.read_text(encoding="utf-8"))
    counts, signal = np.array(spectrum["counts"]), np.array(spectrum["signal"]["expected_counts"])
    basis = cubic(np.array(spectrum["bin_edges"], float))

    def least(strength: float) -> float:
        def nll(rates: np.ndarray) -> float:
            total = strength * signal + rates * 1e4 @ basis
            return float((total - counts * np.log(total)).sum()) if (total > 0).all() else 1e12

        first = np.linalg.lstsq(basis.T * 1e4, counts - strength * signal, rcond=None)[0]
        return float(minimize(nll, first, method="BFGS", options={"gtol": 1e-3}).fun)

    low, middle, high = (least(mu["value"] + step) for step in (-0.05, 0, 0.05))
    slope, curvature = (high - low) / 0.1, (high - 2 * middle + low) / 0.05**2
    assert abs(slope / curvature) < 0.01 * mu["error"]
    down, up = mu["minos"]
    assert least(mu["value"] + down) - middle == pytest.approx(0.5, abs=0.005)
    assert least(mu["value"] + up) - middle == pytest.approx(0.5, abs=0.005)
    assert f"{up:+.4g} (Minos)" in log


@pytest.mark.parametrize(
    ("background", "value", "error"), [("exppoly2", 0.67, 0.36), ("exppoly3", 0.97, 0.38), ("poly4", 1.14, 0.39)]
)
def test_other_backgrounds_of_the_atlas_spectrum(tmp_path: Path, background: str, value: float, error: float) -> None:
    found, _ = fit(tmp_path, [SPECTRUM], model=f"mu*template + {background}", profile=False)
    mu = found["parameters"]["mu"]
    assert mu["value"] == pytest.approx(value, abs=0.02) and mu["error"] == pytest.approx(error, abs=0.02)
    assert found["valid"] and found["profile"] is None and 0.05 < found["gof"]["p"] < 0.95


@pytest.fixture(scope="module")
def zfit() -> Any:
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        for name, value in (("ZFIT_DISABLE_TF_WARNINGS", "1"), ("TF_CPP_MIN_LOG_LEVEL", "3")):
            patch.setenv(name, value)
        return pytest.importorskip("zfit")


@pytest.mark.parametrize("kind", ["unbinned", "binned"])
def test_backends_agree(tmp_path: Path, files: Path, zfit: Any, kind: str) -> None:
    inputs = {"data": files / "data.npz", "signal": files / "signal.npz"}
    params: dict[str, Any] = {"model": "DSCB + exp", **M_YY, "signal_weight": "w", "minos": ["n_signal"]}
    if kind == "binned":
        params["binning"] = 55
    ours, _ = fit(tmp_path, inputs, **params)
    theirs, _ = fit(tmp_path, inputs, **params, backend="zfit")
    assert (ours["backend"], theirs["backend"]) == ("numpy", "zfit")
    assert ours["valid"] and theirs["valid"]
    for one, other in ((ours, theirs), (ours["shape_fits"]["signal"], theirs["shape_fits"]["signal"])):
        compared = 0
        for name, row in one["parameters"].items():
            twin = other["parameters"][name]
            assert abs(row["value"] - twin["value"]) <= 1e-3 * (row["error"] or 1e-3), name
            assert twin["error"] == pytest.approx(row["error"], rel=1e-3), name
            compared += row["error"] > 0
        assert compared >= 3
    assert theirs["parameters"]["n_signal"]["minos"] == pytest.approx(ours["parameters"]["n_signal"]["minos"], rel=1e-3)
    assert theirs["zfit_check"]["compared"] == (kind == "unbinned")
    assert "zfit" in theirs["provenance"]["packages"] and "zfit" not in ours["provenance"]["packages"]


def test_zfit_alone_finds_the_same(tmp_path: Path, files: Path, zfit: Any) -> None:
    """Nothing of ours: zfit's densities, losses, minimiser and errors, unbinned; and its binned likelihood."""
    simulated, x = np.load(files / "signal.npz")["m_yy"], np.load(files / "data.npz")["m_yy"]
    found, _ = fit(tmp_path, {"data": files / "data.npz", "signal": files / "signal.npz"}, model="DSCB + exp", **M_YY)
    space = zfit.Space("x", LOW, HIGH)
    keys = {"mu": "mu", "sigma": "sigma", "alphal": "alpha_l", "nl": "n_l", "alphar": "alpha_r", "nr": "n_r"}
    limits = {"mu": (120, 130), "sigma": (0.1, 10), "alphal": (0.3, 5), "nl": (1.05, 50), "alphar": (0.3, 5)}
    shape = {
        key: zfit.Parameter(f"{key}_alone", SHAPE[name] * 1.05 if key != "mu" else 125.3, *limits.get(key, (1.05, 50)))
        for key, name in keys.items()
    }
    signal = zfit.pdf.DoubleCB(obs=space, **shape)
    minimizer = zfit.minimize.Minuit(tol=1e-6)
    alone = minimizer.minimize(zfit.loss.UnbinnedNLL(signal, zfit.Data(simulated, obs=space)))
    errors = alone.hesse()
    for key, name in keys.items():
        row = found["shape_fits"]["signal"]["parameters"][name]
        assert abs(row["value"] - float(alone.params[shape[key]]["value"])) < 2e-3 * row["error"], name
        assert row["error"] == pytest.approx(float(errors[shape[key]]["error"]), rel=5e-3), name
        shape[key].set_value(found["parameters"][name]["value"])
        shape[key].floating = False
    free = {
        "n_signal": zfit.Parameter("n_signal_alone", 200.0, -1000, 5000),
        "n_background": zfit.Parameter("n_background_alone", 3000.0, 0, 1e5),
        "lam": zfit.Parameter("lam_alone", -0.02, -1, 1),
    }
    smooth = zfit.pdf.Exponential(free["lam"], obs=space)
    total = zfit.pdf.SumPDF([signal.create_extended(free["n_signal"]), smooth.create_extended(free["n_background"])])
    result = minimizer.minimize(zfit.loss.ExtendedUnbinnedNLL(total, zfit.Data(x, obs=space)))
    errors = result.hesse()
    for name, parameter in free.items():
        row = found["parameters"][name]
        assert abs(row["value"] - float(result.params[parameter]["value"])) < 1e-3 * row["error"], name
        assert row["error"] == pytest.approx(float(errors[parameter]["error"]), rel=1e-3), name

    fit(tmp_path, [files / "data.npz"], model="DSCB + exp", **M_YY, binning=55, backend="numpy")
    settings = {"binning": {"all": np.linspace(LOW, HIGH, 56).tolist()}}
    model = read_hs3(found["model"])
    likelihood = Likelihood(model, read_data([str(files / "data.npz")], settings, model))
    import hist

    contents = hist.Hist(hist.axis.Regular(55, LOW, HIGH, name="x"), storage=hist.storage.Weight()).fill(x)
    zfit.run.set_graph_mode(False)
    try:
        binned = zfit.data.BinnedData.from_hist(contents)
        loss = zfit.loss.ExtendedBinnedNLL(total.to_binned(binned.space), binned, options={"subtr_const": False})
        values = []
        for point in ((300.0, 3000.0, -0.025), (330.0, 2950.0, -0.024)):
            given = dict(zip(free, point, strict=True))
            for name, value in given.items():
                free[name].set_value(value)
            full = {**model.values, **given}
            values.append((float(loss.value()), likelihood([full[name] for name in likelihood.names])))
    finally:
        zfit.run.set_graph_mode(True)
    assert values[1][0] - values[0][0] == pytest.approx(values[1][1] - values[0][1], abs=1e-5)


# What the model can say


def test_fixed_parameters_and_a_pulled_constraint(tmp_path: Path, files: Path) -> None:
    model = "gauss(mu=m_h, sigma=2.0) + exp(lam=-0.027?)"
    plain, _ = fit(tmp_path, [files / "data.npz"], model=model, **M_YY)
    sigma = plain["parameters"]["sigma"]
    assert (sigma["value"], sigma["error"], sigma["fixed"]) == (2.0, 0.0, True)
    mean, width = plain["parameters"]["m_h"]["value"] + 0.6, plain["parameters"]["m_h"]["error"]
    bound, _ = fit(tmp_path, [files / "data.npz"], model=model, **M_YY, constraints={"m_h": [mean, width]})
    told = bound["constraint_pulls"]["m_h"]
    assert bound["parameters"]["m_h"]["value"] == pytest.approx(mean - 0.3, abs=0.1), "half way between both"
    assert told["pull"] == pytest.approx((bound["parameters"]["m_h"]["value"] - mean) / width)
    assert told["error"] == pytest.approx(1 / math.sqrt(2), abs=0.08)
    assert bound["gof"]["ndf"] == plain["gof"]["ndf"] + 1
    assert bound["gof"]["chi2"] > plain["gof"]["chi2"] + 0.5 * told["pull"] ** 2
    assert plain["constraint_pulls"] == {}


def test_categories_share_a_strength(tmp_path: Path) -> None:
    """Two counting spectra with known background: the strength from both is the zero of the summed scores."""
    edges = [0.0, 1, 2, 3]
    contents = {"low": ([12, 30, 9], [1.0, 12, 1]), "high": ([40, 44, 41], [2.0, 6, 2])}
    for name, (counts, signal) in contents.items():
        document = {"bin_edges": edges, "counts": counts, "signal": {"expected_counts": signal}, "quantity": "x"}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        (tmp_path / f"{name}_template.json").write_text(json.dumps({"bin_edges": edges, "counts": signal}))
    params: dict[str, Any] = {
        "model": {"low": "mu * template + 30 * exp(lam=0)", "high": "mu * template + 120 * exp(lam=0)"},
        "unit": "",
    }
    inputs = {
        "data": [tmp_path / "low.json", tmp_path / "high.json"],
        "signal": [tmp_path / "low_template.json", tmp_path / "high_template.json"],
    }
    found, _ = fit(tmp_path, inputs, **params)
    n = np.concatenate([np.array(contents[name][0], float) for name in ("low", "high")])
    s = np.concatenate([np.array(contents[name][1]) for name in ("low", "high")])
    b = np.repeat([10.0, 40.0], 3)
    best = brentq(lambda mu: (s - n * s / (mu * s + b)).sum(), 0, 5)
    error = 1 / math.sqrt((n * s**2 / (best * s + b) ** 2).sum())
    mu = found["parameters"]["mu"]
    assert mu["value"] == pytest.approx(best, rel=1e-5) and mu["error"] == pytest.approx(error, rel=1e-3)
    assert list(found["parameters"]) == ["mu", "lam_low", "lam_high"]
    beside, _ = fit(tmp_path, {"data": inputs["data"]}, **params)
    assert beside["parameters"] == found["parameters"], "each spectrum brings its own template"


def test_categories_of_a_column(tmp_path: Path, files: Path) -> None:
    """One description for each value of the column, or for lists of values; shared names are one parameter."""
    inputs = {"data": files / "data.npz", "signal": files / "signal.npz"}
    params: dict[str, Any] = {**M_YY, "category": "category", "signal_weight": "w", "profile": False}
    found, log = fit(tmp_path, inputs, model="DSCB + exp", **params, shared=["mu"])
    table = found["parameters"]
    assert {"mu", "sigma_0", "sigma_1", "n_signal_0", "n_signal_1", "lam_0", "lam_1"} <= set(
        table
    ) and "mu_0" not in table
    assert abs(pull(table["n_signal_0"], 100)) < 3 and abs(pull(table["lam_1"], -0.03)) < 3
    assert "1,100 events" in log and "2,700 events" in log
    named, _ = fit(tmp_path, inputs, model={"a": "DSCB + exp", "b": "DSCB + exp"}, **params, shared=["mu"],
                   categories={"a": 0, "b": [1, 2]})  # fmt: skip
    assert named["parameters"]["n_signal_b"] == table["n_signal_1"]
    whole, _ = fit(tmp_path, inputs, model="DSCB + exp", **params, categories={"all": [0, 1]})
    assert whole["n_events"] == 3800


def test_a_constraint_or_a_word_keeps_a_shape_free(tmp_path: Path, files: Path) -> None:
    inputs = {"data": files / "data.npz", "signal": files / "signal.npz"}
    found, _ = fit(
        tmp_path, inputs, model="DSCB(mu=m_h) + exp", **M_YY, constraints={"m_h": [125.0, 0.24]},
        parameters={"sigma": {"fixed": False, "limits": [0.5, 5]}},
    )  # fmt: skip
    table = found["parameters"]
    assert not table["m_h"]["fixed"] and not table["sigma"]["fixed"] and table["alpha_l"]["fixed"]
    assert set(found["shape_fits"]["signal"]["fixed"]) == {"alpha_l", "n_l", "alpha_r", "n_r"}
    assert table["m_h"]["error"] < 0.24 and table["sigma"]["limits"] == [0.5, 5]
    assert table["sigma"]["value"] == pytest.approx(2.1, abs=4 * table["sigma"]["error"])


def test_weighted_data(tmp_path: Path) -> None:
    """Yields are sums of weights, with errors of the sums of squares; all equal weights scale, and nothing else."""
    rng = np.random.default_rng(22)
    x, weights = falling(rng, 3000, -0.03), rng.choice([0.5, 1.0, 2.0], 3000)
    np.savez(tmp_path / "d.npz", m_yy=x, w=weights, one=np.ones(3000), third=np.full(3000, 1 / 3))
    found, _ = fit(tmp_path, [tmp_path / "d.npz"], model="exp", **M_YY, weight="w")
    row = found["parameters"]["n_background"]
    assert row["value"] == pytest.approx(weights.sum()) and found["yield"] == pytest.approx(weights.sum())
    assert row["error"] == pytest.approx(math.sqrt((weights**2).sum()), rel=1e-3)
    assert found["yield_error"] == pytest.approx(math.sqrt((weights**2).sum()))
    assert found["n_events"] == 3000 and found["profile"] is None
    assert abs(pull(found["parameters"]["lam"], -0.03)) < 3
    plain, _ = fit(tmp_path, [tmp_path / "d.npz"], model="exp", **M_YY)
    ones, _ = fit(tmp_path, [tmp_path / "d.npz"], model="exp", **M_YY, weight="one")
    assert ones["parameters"] == plain["parameters"] and ones["profile"]
    third, _ = fit(tmp_path, [tmp_path / "d.npz"], model="exp", **M_YY, weight="third")
    assert third["parameters"]["lam"]["value"] == pytest.approx(plain["parameters"]["lam"]["value"], abs=1e-6)
    assert third["parameters"]["lam"]["error"] == pytest.approx(plain["parameters"]["lam"]["error"], rel=0.05)
    assert third["gof"]["chi2"] == pytest.approx(plain["gof"]["chi2"], rel=1e-3)
    binned, _ = fit(tmp_path, [tmp_path / "d.npz"], model="exp", **M_YY, weight="w", binning=1100)
    for name, row in found["parameters"].items():
        assert abs(binned["parameters"][name]["value"] - row["value"]) < 0.02 * row["error"], "bins of three events"
        assert binned["parameters"][name]["error"] == pytest.approx(row["error"], rel=0.02)
    assert binned["profile"] is None


def test_limits_and_what_is_undetermined_are_told(tmp_path: Path, files: Path) -> None:
    limits = {"lam": {"limits": [-0.02, 0]}}
    found, log = fit(
        tmp_path, [files / "data.npz"], model="gauss(mu=125, sigma=2) + exp", **M_YY, parameters=limits, plot="p.svg"
    )
    assert found["at_limit"] == ["lam"] and found["valid"]
    assert (found["parameters"]["lam"]["value"], found["parameters"]["lam"]["error"]) == (-0.02, 0)
    assert "lam: at a limit; held there" in log
    rng = np.random.default_rng(23)
    np.savez(tmp_path / "thin.npz", m_yy=np.concatenate([rng.normal(125, 1, 2000), falling(rng, 200, -0.03)]))
    found, log = fit(tmp_path, [tmp_path / "thin.npz"], model="DSCB + exp", **M_YY, minos=["n_signal"])
    held = {*found["undetermined"], *found["at_limit"]}
    assert found["undetermined"] and held <= {"alpha_l", "n_l", "alpha_r", "n_r"} and not found["accurate"]
    assert all(found["parameters"][name]["error"] == 0 for name in held)
    places = [list(found["parameters"]).index(name) for name in held]
    assert not np.array(found["covariance"])[places].any()
    assert "not determined by the data" in log and "A simulation (input: signal=...)" in log
    assert abs(pull(found["parameters"]["n_signal"], 2000)) < 3


def test_a_spectrum_that_becomes_negative_is_not_valid(tmp_path: Path) -> None:
    document = {"bin_edges": [0, 1, 2, 3, 4, 5, 6], "counts": [400, 90, 0, 0, 0, 1]}
    (tmp_path / "s.json").write_text(json.dumps(document))
    found, log = fit(tmp_path, [tmp_path / "s.json"], model="poly2", plot="p.svg")
    assert min(found["spectra"][0]["total"]) < 0 and not found["valid"]
    assert "the fitted spectrum is negative somewhere: not valid" in log
    assert "FIT NOT VALID" in (tmp_path / "p.svg").read_text()


# Files


def test_kinds_of_files_agree(tmp_path: Path, files: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import uproot

    x = np.load(files / "data.npz")["m_yy"]
    pq.write_table(pa.table({"m_yy": x}), tmp_path / "d.parquet")
    with uproot.recreate(tmp_path / "d.root") as file:
        file.mktree("mini", {"m_yy": "float64"}).extend({"m_yy": x})
        file.mktree("other", {"m_yy": "float64"}).extend({"m_yy": x[:5]})
    params: dict[str, Any] = {"model": "gauss(mu=125, sigma=2) + exp", "profile": False}
    first, _ = fit(tmp_path, [files / "data.npz"], **params, **M_YY)
    kinds: dict[str, dict[str, Any]] = {"d.parquet": {}, "d.root": {"tree": "mini"}}
    for name, more in kinds.items():
        other, _ = fit(tmp_path, {"data": tmp_path / name}, **params, **M_YY, **more)
        assert other["parameters"] == first["parameters"]
    with pytest.raises(kit.WrapperFailed, match="which tree"):
        fit(tmp_path, [tmp_path / "d.root"], **params, **M_YY)


def test_kinds_of_histograms_agree(tmp_path: Path, files: Path) -> None:
    import hist
    import uproot

    x = np.load(files / "data.npz")["m_yy"]
    params: dict[str, Any] = {"model": "gauss(mu=125, sigma=2) + exp", "profile": False}
    table, _ = fit(tmp_path, [files / "data.npz"], **params, **M_YY, binning=55)
    axis = hist.axis.Regular(60, 100, 160, name="m_yy", label="$m_{yy}$ [GeV]")
    filled = hist.Hist(axis, storage=hist.storage.Weight()).fill(x)
    write_histograms(tmp_path / "h.json", {"m_yy": filled, "other": filled * 2}, {})
    with uproot.recreate(tmp_path / "h.root") as file:
        file["m_yy"] = filled
    counts = {"bin_edges": filled.axes[0].edges.tolist(), "counts": filled.values().tolist(), "unit": "GeV"}
    (tmp_path / "s.json").write_text(json.dumps({**counts, "quantity": "m_yy"}))
    kinds: dict[str, dict[str, Any]] = {
        "h.json": {"histogram": "m_yy"},
        "h.root": {"observable": "m_yy"},
        "s.json": {},
    }
    for name, more in kinds.items():
        other, _ = fit(tmp_path, [tmp_path / name], **params, range=[105, 160], **more)
        assert other["n_events"] == 3800
        assert (other["spectra"][0]["observable"], other["spectra"][0]["unit"]) == ("m_yy", "GeV")
        for key, row in table["parameters"].items():
            assert other["parameters"][key]["value"] == pytest.approx(row["value"], rel=1e-6), (name, key)
            assert other["parameters"][key]["error"] == pytest.approx(row["error"], rel=1e-5), (name, key)
    simulated = {"data": tmp_path / "h.json", "signal": files / "signal.npz"}
    shaped, _ = fit(tmp_path, simulated, model="DSCB + exp", range=[105, 160], histogram="m_yy", signal_weight="w")
    expected = np.load(files / "signal.npz")["w"].sum()
    assert shaped["shape_fits"]["signal"]["yield"] == pytest.approx(expected), "a table beside a histogram"
    assert abs(pull(shaped["parameters"]["n_signal"], 300)) < 3
    with pytest.raises(kit.WrapperFailed, match=r"which histogram.*m_yy, other"):
        fit(tmp_path, [tmp_path / "h.json"], **params)
    with pytest.raises(
        kit.WrapperFailed, match=r"105\.5 is not an edge of a bin; edges near it are 104, 105, 106|edges near"
    ):
        fit(tmp_path, [tmp_path / "s.json"], **params, range=[105.5, 160])


def test_a_table_as_template(tmp_path: Path, files: Path) -> None:
    """The content of a weighted sample is what a strength of one means; unbinned and binned data use it alike."""
    inputs = {"data": files / "data.npz", "signal": files / "signal.npz"}
    params: dict[str, Any] = {"model": "mu * template + exp", **M_YY, "signal_weight": "w", "profile": False}
    unbinned, _ = fit(tmp_path, inputs, **params)
    binned, _ = fit(tmp_path, inputs, **params, binning=110)
    expected = np.load(files / "signal.npz")["w"].sum()
    one, other = (found["parameters"]["mu"] for found in (unbinned, binned))
    assert abs(pull(one, 300 / expected)) < 3
    assert one["value"] == pytest.approx(other["value"], abs=0.3 * one["error"])
    part = next(one for one in unbinned["model"]["misc"]["phys_zfit_fit"]["categories"][0]["components"])
    assert part["factors"][0] == "mu" and part["factors"][1] == pytest.approx(expected, rel=1e-9)
    free, _ = fit(tmp_path, inputs, **{**params, "model": "template + exp"})
    assert free["parameters"]["n_signal"]["value"] == pytest.approx(one["value"] * expected, rel=1e-4)


def test_hs3_of_the_result_is_the_fitted_model(tmp_path: Path, files: Path) -> None:
    inputs = {"data": files / "data.npz", "signal": files / "signal.npz"}
    found, _ = fit(tmp_path, inputs, hs3=True, model="DSCB(mu=m_h) + exp", **M_YY, constraints={"m_h": [125.2, 0.3]})
    written = json.loads((tmp_path / "hs3.json").read_text())
    assert {**written, "misc": None} == {**found["model"], "misc": None}
    model = read_hs3(written)
    assert model.values == {name: row["value"] for name, row in found["parameters"].items()}
    data = read_data([str(files / "data.npz")], found["settings"], model)
    likelihood = Likelihood(model, data)
    assert likelihood([model.values[name] for name in likelihood.names]) == pytest.approx(found["fmin"], abs=1e-9)
    slopes = likelihood.gradient([model.values[name] for name in likelihood.names])
    for name in model.free:
        assert abs(slopes[likelihood.names.index(name)]) * found["parameters"][name]["error"] < 1e-3


def test_the_same_bytes_again(tmp_path: Path, files: Path) -> None:
    inputs = {"data": files / "data.npz", "signal": files / "signal.npz"}
    seen = []
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        outputs = {"fit": "fit.json", "hs3": "hs3.json", "plot": "fit.png"}
        kit.call(WRAPPER, tmp_path, input=inputs, output={key: tmp_path / place / one for key, one in outputs.items()},
                 params={"model": "DSCB + exp", **M_YY, "signal_weight": "w", "minos": True})  # fmt: skip
        seen.append({one: (tmp_path / place / one).read_bytes() for one in outputs.values()})
    assert seen[0] == seen[1]
    text = seen[0]["fit.json"].decode()
    assert str(tmp_path) not in text and str(kit.WRAPPERS) not in text


def test_provenance(tmp_path: Path, files: Path) -> None:
    found, _ = fit(tmp_path, [files / "data.npz"], model="gauss(mu=125, sigma=2) + exp", **M_YY, plot="p.png")
    about = found["provenance"]
    assert about["wrapper"] == WRAPPER and set(about["packages"]) == {"iminuit", "numpy"}
    assert about["inputs"][0]["file"] == "data.npz" and len(about["inputs"][0]["sha256"]) == 64
    assert about["params"]["model"] == "gauss(mu=125, sigma=2) + exp"
    with Image.open(tmp_path / "p.png") as image:
        assert json.loads(image.info["provenance"]) == about


# Plots


def texts(path: Path) -> list[str]:
    return re.findall(r"<!-- (.*?) -->", path.read_text(), flags=re.DOTALL)


def test_a_plot_says_what_it_shows(tmp_path: Path, files: Path) -> None:
    params: dict[str, Any] = {"category": "category", "label": "Toy data", "profile": False}
    found, _ = fit(
        tmp_path, [files / "data.npz"], model={"low": "mu * 10 * gauss(mu=125, sigma=2) + b = exp", "high": "exp"},
        categories={"low": 0, "high": 1}, **M_YY, **params, plot="p.svg",
    )  # fmt: skip
    words = texts(tmp_path / "p.svg")
    assert {"m_yy [GeV]", "Events / GeV", "Pull", "Data", "Fit", "signal", "b", "low", "high"} <= set(words)
    mu = found["parameters"]["mu"]
    assert f"mu = {mu['value']:.1f} ± {mu['error']:.1f}" in "\n".join(words)
    assert words.count("Data") == 2 and words.count("b") == 1, "the only component of a plot needs no name"
    fit(tmp_path, [files / "data.npz"], model="exp", **M_YY, **params, plot="p.png")
    assert 0.02 < inked(tmp_path / "p.png") < 0.5


def drawn(document: dict[str, Any], label: str) -> Any:
    """The figure of a result, laid out."""
    figure = runpy.run_path(str(kit.WRAPPERS / WRAPPER / "wrapper.py"))["draw"](document, label)
    figure.canvas.draw()
    return figure


@pytest.mark.parametrize("components", [1, 2, 5, 9])
def test_texts_do_not_cover_points(tmp_path: Path, components: int) -> None:
    """A flat spectrum with many components: neither legend nor text reach down to the highest error bar."""
    rng = np.random.default_rng(24)
    np.savez(tmp_path / "d.npz", m_yy=rng.uniform(LOW, HIGH, 3000))
    parts = "".join(f"component_{place} = 300 * exp(lam={place / 100}) + " for place in range(1, components))
    found, _ = fit(tmp_path, [tmp_path / "d.npz"], model=f"{parts} exp(lam=0)", **M_YY, bins=11, profile=False)
    figure = drawn(found, "Toy data with a long explanation that needs more than one line")
    axes = figure.axes[0]
    (_, _, (bars,)) = axes.containers[0]
    top = max(bar[:, 1].max() for bar in bars.get_segments())
    edge = axes.transData.transform((LOW, top))[1]
    boxes = [one.get_window_extent() for one in (axes.get_legend(), *axes.texts)]
    assert len(boxes) == 2 and len(axes.get_legend().texts) == 2 + components * (components > 1)
    assert all(box.y0 > edge for box in boxes) and not boxes[0].overlaps(boxes[1])
    assert all(box.y1 < axes.get_window_extent().y1 for box in boxes)


def test_rows_of_plots_do_not_touch(tmp_path: Path, files: Path) -> None:
    """Four categories are two rows: white pixels all across separate the labels of the first from the second."""
    x = np.load(files / "data.npz")["m_yy"]
    np.savez(tmp_path / "d.npz", m_yy=x, category=np.arange(len(x)) % 4)
    label = "Toy data with a long explanation that needs more than one line"
    fit(tmp_path, [tmp_path / "d.npz"], model="exp", **M_YY, category="category", label=label, plot="p.png")
    with Image.open(tmp_path / "p.png") as image:
        shades = np.asarray(image.convert("L"))
    assert shades.shape == (1800, 2880)
    white = np.asarray((shades > 250).all(axis=1))
    assert white[880:915].sum() >= 15 and white[-3:].all() and white[:3].all()


def test_unequal_bins_are_drawn_per_unit(tmp_path: Path, files: Path) -> None:
    edges = [105.0, 110, 115, 120, 122, 124, 126, 128, 130, 140, 150, 160]
    found, _ = fit(tmp_path, [files / "data.npz"], model="exp", **M_YY, binning=edges)
    counts = np.histogram(np.load(files / "data.npz")["m_yy"], edges)[0]
    assert found["spectra"][0]["counts"] == counts.tolist()
    axes = drawn(found, "").axes[0]
    points, _, (bars,) = axes.containers[0]
    np.testing.assert_allclose(points.get_ydata(), counts / np.diff(edges))
    lengths = [bar[1, 1] - bar[0, 1] for bar in bars.get_segments()]
    np.testing.assert_allclose(lengths, 2 * np.sqrt(counts + 0.75) / np.diff(edges), rtol=0.05)
    assert axes.get_ylabel() == "Events / GeV"
    fit(tmp_path, [files / "data.npz"], model="exp", **M_YY, bins=11, plot="p.svg", unit="TeV")
    assert {"Events / 5 TeV", "m_yy [TeV]"} <= set(texts(tmp_path / "p.svg"))


# Mistakes


def mistake(folder: Path, inputs: Any, message: str, *, output: Any = None, **params: Any) -> None:
    """The job ends with this message, without a traceback, before a fit began and with nothing written."""
    outputs = {"fit": folder / "out" / "fit.json"} if output is None else output
    with pytest.raises(kit.WrapperFailed, match=message) as failed:
        kit.call(WRAPPER, folder, input=inputs, output=outputs, params=params)
    text = str(failed.value)
    assert "Traceback" not in text and "distance to the minimum" not in text
    assert not list((folder / "out").glob("*"))


GAUSS: dict[str, Any] = {"model": "gauss(mu=125, sigma=2) + exp", **M_YY}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({**M_YY}, "'model' is missing"),
        ({**GAUSS, "modle": 1}, r"there is no 'modle'\. Did you mean model"),
        ({**GAUSS, "model": 3}, "text such as `DSCB \\+ exp`"),
        ({**GAUSS, "model": "gaus + exp"}, r"no shape 'gaus'\. Did you mean gauss"),
        ({**GAUSS, "model": "gauss(sigam=2) + exp"}, r"gauss has no parameter 'sigam'\. Did you mean sigma"),
        ({**GAUSS, "model": "mu * template + exp"}, "no histogram for the template 'signal'. There are none"),
        ({**GAUSS, "observable": "m_y"}, r"no column 'm_y'\. Did you mean m_yy"),
        ({**GAUSS, "observable": None}, "observable is missing"),
        ({**GAUSS, "range": None}, "range is missing"),
        ({**GAUSS, "range": [160, 105]}, r"range=\[160, 105\]: \[low, high\]"),
        ({**GAUSS, "range": [105, "160"]}, "two rising numbers"),
        ({**GAUSS, "range": [105_000, 160_000]}, "They look like GeV where the range is in MeV"),
        ({**GAUSS, "weight": "weigth"}, "no column 'weigth'"),
        ({**GAUSS, "parameters": {"n_sgnal": {"value": 3}}}, r"no parameter 'n_sgnal'\. Did you mean n_signal"),
        ({**GAUSS, "parameters": ["mu"]}, "name of a parameter"),
        ({**GAUSS, "constraints": {"lamb": [1, 2]}}, r"no parameter 'lamb'\. Did you mean lam"),
        ({**GAUSS, "poi": "nsignal"}, r"poi: the model has no parameter 'nsignal'\. Did you mean n_signal"),
        ({**GAUSS, "poi": "sigma"}, "poi: sigma is fixed in the model"),
        ({**GAUSS, "minos": ["lamda"]}, r"minos: the model has no parameter 'lamda'\. Did you mean lam"),
        ({**GAUSS, "minos": "mu"}, "minos: mu is fixed in the model"),
        ({**GAUSS, "backend": "zift"}, r"backend='zift' is none of auto, numpy, zfit\. Did you mean zfit"),
        ({**GAUSS, "bins": 0}, "bins=0: a number of bins, or a list of rising edges"),
        ({**GAUSS, "binning": [105, 130, 120, 160]}, "a list of rising edges"),
        ({**GAUSS, "binning": [100, 130, 160]}, "edges from 100 to 160 are not those of the range"),
        ({**GAUSS, "categories": {"a": 1}}, "category is missing"),
        ({**GAUSS, "category": "categorie"}, r"no column 'categorie'\. Did you mean category"),
        ({**GAUSS, "category": "category", "categories": {"a": 7}}, r"category is never 7 \('a'\); it is 0, 1"),
        ({**GAUSS, "model": {"a": "exp", "c": "exp"}, "category": "category", "categories": {"a": 0, "b": 1}},
         "there is none for 'c' of the model"),
        ({**GAUSS, "model": {"a": "exp", "b": "exp"}}, "which column tells a, b apart"),
        ({**GAUSS, "shared": "mu_"}, "no parameter 'mu_' is implied"),
    ],
)  # fmt: skip
def test_mistakes_in_params(tmp_path: Path, files: Path, params: dict[str, Any], message: str) -> None:
    mistake(tmp_path, [files / "data.npz"], message, **params)


def test_mistakes_in_inputs(tmp_path: Path, files: Path) -> None:
    data = files / "data.npz"
    mistake(tmp_path, [files / "dta.npz"], r"dta\.npz: no such file\. Did you mean data\.npz", **GAUSS)
    mistake(tmp_path, {"signal": data}, r"data=\.\.\. is missing", **GAUSS)
    mistake(tmp_path, {"data": data, "sgnal": data}, r"no component 'sgnal'\. Did you mean signal", **GAUSS)
    mistake(tmp_path, {"data": [data, data]}, "2 data files need {category: description}", **GAUSS)
    mixed = {**GAUSS, "model": {"a": "exp", "b": "exp"}}
    mistake(tmp_path, {"data": [SPECTRUM, data]}, "tables and histograms cannot be mixed", **mixed)
    free = {**GAUSS, "model": "gauss + exp"}
    mistake(tmp_path, {"data": data, "signal": data}, "mu is fixed by the fit to signal; free it", **free, poi="mu")
    (tmp_path / "text.txt").write_text("1 2 3")
    mistake(tmp_path, [tmp_path / "text.txt"], "tables are read from .parquet", **GAUSS)
    (tmp_path / "broken.json").write_text("{")
    mistake(tmp_path, [tmp_path / "broken.json"], "no JSON", **GAUSS)
    x, three = np.full(50, 125.0), np.ones((50, 3))
    cases: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
        "nan": ({"m_yy": np.where(np.arange(50) == 7, np.nan, x)}, {}, "'m_yy': 1 of 50 values are NaN or infinite"),
        "weight": ({"m_yy": x, "w": np.full(50, np.inf)}, {"weight": "w"}, "'w': 50 of 50 values are NaN or infinite"),
        "negative": ({"m_yy": x, "w": np.full(50, -1.0)}, {"weight": "w"}, "the weights sum up to -50"),
        "zero": ({"m_yy": x, "w": np.zeros(50)}, {"weight": "w"}, "the weights sum up to 0"),
        "mev": ({"m_yy": 1000 * x}, {}, "no 'm_yy' between 105 and 160.*They look like MeV where the range is in GeV"),
        "outside": ({"m_yy": x + 300}, {}, "values go from 425 to 425"),
        "empty": ({"m_yy": x[:0]}, {}, "there are no events in it"),
        "vectors": ({"m_yy": three}, {}, "is not one number per row"),
        "minos": ({"m_yy": x, "w": np.full(50, 2.0)}, {"weight": "w", "minos": True}, "minos: the data are weighted"),
        "bins": ({"m_yy": np.repeat([110.0, 150], 25), "w": np.repeat([-1.0, 2], 25)}, {"weight": "w", "binning": 5},
                 "the bin from 105 to 116 has -25 events: use wider bins"),
    }  # fmt: skip
    for name, (columns, params, message) in cases.items():
        np.savez(tmp_path / f"{name}.npz", **columns)
        mistake(tmp_path, [tmp_path / f"{name}.npz"], message, **{**GAUSS, **params})
    np.savez(tmp_path / "signal.npz", m_yy=np.where(np.arange(50) == 7, np.nan, x))
    mistake(tmp_path, {"data": data, "signal": tmp_path / "signal.npz"}, "1 of 50 values are NaN", **free)


def test_mistakes_in_histograms(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    good: dict[str, Any] = {"bin_edges": [0, 1, 2, 3], "counts": [3, 2, 1]}
    for change, params, message in (
        ({"counts": [3, 2]}, {}, "2 counts need 3 ascending bin_edges"),
        ({"counts": [3, None, 1]}, {}, "bin 2 is nan|lists of numbers"),
        ({"counts": [3, -2, 1]}, {}, "the bin from 1 to 2 has -2 events"),
        ({"counts": [0, 0, 0]}, {}, "no events between 0 and 3"),
        ({"variances": [3, float("nan"), 1]}, {}, "bin 2 has the variance nan"),
        ({}, {"binning": 3}, "binning: the data are histograms and have their bins"),
        ({}, {"category": "c"}, "category: the data are histograms and have no columns"),
        ({}, {"range": [0, 2.5]}, "2.5 is not an edge of a bin"),
        ({}, {"model": "mu * template + exp"}, "no histogram for the template 'signal'"),
    ):
        path.write_text(json.dumps({**good, **change}))
        mistake(tmp_path, [path], message, **{"model": "exp", **params})


def test_mistakes_in_outputs(tmp_path: Path, files: Path) -> None:
    out = tmp_path / "out"
    for output, message in (
        ({"fit": out / "fit.yaml"}, "fit=.*fit.yaml: a .json file is written, not '.yaml'"),
        ({"fit": out / "fit.json", "plot": out / "fit.gif"}, r"figures are written to \.png, \.pdf, \.svg"),
        ({"fit": out / "fit.json", "hs3": out / "hs3.xml"}, "hs3=.*hs3.xml: a .json file is written"),
        ({"fit": out / "fit.json", "plots": out / "fit.png"}, r"there is no 'plots'\. Did you mean plot"),
        ({"plot": out / "fit.png"}, r"fit=\.\.\. is missing"),
        ([out / "fit.json", out / "fit.txt"], r"fit\.txt: results are \.json files"),
        ([out / "1.json", out / "2.json", out / "3.json"], r"what is .*3\.json\? Give it a name"),
    ):
        mistake(tmp_path, [files / "data.npz"], message, output=output, **GAUSS)


def test_a_foreign_hs3_file_is_refused() -> None:
    with pytest.raises(WrongInput, match="not an HS3 model that phys/zfit/fit wrote"):
        read_hs3({"metadata": {"hs3_version": "0.2"}, "distributions": []})
