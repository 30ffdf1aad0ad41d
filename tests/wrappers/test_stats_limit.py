"""phys/stats/limit: against pyhf, exact Poisson limits, closed forms and published numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest
from PIL import Image
from scipy.optimize import brentq
from scipy.stats import norm, poisson

from tests.wrappers import kit
from tests.wrappers.stats_cases import atlas_spectrum, fitted, toy_fit, workspace

WRAPPER = "phys/stats/limit"
BANDS = ("-2", "-1", "0", "1", "2")


def run(
    folder: Path, inputs: Any = (), *, plot: bool = False, threads: int = 1, **params: Any
) -> tuple[dict[str, Any], str]:
    outputs = {"limit": folder / "l.json", **({"plot": folder / "l.png"} if plot else {})}
    log = kit.call(WRAPPER, folder, input=inputs, output=outputs, params=params, threads=threads)
    found: dict[str, Any] = json.loads(outputs["limit"].read_text())
    return found, log


def asymptotic_limit(n: float, b: float, s: float, band: int | None = None, alpha: float = 0.05) -> float:
    """CLs limit of a count with a known background, by the formulas of arXiv:1007.1727, written down again."""

    def q(count: float, mu: float) -> float:
        best = max(0.0, (count - b) / s)
        nll = [m * s + b - (count * math.log(m * s + b) if count else 0.0) for m in (mu, best)]
        return 2 * (nll[0] - nll[1]) if best <= mu else 0.0

    def cls(mu: float) -> float:
        data, flat = q(n, mu), q(b, mu)
        root = math.sqrt(flat)
        if band is not None:
            return float(norm.sf(root - band) / norm.cdf(band))
        if data <= flat:
            return float(norm.sf(math.sqrt(data)) / norm.sf(math.sqrt(data) - root))
        return float(norm.sf((data + flat) / (2 * root)) / norm.sf((data - flat) / (2 * root)))

    return float(brentq(lambda mu: cls(mu) - alpha, 1e-3 / s, 1000 / s))


def cls_of_pyhf(model: pyhf.Model, data: list[float], found: dict[str, Any]) -> list[float]:
    """Return pyhf's CLs at the limits that were found: observed, then expected at -2, ..., 2 sigma."""
    values = [float(pyhf.infer.hypotest(found["observed"], data, model))]
    for place, band in enumerate(BANDS):
        _, bands = pyhf.infer.hypotest(found["expected"][band], data, model, return_expected_set=True)
        values.append(float(bands[place]))
    return values


