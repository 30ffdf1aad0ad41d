"""phys/stats/significance: against closed forms, pyhf, exact Poisson tails and published numbers."""

from __future__ import annotations

import json
import math
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyhf
import pytest
from PIL import Image
from scipy.stats import norm, poisson

from tests.wrappers import kit
from tests.wrappers.stats_cases import atlas_spectrum, fitted, toy_fit, workspace
from wrappers.common.asymptotics import spread

WRAPPER = "phys/stats/significance"


def run(
    folder: Path, inputs: Any = (), *, plot: bool = False, threads: int = 1, **params: Any
) -> tuple[dict[str, Any], str]:
    outputs = {"significance": folder / "z.json", **({"plot": folder / "z.png"} if plot else {})}
    log = kit.call(WRAPPER, folder, input=inputs, output=outputs, params=params, threads=threads)
    found: dict[str, Any] = json.loads(outputs["significance"].read_text())
    return found, log


def asimov_z(s: float, b: float, error: float = 0.0) -> float:
    """Median discovery significance of a counting experiment (G. Cowan, and T.-P. Li, Y.-Q. Ma 1983 for the error)."""
    if not error:
        return math.sqrt(2 * ((s + b) * math.log(1 + s / b) - s))
    v, n = error**2, s + b
    return math.sqrt(
        2 * (n * math.log(n * (b + v) / (b * b + n * v)) - b * b / v * math.log(1 + v * s / (b * (b + v))))
    )


