"""phys/cabinetry/fit: against cabinetry's own functions, and against closed forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cabinetry
import numpy as np
import pytest
from PIL import Image
from scipy.stats import chi2

from tests.wrappers import kit

WRAPPER = "phys/cabinetry/fit"


def workspace(
    observed: list[float], *, modifiers: list[dict[str, Any]] | None = None, bounds: tuple[float, float] = (-5, 10)
) -> dict[str, Any]:
    """Return a workspace of one channel: a signal in the first bin, and a background in both."""
    free = [{"name": "mu", "type": "normfactor", "data": None}]
    samples = [
        {"name": "signal", "data": [10.0, 0.0], "modifiers": free},
        {"name": "background", "data": [50.0, 40.0], "modifiers": modifiers or []},
    ]
    parameters = [{"name": "mu", "inits": [1.0], "bounds": [list(bounds)]}]
    return {
        "channels": [{"name": "SR", "samples": samples}],
        "observations": [{"name": "SR", "data": observed}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": parameters}}],
        "version": "1.0.0",
    }


def fit(
    folder: Path, document: dict[str, Any] | Path, outputs: Any = None, **params: Any
) -> tuple[dict[str, Any], str]:
    """Run the wrapper on a workspace; return its result and log."""
    path = document if isinstance(document, Path) else folder / "workspace.json"
    if not isinstance(document, Path):
        path.write_text(json.dumps(document), encoding="utf-8")
    made = outputs or [folder / "fit.json"]
    log = kit.call(WRAPPER, folder, input=[path], output=made, params=params)
    result: dict[str, Any] = json.loads(Path(made["fit"] if isinstance(made, dict) else made[0]).read_text())
    return result, log


FLOATING = [{"name": "k", "type": "normfactor", "data": None}]
NORM = [{"name": "xsec", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}]


def test_snakefile_against_cabinetry(tmp_path: Path) -> None:
    folder = kit.run_snakefile(WRAPPER, tmp_path) / "results"
    found = json.loads((folder / "fit.json").read_text())
    model, data = cabinetry.model_utils.model_and_data(json.loads((folder / "workspace.json").read_text()))
    known = cabinetry.fit.fit(model, data, goodness_of_fit=True, minos="mu", tolerance=1e-3)
    assert found["valid"]
    assert list(found["parameters"]) == known.labels
    for name, value, error in zip(known.labels, known.bestfit, known.uncertainty, strict=True):
        assert found["parameters"][name]["value"] == pytest.approx(value, abs=2e-3 * error)
        assert found["parameters"][name]["error"] == pytest.approx(error, rel=2e-2)
    assert np.array(found["correlation"]) == pytest.approx(known.corr_mat, abs=5e-3)
    errors = [one["error"] for one in found["parameters"].values()]
    assert np.array(found["covariance"]) == pytest.approx(np.array(found["correlation"]) * np.outer(errors, errors))
    assert found["gof"]["p"] == pytest.approx(known.goodness_of_fit, rel=1e-4)
    assert found["gof"]["ndf"] == 10 - 2
    assert found["parameters"]["mu"]["minos"] == pytest.approx(known.minos_uncertainty["mu"], rel=1e-2)
    assert found["fmin"] == pytest.approx(known.best_twice_nll / 2, abs=1e-4)
    impacts = cabinetry.fit.ranking(model, data, fit_results=known)
    rows = {row["parameter"]: row for row in found["ranking"]}
    for place, name in enumerate(impacts.labels):
        for key in ("prefit_up", "prefit_down", "postfit_up", "postfit_down"):
            assert rows[name][key] == pytest.approx(getattr(impacts, key)[place], abs=2e-3), (name, key)
    sizes = [max(abs(row["postfit_up"]), abs(row["postfit_down"])) for row in found["ranking"]]
    assert sizes == sorted(sizes, reverse=True)
    after = cabinetry.model_utils.prediction(model, fit_results=known)
    place = model.config.channels.index("SR")
    spectrum = next(one for one in found["spectra"] if one["category"] == "SR")
    assert spectrum["total"] == pytest.approx(np.sum(after.model_yields[place], axis=0), rel=1e-3)
    assert spectrum["total_errors"] == pytest.approx(after.total_stdev_model_bins[place][-1], rel=2e-2)
    assert spectrum["edges"] == list(range(100, 181, 10))
    assert (spectrum["unit"], spectrum["observable"]) == ("GeV", "mass")
    assert found["yields"]["SR"]["total"]["postfit"] == pytest.approx(sum(spectrum["total"]))
    for name in ("pulls", "correlation", "ranking", "prefit", "postfit"):
        with Image.open(folder / f"{name}.png") as image:
            assert json.loads(image.info["provenance"])["wrapper"] == WRAPPER
            assert image.width > 600
    asimov = json.loads((folder / "asimov.json").read_text())
    assert asimov["asimov"]
    assert asimov["parameters"]["mu"]["value"] == pytest.approx(1, abs=1e-3)
    assert asimov["gof"]["chi2"] == pytest.approx(0, abs=1e-4)
    assert asimov["ranking"] == []
    assert [one["edges"] for one in asimov["spectra"]] == [[0, 1, 2], list(range(9))]


def test_two_bins_two_free_factors(tmp_path: Path) -> None:
    """Solved by hand: the second bin gives k, the first one mu; there is nothing left to test the fit with."""
    found, _ = fit(tmp_path, workspace([72.0, 44.0], modifiers=FLOATING))
    k, k_error = 44 / 40, 44**0.5 / 40
    mu = found["parameters"]["mu"]
    assert found["parameters"]["k"]["value"] == pytest.approx(k, rel=1e-4)
    assert found["parameters"]["k"]["error"] == pytest.approx(k_error, rel=1e-3)
    assert mu["value"] == pytest.approx((72 - 50 * k) / 10, rel=1e-3)
    assert mu["error"] == pytest.approx((72 + (50 * k_error) ** 2) ** 0.5 / 10, rel=1e-3)
    assert mu["limits"] == [-5, 10]
    assert found["gof"] == {"chi2": pytest.approx(0, abs=1e-5), "ndf": 0, "p": None}
    assert found["pulls"] == {}
    assert (found["n_events"], found["poi"]) == (116, "mu")


def test_fixed_parameters_and_goodness_of_fit(tmp_path: Path) -> None:
    found, _ = fit(tmp_path, workspace([72.0, 44.0], modifiers=FLOATING), fixed={"k": 1.0})
    assert found["parameters"]["k"] == {"value": 1.0, "error": 0.0, "limits": [0.0, 10.0], "fixed": True}
    assert found["parameters"]["mu"]["value"] == pytest.approx(2.2, rel=1e-4)
    deviance = 2 * (40 - 44 + 44 * np.log(44 / 40))
    assert found["gof"] == {
        "chi2": pytest.approx(deviance, rel=1e-3),
        "ndf": 1,
        "p": pytest.approx(chi2.sf(deviance, 1), rel=1e-3),
    }
    names = list(found["parameters"])
    assert found["correlation"][names.index("k")][names.index("mu")] == 0


def test_pull_of_a_constrained_normalisation(tmp_path: Path) -> None:
    """With mu fixed at 0 the fit minimises a sum of two Poisson terms and a parabola in one variable."""
    found, _ = fit(tmp_path, workspace([60.0, 48.0], modifiers=NORM), fixed={"mu": 0.0}, ranking=False)
    grid = np.linspace(-3, 3, 60001)
    # for |theta| < 1 pyhf interpolates the factor by a polynomial of sixth degree, here nearly a straight line
    inner = 90 * np.where(np.abs(grid) <= 1, 1 + 0.1 * grid, 1)
    rough = inner - 108 * np.log(inner) + 0.5 * grid**2
    best = grid[np.argmin(np.where(np.abs(grid) <= 1, rough, np.inf))]
    assert found["pulls"]["xsec"]["pull"] == pytest.approx(best, abs=0.02)
    assert found["pulls"]["xsec"]["constraint"] == pytest.approx(
        1 / (1 + 0.01 * 90**2 * 108 / 90**2 / 1.1) ** 0.5, abs=0.04
    )


def test_impacts_never_leave_the_bounds(tmp_path: Path) -> None:
    """A bin whose simulation has an error above 100 %: its lower variation would make the expectation negative."""
    stat = [{"name": "staterror_SR", "type": "staterror", "data": [5.0, 60.0]}]
    found, _ = fit(tmp_path, workspace([60.0, 41.0], modifiers=stat), ranking=True)
    assert found["valid"]
    rows = {row["parameter"]: row for row in found["ranking"]}
    assert set(rows) == {"staterror_SR[0]", "staterror_SR[1]"}
    assert rows["staterror_SR[0]"]["prefit_up"] == pytest.approx(-0.5, abs=0.05)
    assert all(np.isfinite(one) for row in rows.values() for one in row.values() if not isinstance(one, str))


def test_a_fit_that_fails_is_said_to_be_invalid(tmp_path: Path) -> None:
    """Two factors on the same sample in the only bins: their product is all that data tell."""
    twins = [{"name": name, "type": "normfactor", "data": None} for name in ("a", "b")]
    document = workspace([50.0, 40.0], modifiers=twins)
    document["channels"][0]["samples"][0]["data"] = [0.0, 0.0]
    found, log = fit(tmp_path, document)
    assert not (found["valid"] and found["accurate"])
    assert list(found["parameters"]) == ["a", "b", "mu"]
    assert found["valid"] or "did not converge" in log


def test_same_bytes_again(tmp_path: Path) -> None:
    texts = []
    for turn in ("a", "b"):
        outputs = {
            "fit": tmp_path / f"{turn}.json",
            "pulls": tmp_path / f"{turn}.png",
            "postfit": tmp_path / f"{turn}2.png",
        }
        fit(tmp_path, workspace([72.0, 44.0], modifiers=NORM), outputs)
        texts.append([path.read_bytes() for path in outputs.values()])
    assert texts[0] == texts[1]


def test_plots_without_constrained_parameters(tmp_path: Path) -> None:
    outputs = {name: tmp_path / f"{name}.png" for name in ("pulls", "correlation", "ranking", "prefit")}
    fit(tmp_path, workspace([50.0, 40.0]), {"fit": tmp_path / "fit.json", **outputs})
    assert all(path.stat().st_size > 1000 for path in outputs.values())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"fixed": {"muu": 1.0}}, r"fixed: there is no parameter 'muu'\. Did you mean mu"),
        ({"minos": ["nu"]}, r"minos: there is no parameter 'nu'\. Did you mean mu"),
        ({"measurement": "n"}, r"no measurement 'n'\. (Did you mean m\?|There are: m)"),
        ({"ranked": True}, r"there is no 'ranked'\. Did you mean"),
        ({"fixed": {"mu": 1.0}, "ranking": True}, r"ranking: there is no free parameter of interest"),
    ],
)
def test_mistakes_in_params(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(kit.WrapperFailed, match=message) as failed:
        fit(tmp_path, workspace([50.0, 40.0], modifiers=FLOATING), **params)
    assert "Traceback" not in str(failed.value)
    assert not (tmp_path / "fit.json").exists()


def test_mistakes_in_files(tmp_path: Path) -> None:
    broken = workspace([50.0, 40.0])
    del broken["measurements"]
    with pytest.raises(kit.WrapperFailed, match="pyhf does not accept it"):
        fit(tmp_path, broken)
    (tmp_path / "text.json").write_text("no json", encoding="utf-8")
    with pytest.raises(kit.WrapperFailed, match="no JSON"):
        fit(tmp_path, tmp_path / "text.json")
    with pytest.raises(kit.WrapperFailed, match="no such file"):
        fit(tmp_path, tmp_path / "absent.json")
    with pytest.raises(kit.WrapperFailed, match=r"output: there is no 'pull'\. Did you mean pulls"):
        fit(tmp_path, workspace([50.0, 40.0]), {"fit": tmp_path / "f.json", "pull": tmp_path / "p.png"})
    with pytest.raises(kit.WrapperFailed, match="figures are written to"):
        fit(tmp_path, workspace([50.0, 40.0]), {"fit": tmp_path / "f.json", "pulls": tmp_path / "p.gif"})
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"channels": [{"name": "SR", "edges": [0, 1]}]}), encoding="utf-8")
    path = tmp_path / "w.json"
    path.write_text(json.dumps(workspace([50.0, 40.0])), encoding="utf-8")
    with pytest.raises(kit.WrapperFailed, match="the report is of another workspace: channel 'SR' has 1 bins"):
        kit.call(WRAPPER, tmp_path, input={"workspace": path, "report": report}, output=[tmp_path / "f.json"])