def test_snakefile(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    numbers = json.loads((folder / "results/numbers.json").read_text())
    assert numbers["observed"] == pytest.approx(asymptotic_limit(7, 3.1, 2.5), rel=2e-4)
    spec = json.loads((folder / "data/workspace.json").read_text())
    model = pyhf.Workspace(spec).model()
    data = pyhf.Workspace(spec).data(model)
    found = json.loads((folder / "results/workspace.json").read_text())
    assert cls_of_pyhf(model, data, found) == pytest.approx([0.05] * 6, rel=5e-3)
    assert (found["cl"], found["valid"], found["poi"]["name"]) == (0.95, True, "mu")
    counts, toys = (json.loads((folder / f"results/{name}.json").read_text()) for name in ("counts", "toys"))
    assert toys["asymptotic"]["observed"] == counts["observed"]
    assert abs(toys["observed"] - counts["observed"]) < 0.1 * counts["observed"] + 3 * toys["observed_error"]
    with Image.open(folder / "results/workspace.png") as image:
        assert json.loads(image.info["provenance"])["wrapper"] == WRAPPER


@pytest.mark.parametrize(
    ("n", "b", "s"), [(0, 3.0, 1.0), (6, 5.0, 3.0), (15, 5.0, 8.0), (1000, 1000.0, 0.02), (100, 120.0, 4e4)]
)
def test_counting_against_formulas(tmp_path: Path, n: int, b: float, s: float) -> None:
    found, _ = run(tmp_path, observed=n, background=b, signal=s)
    assert found["observed"] == pytest.approx(asymptotic_limit(n, b, s), rel=2e-4)
    for band in BANDS:
        assert found["expected"][band] == pytest.approx(asymptotic_limit(n, b, s, int(band)), rel=2e-4)
    limits = [found["expected"][band] for band in BANDS]
    assert limits == sorted(limits)
    ninety, _ = run(tmp_path, observed=n, background=b, signal=s, cl=0.9)
    assert ninety["observed"] == pytest.approx(asymptotic_limit(n, b, s, alpha=0.1), rel=2e-4)
    assert ninety["observed"] < found["observed"]


def test_scan_crosses_at_the_limit(tmp_path: Path) -> None:
    found, _ = run(tmp_path, observed=6, background=5.0, background_error=1.0, signal=3.0, plot=True)
    scan = found["scan"]
    for limit, values in (
        (found["observed"], scan["observed"]),
        *((found["expected"][one], scan["expected"][one]) for one in BANDS),
    ):
        assert np.interp(limit, scan["poi"], np.log(values)) == pytest.approx(math.log(0.05), abs=0.05)
        assert values == sorted(values, reverse=True)


def test_toys_against_exact_probabilities(tmp_path: Path) -> None:
    """With a known background CLs is a ratio of Poisson tails: P(n <= n_obs | mu s + b) / P(n <= n_obs | b)."""
    n, b, s = 3, 3.0, 1.0
    found, _ = run(tmp_path, observed=n, background=b, signal=s, method="toys", n_toys=8000, n_points=8, seed=4)
    scan = found["scan"]
    for poi, value, error in zip(scan["poi"], scan["observed"], scan["errors"], strict=True):
        exact = poisson.cdf(n, poi * s + b) / poisson.cdf(n, b)
        assert abs(value - exact) < 4 * error
    exact = brentq(lambda mu: poisson.cdf(n, mu * s + b) / poisson.cdf(n, b) - 0.05, 0.1, 50)
    assert abs(found["observed"] - exact) < 4 * found["observed_error"] + 0.02 * exact
    median = brentq(lambda mu: poisson.cdf(3, mu * s + b) / poisson.cdf(3, b) - 0.05, 0.1, 50)  # P(n <= 3 | 3) > 0.5
    assert found["expected"]["0"] == pytest.approx(median, rel=0.05)
    limits = [found["expected"][band] for band in BANDS]
    assert limits == sorted(limits)


def test_toys_do_not_depend_on_threads(tmp_path: Path) -> None:
    case: dict[str, Any] = {"observed": 6, "background": 5.0, "background_error": 1.0, "signal": 3.0, "method": "toys"}
    found = [run(tmp_path, **case, n_toys=200, n_points=4, threads=threads, plot=True)[0] for threads in (1, 2)]
    assert found[0] == found[1]
    assert found[0]["toys"] == {"n": 200, "seed": 1, "n_failed": 0}


def test_toys_whose_scan_misses_the_limit(tmp_path: Path) -> None:
    found, log = run(
        tmp_path,
        observed=6,
        background=5.0,
        signal=3.0,
        method="toys",
        n_toys=100,
        n_points=3,
        range=[0.1, 0.3],
        plot=True,
    )
    assert found["observed"] is None
    assert found["observed_error"] is None
    assert "observed: CLs does not cross 0.05 between 0.1 and 0.3: set `range`" in log
    assert found["asymptotic"]["observed"] > 0.3


def test_workspace_against_pyhf(tmp_path: Path) -> None:
    """A deficit, an excess beyond the bound of mu, and numbers without a fit to the data first."""
    path = tmp_path / "w.json"
    for observed in ([40.0, 45.0], [55.0, 60.0]):
        document = workspace(observed)
        path.write_text(json.dumps(document), encoding="utf-8")
        found, _ = run(tmp_path, {"workspace": path})
        model = pyhf.Workspace(document).model()
        data = pyhf.Workspace(document).data(model)
        assert cls_of_pyhf(model, data, found) == pytest.approx([0.05] * 6, rel=5e-3)
    path.write_text(json.dumps(workspace([200.0, 210.0])), encoding="utf-8")
    far, _ = run(tmp_path, {"workspace": path})
    assert far["observed"] > far["poi"]["value"] > 10
    nominal, _ = run(tmp_path, {"workspace": path}, nuisances="nominal")
    assert nominal["expected"]["0"] != pytest.approx(far["expected"]["0"], rel=1e-3)


def test_toys_of_a_workspace(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text(json.dumps(workspace([52.0, 50.0])), encoding="utf-8")
    plain, _ = run(tmp_path, [path])
    span = [0.8 * plain["observed"], 1.2 * plain["observed"]]
    found, _ = run(tmp_path, [path], method="toys", n_toys=60, n_points=2, range=span, threads=2)
    for poi, value, error in zip(found["scan"]["poi"], found["scan"]["observed"], found["scan"]["errors"], strict=True):
        known = float(np.exp(np.interp(poi, plain["scan"]["poi"], np.log(plain["scan"]["observed"]))))
        assert abs(value - known) < 4 * error + 0.03
    assert found["toys"]["n_failed"] == 0


def test_unbinned_fit_agrees_with_the_reference(tmp_path: Path) -> None:
    """The toy of the fitting benchmark: observed 481.23, expected 136.66 (zfit with hepstats: 481.03 and 136.69)."""
    found, _ = run(tmp_path, toy_fit(tmp_path))
    assert found["observed"] == pytest.approx(481.23, abs=0.2)
    assert found["expected"]["0"] == pytest.approx(136.66, abs=0.2)
    assert found["poi"]["name"] == "n_signal"


def test_binned_fit_of_the_atlas_spectrum(tmp_path: Path) -> None:
    found, _ = run(tmp_path, atlas_spectrum(tmp_path))
    # mu = 1.11 +- 0.39: far from zero, so that CLs is nearly the one-sided normal limit
    assert found["observed"] == pytest.approx(found["poi"]["value"] + 1.645 * found["poi"]["error"], rel=0.02)
    assert found["expected"]["0"] == pytest.approx(1.96 * found["poi"]["error"], rel=0.05)


def test_toys_of_a_fit(tmp_path: Path) -> None:
    inputs = fitted(tmp_path, events=(10, 200), seed=12)
    plain, _ = run(tmp_path, inputs)
    span = [0.85 * plain["observed"], 1.15 * plain["observed"]]
    found, _ = run(tmp_path, inputs, method="toys", n_toys=60, n_points=2, range=span, threads=2)
    for poi, value, error in zip(found["scan"]["poi"], found["scan"]["observed"], found["scan"]["errors"], strict=True):
        known = float(np.exp(np.interp(poi, plain["scan"]["poi"], np.log(plain["scan"]["observed"]))))
        assert abs(value - known) < 4 * error + 0.03


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"background": 5.0}, "needs signal"),
        ({"background": 5.0, "signal": 1.0, "cl": 95}, "cl=95 must be between 0.5 and 1, such as 0.95"),
        ({"background": 5.0, "signal": 1.0, "range": [0, 3]}, "two rising numbers above 0"),
        ({"background": 5.0, "signal": 1.0, "n_points": 1}, "n_points=1 must be a whole number, from 2 to 200"),
        ({"background": 5.0, "signal": 1.0, "toys": 3}, r"there is no 'toys'\. Did you mean n_toys"),
        ({"background": 5.0, "signal": 1.0, "seed": 1.5}, "seed=1.5 must be a whole number"),
    ],
)
def test_mistakes(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(kit.WrapperFailed, match=message) as failed:
        run(tmp_path, **params)
    assert "Traceback" not in str(failed.value)
    assert not (tmp_path / "l.json").exists()


def test_a_workspace_without_signal(tmp_path: Path) -> None:
    document = workspace([52.0, 50.0])
    document["channels"][0]["samples"][0]["data"] = [0.0, 0.0]
    path = tmp_path / "w.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(kit.WrapperFailed, match="no upper limit on mu: the likelihood does not depend on it"):
        run(tmp_path, [path])
