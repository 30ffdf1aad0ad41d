"""The contract of the range of a column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.case import Needs
from snakemake_executor_plugin_llmagent.checks.contracts.columns import column_range
from tests.unit.checks.test_contents_files import a_case

PT = np.array([40.0, 55.0, np.nan, 70.0])


def problems(folder: Path, outputs: Any, column: str = "pt1", **arguments: Any) -> list[str]:
    return [one.message for one in column_range(a_case(folder, None, outputs), column, **arguments)]


@pytest.mark.parametrize(
    ("values", "arguments", "expected"),
    [
        (PT, {"low": 40}, None),
        (PT, {"low": 40, "high": 70}, None),
        (np.float32(PT) - np.float32(3e-6), {"low": 40}, None),
        (PT, {"low": 41}, "1 of 3 values are not at least 41 GeV (they run from 40 to 70)."),
        (PT, {"high": 60, "unit": ""}, "1 of 3 values are not at most 60 (they run from 40 to 70)."),
        (PT * 1000, {"low": 40, "high": 100}, "3 of 3 values are not within 40 to 100 GeV"),
        (PT * 1000, {"low": 40, "high": 100}, "They seem to be in MeV."),
        (PT, {"low": 40_000, "high": 100_000, "unit": "MeV"}, "They seem to be in GeV."),
        (PT * np.inf, {"low": 40, "high": 100}, "3 of 3 values are not within 40 to 100 GeV"),
        (PT * np.nan, {"low": 40}, "there is no value, all are NaN"),
    ],
)
def test_ranges(tmp_path: Path, values: Any, arguments: Any, expected: str | None) -> None:
    told = problems(tmp_path, {"o.parquet": {"pt1": values}}, **arguments)
    assert told == [] if expected is None else expected in told[0]


def test_all_columns_of_the_name_are_looked_at(tmp_path: Path) -> None:
    records = {"events": [{"pt1": 50.0, "n": 1}, {"pt1": 10.0, "n": 2}]}
    outputs = {"a.parquet": {"pt1": PT}, "b.npz": {"pt1": PT - 20}, "c.json": records}
    told = problems(tmp_path, outputs, low=40)
    assert [text.partition(":")[0] for text in told] == ["`pt1` of `b.npz`", "`pt1` of `c.json`"]


def test_lists_are_looked_at_as_a_whole(tmp_path: Path) -> None:
    ak = pytest.importorskip("awkward")
    tree = {"photon_pt": ak.Array([[50.0, 30.0], [], [60.0]])}
    told = problems(tmp_path, {"o.root": {"t": tree}}, column="photon_pt", low=40)
    assert "1 of 3 values" in told[0]


def test_it_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(Needs, match="a column `pt1` of numbers, but there are `pt_1`"):
        problems(tmp_path / "a", {"o.parquet": {"pt_1": PT}}, low=40)
    with pytest.raises(Needs, match="one of the parameters"):
        problems(tmp_path / "b", {"o.parquet": {"pt1": PT}})
