"""The example's comparison of sentences and reference: what agrees passes, what does not is found."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SCRIPTS = Path(__file__).parents[2] / "example_workflow" / "workflow" / "scripts"


@pytest.fixture(scope="module")
def compare() -> Iterator[ModuleType]:
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("comparisons")
    sys.path.remove(str(SCRIPTS))
    for name in ("comparisons", "findings"):
        sys.modules.pop(name, None)


def fit(value: float, error: float, *, name: str = "n_sig", valid: object = True) -> dict[str, Any]:
    return {"valid": valid, "parameters": {name: {"value": value, "error": error}, "mean": {"value": 125, "error": 1}}}


@pytest.mark.parametrize(
    ("agent", "agreeing"),
    [
        (fit(400, 130), [True, True]),
        (fit(350, 125, name="N_signal"), [True, True]),
        (fit(480, 130), [True, False]),
        (fit(400, 80), [True, False]),
        (fit(400, 130, valid=False), [False, True]),
        (fit(float("nan"), 130), [True, False]),
        ({"parameters": {}}, [False, False]),
    ],
)
def test_fits(compare: ModuleType, agent: dict[str, Any], agreeing: list[bool]) -> None:
    assert [one.passed for one in compare.compare_fits(agent, fit(400, 130))] == agreeing


def cutflow(*events: int, last: float = 100.0) -> dict[str, Any]:
    return {"cutflow": [{"cut": f"c{i}", "events": n, "yield": last, "error": 1.0} for i, n in enumerate(events)]}


def test_cutflows(compare: ModuleType) -> None:
    reference = cutflow(200, 150, 100)
    assert compare.compare_cutflows(cutflow(200, 150, 100), reference, "ggH").passed
    for wrong in (cutflow(200, 150, 99), cutflow(200, 100), cutflow(200, 150, 100, last=100.1), cutflow(200, 100, 150)):
        assert not compare.compare_cutflows(wrong, reference, "ggH").passed
    rising = cutflow(100, 150)
    assert not compare.compare_cutflows(rising, rising, "ggH").passed


def test_truth(compare: ModuleType) -> None:
    truths = [{"sample": "data", "written": 200, "selected": 100, "selected_higgs": 40}]
    assert all(one.passed for one in compare.compare_truth(fit(45, 20), {"data": cutflow(200, 100)}, truths))
    lost, missed = compare.compare_truth(fit(140, 20), {"data": cutflow(200, 90)}, truths)
    assert not lost.passed
    assert not missed.passed


def test_arrays(compare: ModuleType, tmp_path: Path) -> None:
    pt = np.array([30.0, np.nan], dtype="float32")
    paths = [str(tmp_path / f"{name}.npz") for name in ("reference", "same", "double", "shorter", "other")]
    np.savez(paths[0], pt=pt, n=np.array([1, 0]), provenance=np.array("{}"))
    np.savez(paths[1], pt=pt, n=np.array([1, 0]))
    np.savez(paths[2], pt=pt + np.float32(1e-3), n=np.array([1, 0]))
    np.savez(paths[3], pt=pt[:1], n=np.array([1]))
    np.savez(paths[4], pt=pt)
    assert [compare.compare_arrays(path, paths[0]).passed for path in paths[1:]] == [True, False, False, False]
    assert compare.compare_arrays(paths[2], paths[0]).found == "different: pt"


def test_selected_events(compare: ModuleType, tmp_path: Path) -> None:
    def table(name: str, numbers: list[int], mass: list[float]) -> str:
        path = str(tmp_path / f"{name}.parquet")
        pq.write_table(pa.table({"event_number": pa.array(numbers, pa.uint64()), "m_yy": mass}), path)
        return path

    reference = table("reference", [1, 2], [120.0, 130.0])
    assert compare.compare_selected(table("same", [1, 2], [120.0 + 1e-5, 130.0]), reference).passed
    moved = compare.compare_selected(table("moved", [1, 2], [120.5, 130.0]), reference)
    assert (moved.passed, moved.found) == (False, "2 events, different: m_yy")
    assert not compare.compare_selected(table("others", [2, 1], [130.0, 120.0]), reference).passed


def test_ntuples(compare: ModuleType) -> None:
    def summary(*, entries: int = 5, mean: object = 2.0, extra: bool = False) -> dict[str, Any]:
        branches: dict[str, Any] = {
            "pt": {"type": "float", "min": 1.0, "mean": mean, "max": 3.0},
            "name": {"min": None},
        }
        if extra:
            branches["eta"] = {"min": 0.0}
        return {"files": {"a.root": {"trees": {"mini": {"entries": entries, "branches": branches}}}}}

    columns = [{"name": "pt", "type": "float", "min": 1.0, "mean": 2.0, "max": 3.0}, {"name": "name", "type": "string"}]
    tree = {"name": "mini", "kind": "TTree", "entries": 5, "columns": columns}
    reference = {"files": [{"file": "data/a.root", "trees": [tree]}]}

    def passed(agent: dict[str, Any]) -> list[bool]:
        return [one.passed for one in compare.compare_ntuples(agent, reference)]

    assert passed(summary()) == [True, True]
    assert passed(summary(entries=6)) == [False, True]
    assert passed(summary(mean=2.1)) == passed(summary(mean=None)) == [True, False]
    assert passed(summary(extra=True)) == [False, True]
    assert passed({"files": {}}) == [False]


def test_atlas_spectrum(compare: ModuleType) -> None:
    def mu(value: float, error: float) -> dict[str, Any]:
        return fit(value, error, name="mu")

    alternatives = {"exp_poly2": mu(0.67, 0.36), "exp_poly3": mu(0.97, 0.38), "poly4": mu(1.13, 0.39)}
    good = {**mu(1.114, 0.393), "z_obs": 2.848, "alternatives": alternatives}
    assert all(one.passed for one in compare.compare_atlas(good, good))
    failed = [
        one.name for one in compare.compare_atlas({**good, **mu(0.67, 0.36), "z_obs": 1.85}, good) if not one.passed
    ]
    assert failed == ["μ, cubic background", "observed significance"]
    silent = [one for one in compare.compare_atlas({**mu(1.11, 0.39), "z_obs": 2.85}, good) if not one.passed]
    assert [one.name for one in silent] == [f"μ, {name} background" for name in alternatives]


def test_job_fails_and_logs_the_table(compare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = importlib.import_module("compare")
    monkeypatch.setattr(script.logging, "basicConfig", lambda **_: None)
    results = [compare.Comparison(step="6", name="signal yield", passed=False, found="1 ± 1", expected="9 ± 1")]
    monkeypatch.setattr(script, "all_comparisons", lambda *_: iter(results))

    class Inputs(dict[str, Any]):
        pass

    output = SimpleNamespace(json=str(tmp_path / "c.json"), markdown=str(tmp_path / "c.md"))
    job = SimpleNamespace(
        input=Inputs(agent_fit="a", reference_fit="b"),
        output=output,
        log=[str(tmp_path / "log")],
        params=SimpleNamespace(samples=["data"], strict=True),
    )
    with pytest.raises(SystemExit, match="not as expected"):
        script.main(job)
    assert json.loads((tmp_path / "c.json").read_text())["passed"] is False
    assert "| **NO** | 6 | signal yield | 1 ± 1 | 9 ± 1 |" in (tmp_path / "c.md").read_text()
    job.params.strict = False
    script.main(job)
    sys.modules.pop("compare", None)


def test_separation(compare: ModuleType) -> None:
    reference = {"features": {"pt": {"auc": 0.6}}, "auc": {"value": 0.63, "error": 0.01}}
    assert compare.compare_separation({"auc": 0.635}, reference).passed
    assert not compare.compare_separation({"auc": 0.60}, reference).passed
    assert not compare.compare_separation({"auc": float("nan")}, reference).passed