def test_snakefile(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    numbers = json.loads((folder / "results/numbers.json").read_text())
    assert numbers["z_exp"] == pytest.approx(asimov_z(2.5, 3.1))
    assert numbers["z_obs"] == pytest.approx(asimov_z(7 - 3.1, 3.1))
    counts = json.loads((folder / "results/counts.json").read_text())
    assert counts["z_exp"] == pytest.approx(asimov_z(4.1, 5.2, 0.8))
    assert counts["z_obs"] == pytest.approx(asimov_z(12 - 5.2, 5.2, 0.8))
    assert counts["p0"] == pytest.approx(norm.sf(counts["z_obs"]))
    assert (counts["observed"], counts["background"], counts["background_error"], counts["signal"]) == (
        12,
        5.2,
        0.8,
        4.1,
    )
    spec = json.loads((folder / "data/workspace.json").read_text())
    model = pyhf.Workspace(spec).model()
    data = pyhf.Workspace(spec).data(model)
    p, expected = pyhf.infer.hypotest(0.0, data, model, test_stat="q0", return_expected=True)
    found = json.loads((folder / "results/workspace.json").read_text())
    assert found["z_obs"] == pytest.approx(norm.isf(float(p)), abs=2e-3)
    assert found["z_exp"] == pytest.approx(norm.isf(float(expected)), abs=2e-3)
    toys = json.loads((folder / "results/toys.json").read_text())
    assert toys["asymptotic"]["z_obs"] == counts["z_obs"]
    assert toys["p0"] == toys["toys"]["observed"]["n_at_least"] / 3000
    assert abs(toys["p0"] - counts["p0"]) < 4 * toys["p0_error"]
    assert abs(toys["z_exp"] - counts["z_exp"]) < 0.2
    assert toys["provenance"]["params"]["seed"] == 7
    with Image.open(folder / "results/toys.png") as image:
        assert json.loads(image.info["provenance"])["wrapper"] == WRAPPER


@pytest.mark.parametrize(("s", "b", "error"), [(8.0, 5.0, 0.0), (8.0, 5.0, 2.0), (0.5, 100.0, 10.0), (30.0, 2.0, 1.0)])
def test_counting_closed_forms(tmp_path: Path, s: float, b: float, error: float) -> None:
    found, _ = run(tmp_path, observed=round(b + s), background=b, background_error=error, signal=s)
    assert found["z_exp"] == pytest.approx(asimov_z(s, b, error), rel=1e-9)
    assert found["z_obs"] == pytest.approx(asimov_z(round(b + s) - b, b, error), rel=1e-9)
    assert found["poi"]["value"] == pytest.approx((round(b + s) - b) / s)
    # twice the signal strength is the same as twice the signal
    more, _ = run(tmp_path, observed=3, background=b, background_error=error, signal=s / 2, expected=2.0)
    assert more["z_exp"] == pytest.approx(found["z_exp"], rel=1e-9)


def test_gaussian_constraint_against_a_scan(tmp_path: Path) -> None:
    n, b, error, s = 14.0, 5.0, 1.5, 6.0
    found, _ = run(tmp_path, observed=14, background=b, background_error=error, signal=s, constraint="gauss")
    grid = np.linspace(0.01, 20, 2_000_001)
    null = np.min(grid - n * np.log(grid) + 0.5 * ((grid - b) / error) ** 2)
    assert found["q0_obs"] == pytest.approx(2 * (null - (n - n * math.log(n))), abs=1e-8)


def test_a_deficit_is_no_discovery(tmp_path: Path) -> None:
    case: dict[str, Any] = {"observed": 2, "background": 5.0, "background_error": 1.0, "signal": 3.0}
    found, _ = run(tmp_path, **case)
    assert (found["z_obs"], found["p0"], found["q0_obs"]) == (0, 0.5, 0)
    assert found["poi"]["value"] == pytest.approx(-1)
    found, _ = run(tmp_path, **case, method="toys", n_toys=50)
    assert (found["z_obs"], found["p0"]) == (0, 1)


def test_toys_against_the_exact_poisson_tail(tmp_path: Path) -> None:
    """With a known background q0 rises with the count: the p-value is a sum of Poisson probabilities, ties included."""
    case: dict[str, Any] = {"observed": 9, "background": 4.0, "signal": 5.0}
    found, _ = run(tmp_path, **case, method="toys", n_toys=20_000, seed=3)
    exact = poisson.sf(8, 4.0)
    assert found["p0_error"] == pytest.approx(math.sqrt(exact * (1 - exact) / 20_000), rel=0.1)
    assert abs(found["p0"] - exact) < 3 * found["p0_error"]
    # the median count with signal is 9 too
    assert abs(found["p0_exp"] - exact) < 3 * found["p0_error"]
    assert found["z_obs"] == pytest.approx(norm.isf(found["p0"]))


def test_toys_do_not_depend_on_threads_but_on_the_seed(tmp_path: Path) -> None:
    case: dict[str, Any] = {"observed": 9, "background": 4.0, "background_error": 0.7, "signal": 5.0}
    case |= {"method": "toys", "n_toys": 400}
    texts = [run(tmp_path, **case, threads=threads, plot=True)[0] for threads in (1, 2)]
    assert texts[0] == texts[1]
    picture = (tmp_path / "z.png").read_bytes()
    run(tmp_path, **case, plot=True)
    assert (tmp_path / "z.png").read_bytes() == picture
    other, _ = run(tmp_path, **case, seed=2)
    assert other["toys"]["q0_median"] != texts[0]["toys"]["q0_median"]


@pytest.mark.timeout(30)
def test_toys_end_in_a_process_that_handles_signals() -> None:
    """Such as Snakemake's own, whose handler the processes of the pool inherit: left early, they end all the same."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        toys = spread(lambda index: time.sleep(60 if index else 0), 40, 2, "naps")
        next(toys)
        toys.close()  # type: ignore[attr-defined]  # (a generator)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_out_of_reach_of_toys(tmp_path: Path) -> None:
    found, log = run(tmp_path, observed=60, background=4.0, signal=5.0, method="toys", n_toys=100)
    assert found["toys"]["observed"]["p_is_upper_limit"]
    assert found["p0"] == 0.01
    assert "no toy reaches this q0: p0 is below 0.01" in log
    assert found["asymptotic"]["z_obs"] > 10


def test_workspace_against_pyhf_with_toys(tmp_path: Path) -> None:
    document = workspace([62.0, 61.0])
    path = tmp_path / "w.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    asymptotic, _ = run(tmp_path, [path])
    found, _ = run(tmp_path, {"workspace": path}, method="toys", n_toys=120, seed=5, threads=2)
    assert found["asymptotic"]["z_obs"] == asymptotic["z_obs"]
    assert abs(found["p0"] - asymptotic["p0"]) < 3.5 * found["p0_error"]
    assert found["toys"]["n_failed"] == 0
    nominal, _ = run(tmp_path, [path], nuisances="nominal")
    model = pyhf.Workspace(document).model()
    values = model.config.suggested_init()
    expected = pyhf.infer.hypotest(0.0, model.expected_data(values).tolist(), model, test_stat="q0")
    assert nominal["z_exp"] == pytest.approx(norm.isf(float(expected)), abs=2e-3)
    assert nominal["z_exp"] != pytest.approx(asymptotic["z_exp"], abs=1e-3)


def test_workspace_whose_signal_lies_above_its_bound(tmp_path: Path) -> None:
    """The upper bound of the parameter of interest is a habit, not a fact: it must not hold the best fit down."""
    document = workspace([300.0, 320.0])
    path = tmp_path / "w.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    found, _ = run(tmp_path, [path])
    assert found["poi"]["value"] > 10
    assert found["valid"]


def test_unbinned_fit_agrees_with_the_reference(tmp_path: Path) -> None:
    """The toy of the fitting benchmark: RooFit, zfit and iminuit agree on 361.36 +- 72.27 and Z = 5.1349."""
    inputs = toy_fit(tmp_path)
    found, log = run(tmp_path, inputs)
    assert found["z_obs"] == pytest.approx(5.13492, abs=5e-4)
    assert found["poi"]["name"] == "n_signal"
    assert found["poi"]["value"] == pytest.approx(361.36, abs=0.1)
    assert found["poi"]["error"] == pytest.approx(72.27, abs=0.1)
    assert "30,427 events" in log
    low, _ = run(tmp_path, inputs, expected=100.0)
    high, _ = run(tmp_path, inputs, expected=200.0)
    assert high["z_exp"] / low["z_exp"] == pytest.approx(2, abs=0.06)
    with pytest.raises(kit.WrapperFailed, match=r"no parameter 'n_sig'\. Did you mean n_signal"):
        run(tmp_path, inputs, poi="n_sig")


def test_expected_for_the_yield_of_the_simulation(tmp_path: Path) -> None:
    inputs = fitted(tmp_path, events=(25, 400), seed=11)
    with pytest.raises(kit.WrapperFailed, match="a simulation of 'n_signal'; there is one of: none"):
        run(tmp_path, inputs, expected="simulation")
    document = json.loads(inputs["fit"].read_text(encoding="utf-8"))
    document["shape_fits"] = {"signal": {"yield": 31.5}}
    inputs["fit"].write_text(json.dumps(document), encoding="utf-8")
    found, _ = run(tmp_path, inputs, expected="simulation")
    same, _ = run(tmp_path, inputs, expected=31.5)
    assert found["poi"]["expected_for"] == 31.5
    assert found["z_exp"] == same["z_exp"] > 0
    with pytest.raises(kit.WrapperFailed, match="expected='simulated' must be 'simulation' or above 0"):
        run(tmp_path, inputs, expected="simulated")


def test_binned_fit_of_the_atlas_spectrum(tmp_path: Path) -> None:
    """Cubic background and template of the simulation on the 10/fb spectrum of the 2020 release."""
    found, _ = run(tmp_path, atlas_spectrum(tmp_path), expected=1.0)
    assert found["poi"]["name"] == "mu"
    assert found["poi"]["value"] == pytest.approx(1.11, abs=0.01)
    assert found["poi"]["error"] == pytest.approx(0.39, abs=0.01)
    assert found["z_obs"] == pytest.approx(2.85, abs=0.01)
    assert found["z_exp"] == pytest.approx(2.56, abs=0.02)


def test_toys_of_a_fit(tmp_path: Path) -> None:
    inputs = fitted(tmp_path, events=(25, 400), seed=11)
    asymptotic, _ = run(tmp_path, inputs, expected=30.0)
    found, _ = run(tmp_path, inputs, expected=30.0, method="toys", n_toys=120, threads=2)
    assert abs(found["p0"] - asymptotic["p0"]) < 4 * max(found["p0_error"], 0.005)
    assert found["toys"]["n_failed"] == 0
    assert math.sqrt(found["toys"]["q0_median"]) == pytest.approx(asymptotic["z_exp"], abs=0.35)


def test_data_of_another_fit(tmp_path: Path) -> None:
    inputs = fitted(tmp_path, events=(25, 400), seed=11)
    np.savez(tmp_path / "other.npz", m_yy=np.linspace(110, 150, 77))
    with pytest.raises(kit.WrapperFailed, match="77 events within the range, but"):
        run(tmp_path, {**inputs, "data": tmp_path / "other.npz"})
    with pytest.raises(kit.WrapperFailed, match="the data that were fitted are needed too"):
        run(tmp_path, {"fit": inputs["fit"]})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"background": 5.0}, "needs signal"),
        ({"background": 0.0, "signal": 1.0, "observed": 2}, "background=0.0 must be above 0"),
        ({"background": 5.0, "signal": 1.0, "observed": -2}, r"observed=-2.0 must be 0 or more"),
        ({"background": 5.0, "signal": 1.0, "observed": "many"}, "observed='many' is no number"),
        ({"background": 5.0, "signal": -1.0, "observed": 2}, "signal=-1.0 must be above 0"),
        ({"background": 5.0, "signals": 1.0}, r"there is no 'signals'\. Did you mean signal"),
        ({"background": 5.0, "signal": 1.0, "method": "toy"}, r"method='toy' is none of.*Did you mean toys"),
        (
            {"background": 5.0, "signal": 1.0, "method": "toys", "n_toys": 5},
            "n_toys=5 must be a whole number, at least 10",
        ),
        ({"background": 5.0, "signal": 1.0, "expected": -1}, "expected=-1 must be 'simulation' or above 0"),
        ({"background": 5.0, "signal": 1.0, "constraint": "poison"}, "Did you mean poisson"),
        ({"background": 5.0, "signal": 1.0, "nuisances": "prefit"}, "nuisances='prefit' is none of data, nominal"),
    ],
)
def test_mistakes_in_params(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(kit.WrapperFailed, match=message) as failed:
        run(tmp_path, **params)
    assert "Traceback" not in str(failed.value)
    assert not (tmp_path / "z.json").exists()


def test_mistakes_in_files(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text, message in (
        ("{", "no JSON"),
        ('{"a": 1}', "neither a pyhf workspace"),
        ('{"channels": [], "measurements": []}', "pyhf does not accept it"),
        ('{"background": "b", "signal": 1}', "background='b' is no number"),
        ('{"parameters": {}, "model": {}}', "no 'settings' in it: it must be the result of phys/zfit/fit"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(kit.WrapperFailed, match=message) as failed:
            run(tmp_path, [path])
        assert "Traceback" not in str(failed.value)
    path.write_text(json.dumps(workspace([60.0, 60.0])), encoding="utf-8")
    for inputs, params, message in (
        ({"works": path}, {}, r"input: there is no 'works'\. Did you mean workspace"),
        ({"workspace": path, "counts": path}, {}, "one of workspace"),
        ([path], {"signal": 3.0}, "signal belongs to a counting experiment"),
        ([path], {"poi": "nu"}, "the workspace's parameter of interest is 'mu'"),
        ([path], {"measurement": "x"}, "no measurement 'x'"),
    ):
        with pytest.raises(kit.WrapperFailed, match=message):
            run(tmp_path, inputs, **params)
    with pytest.raises(kit.WrapperFailed, match="the plot shows q0 of toys"):
        run(tmp_path, plot=True, background=5.0, signal=2.0)


def test_counts_of_the_file_and_of_params(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"background": 5.0, "signal": 8.0, "observed": 15}), encoding="utf-8")
    found, _ = run(tmp_path, [path], observed=12)
    assert found["z_obs"] == pytest.approx(asimov_z(7.0, 5.0))
    planned, log = run(tmp_path, background=5.0, signal=8.0)
    assert (planned["z_obs"], planned["z_exp"]) == (0, pytest.approx(asimov_z(8.0, 5.0)))
    assert "No observed events are given" in log
