"""MeV for GeV, in tables and in results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.contents.magnitude import magnitudes, units_of_results
from tests.unit.checks.test_contents_files import N, a_case, events, said

MASS = np.linspace(105, 160, N)
PT = np.random.default_rng(1).exponential(40.0, N) + 25
WINDOW = "Select 105 < m_yy < 160 GeV."


@pytest.mark.parametrize(
    ("text", "before", "after", "expected"),
    [
        (WINDOW, {"m": MASS}, {"m_yy": MASS}, []),
        (WINDOW, {"m": MASS}, {"m_yy": MASS * 1000}, ["error output.magnitude"]),
        (WINDOW, {"m": MASS}, {"m_yy": MASS / 1000}, ["error output.magnitude"]),
        (WINDOW + " Write m_yy in MeV.", {"m": MASS}, {"m_yy": MASS * 1000}, ["warning output.magnitude"]),
        (WINDOW, {"m_yy": MASS * 1000}, {"m_yy": MASS * 1000}, ["warning output.magnitude"]),
        (WINDOW, {"m": MASS}, {"m_yy_mev": MASS * 1000}, []),
        ("pT > 25 GeV", {"photon_pt": PT * 1000}, {"pt1": PT}, []),
        ("pT > 25 GeV", {"photon_pt": PT * 1000}, {"pt1": PT * 1000}, ["error output.magnitude"]),
        ("pT > 25 GeV", {"pt1": PT * 1000}, {"pt1": PT * 1000}, ["warning output.magnitude"]),
        ("E > 25 GeV", {"x": PT}, {"energy": PT * 1e4}, ["warning output.magnitude"]),
        ("pT > 25 GeV", {"photon_pt": PT}, {"pt1": PT / 1000}, ["error output.magnitude"]),
        ("pT > 25 GeV", {"photon_pt": PT}, {"pt1": PT / 5}, []),
        ("", {"pt1": PT}, {"pt1": PT / 1000}, ["warning output.magnitude"]),
        ("Convert to GeV.", {"pt1": PT * 1000}, {"pt1": PT}, []),
        ("Convert to GeV.", {"pt1": PT * 1000, "met": PT * 1000}, {"pt1": PT, "met": PT * 1000},
         ["warning output.magnitude"]),
        ("", {"pt1": PT}, {"pt1": PT, "pt1_over_m": PT / 1e5, "ptcone20": PT * 1000}, []),
    ],
)  # fmt: skip
def test_columns(tmp_path: Path, text: str, before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    case = a_case(tmp_path, {"in.npz": before}, {"out.npz": after}, text=text)
    assert said(magnitudes, case) == expected


def fit(value: float, name: str = "mean") -> dict[str, Any]:
    return {"valid": True, "parameters": {name: {"value": value, "error": 1.0}, "n_signal": {"value": 2e5, "error": 1}}}


@pytest.mark.parametrize(
    ("text", "document", "expected"),
    [
        ("Fit between 105 and 160 GeV.", fit(125.1), []),
        ("Fit between 105 and 160 GeV.", fit(125_100.0), ["error json.units"]),
        ("Fit between 105 and 160 GeV; the input is in MeV.", fit(125_100.0), ["warning json.units"]),
        ("Fit between 105 and 160 GeV.", fit(125_100.0, "mean_mev"), []),
        ("Fit between 105 and 160 GeV.", {"mass": 125_000, "n": 125_000}, ["error json.units"]),
        ("Fit between 105 and 160 GeV.", {"mass": {"value": 125_000.0, "error": 80.0}}, ["error json.units"]),
        ("Fit between 105 and 160 GeV.", {"mass": {"value": 125.0}, "mass_points": 125_000}, []),
        ("Fit between 105 and 160 GeV.", {"mean": 125_000}, []),
        ("fit m_yy", fit(125_100.0), ["warning json.units"]),
        ("fit m_yy", fit(125.1), []),
        ("fit m_yy", fit(1.1, "mu"), []),
        ("fit m_yy", {"mean": 125_000}, []),
    ],
)
def test_results(tmp_path: Path, text: str, document: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, {"in.parquet": events()}, {"fit.json": document}, text=text)
    assert said(units_of_results, case) == expected
