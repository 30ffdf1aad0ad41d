"""Weights that were lost, yields that are counts, and errors of histograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.contents.histograms import histogram_errors
from snakemake_executor_plugin_llmagent.checks.contents.sums import yields_weighted
from snakemake_executor_plugin_llmagent.checks.contents.weights import weights_kept, weights_there
from tests.unit.checks.test_contents_files import N, a_case, events, said, weights

IN = {"in.parquet": events()}
DATA = {"data.parquet": {**events(), "weight": np.ones(N)}}


@pytest.mark.parametrize(
    ("inputs", "column", "text", "expected"),
    [
        (IN, {"weight": np.ones(N)}, "", ["error weights.all_one"]),
        (IN, {"total_weight": np.ones(N)}, "", ["warning weights.all_one"]),
        (IN, {"total_weight": np.ones(N)}, "weight = the product", ["error weights.all_one"]),
        (IN, {"weight": np.full(N, 0.3)}, "", ["error weights.all_equal"]),
        (IN, {"mc_weight": np.full(N, 0.3)}, "", ["warning weights.all_equal"]),
        (IN, {"weight": np.where(np.arange(N) == 7, np.nan, weights())}, "", ["error output.nonfinite"]),
        (IN, {"weight": weights()}, "", []),
        (IN, {"weight": np.ones(N)}, "Set all weights to 1.", []),
        (IN, {"weight": np.ones(5)}, "", []),
        (DATA, {"weight": np.ones(N)}, "", []),
        ({**IN, **DATA}, {"weight": np.ones(N)}, "", []),
        ({"in.parquet": {**events(), "weight": np.repeat([0.5, 0.3], N // 2)}}, {"weight": np.full(N, 0.3)}, "", []),
        ({"in.parquet": {**events(), "weight": np.repeat([1.0, 0.3], N // 2)}}, {"weight": np.ones(N)}, "", []),
        ({"in.json": {"a": 1}}, {"weight": np.ones(N)}, "", []),
    ],
)
def test_weights_are_kept(
    tmp_path: Path, inputs: dict[str, Any], column: dict[str, Any], text: str, expected: list[str]
) -> None:
    n = len(next(iter(column.values())))
    outputs = {"out.npz": {"m_yy": events()["m_yy"][:n], **column}}
    assert said(weights_kept, a_case(tmp_path, inputs, outputs, text=text)) == expected


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        ({"weight": np.abs(weights())}, "", ["error weights.one_sign"]),
        ({"weight": weights()[weights() > 0]}, "", ["error weights.one_sign"]),
        ({"weight": np.abs(weights())}, "Take the absolute value.", []),
        ({"w": np.abs(weights())}, "", ["warning weights.one_sign"]),
        ({"w": np.abs(weights())}, "w is the weight times something", ["error weights.one_sign"]),
        ({"weight_pileup": np.abs(weights())}, "", []),
        ({"weight": weights()}, "", []),
        ({"pt_yy": np.ones(N)}, "Add up the weights.", ["warning weights.vanished"]),
        ({"pt_yy": np.ones(N)}, "Select events.", []),
    ],
)
def test_weights_are_there(tmp_path: Path, column: dict[str, Any], text: str, expected: list[str]) -> None:
    n = len(next(iter(column.values())))
    outputs = {"out.npz": {"m_yy": events()["m_yy"][:n], **column}}
    assert said(weights_there, a_case(tmp_path, IN, outputs, text=text)) == expected


# --- yields -----------------------------------------------------------------------------------------------------------


def flow(yields: Any, errors: Any) -> dict[str, Any]:
    told = zip(("all", "pt", "mass"), (2000, 900, 400), yields, errors, strict=True)
    return {"cutflow": [{"cut": cut, "events": n, "yield": y, "error": e} for cut, n, y, e in told]}


COUNTS, SUMS = np.array([2000.0, 900.0, 400.0]), np.array([3300.5, 1480.2, 660.7])


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (flow(SUMS, [92.0, 62.0, 41.0]), []),
        (flow(COUNTS, [92.0, 62.0, 41.0]), ["error weights.ignored"]),
        (flow(SUMS, np.sqrt(COUNTS)), ["error error.of_counts"]),
        (flow(SUMS, np.sqrt(SUMS)), ["error error.of_counts"]),
        ({"n_events": 2000, "yield": 2000.0}, ["error weights.ignored"]),
        ({"n_events": 2000, "yield": 3300.5, "yield_error": 2000**0.5}, ["error error.of_counts"]),
        ({"n_events": 2000, "yield": 3300.5, "yield_error": 92.0}, []),
        ({"n_events": 2000, "yield": float(np.abs(weights()).sum())}, ["error weights.one_sign"]),
        ({"n_events": 1800, "yield": float(weights()[weights() > 0].sum())}, []),
        ({"yield": float(weights()[weights() > 0].sum())}, ["error weights.one_sign"]),
        ({"n_events": 2000, "yield": float(weights().sum())}, []),
        ({"categories": [{"events": 25, "yield": 25}, {"events": 30, "yield": 31.5}]}, []),
        ({"signal": 1234.0}, ["warning weights.ignored"]),
        ({"signal": 1234.5, "background": 100.0}, []),
        ({"signal": [120.0, 300.0, 10.0]}, ["warning weights.ignored"]),
    ],
)
def test_yields_are_sums_of_weights(tmp_path: Path, document: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, {"signal:in.parquet": events()}, {"out.json": document})
    assert said(yields_weighted, case) == expected


def test_yields_that_may_be_counts(tmp_path: Path) -> None:
    document = {**flow(COUNTS, np.sqrt(COUNTS)), "n_events": 2000, "yield": 2000}
    normalised = {**events(), "weight": weights() / weights().mean()}
    assert said(yields_weighted, a_case(tmp_path, DATA, {"o.json": document})) == []
    assert said(yields_weighted, a_case(tmp_path, IN, {"o.json": document}, text="Leave out the weights.")) == []
    one = {"n_events": 2000, "yield": 2000}
    assert said(yields_weighted, a_case(tmp_path, {"n.parquet": normalised}, {"o.json": one})) == []
    poisson = a_case(tmp_path, IN, {"o.json": flow(SUMS, np.sqrt(SUMS))}, text="with Poisson errors")
    assert said(yields_weighted, poisson) == ["warning error.of_counts"]
    asked = a_case(tmp_path, {"signal:i.npz": events()}, {"o.json": {"signal": 900}}, text="signal is a sum of weights")
    assert said(yields_weighted, asked) == ["error weights.ignored"]


# --- histograms -------------------------------------------------------------------------------------------------------

EDGES = np.linspace(100, 170, 15)
VALUES, _ = np.histogram(events()["m_yy"], EDGES, weights=np.abs(weights()))
SQUARES, _ = np.histogram(events()["m_yy"], EDGES, weights=weights() ** 2)


@pytest.mark.parametrize(
    ("histogram", "text", "expected"),
    [
        ((VALUES, EDGES, SQUARES), "", []),
        ((VALUES, EDGES, VALUES), "", ["error histogram.errors"]),
        ((VALUES, EDGES, VALUES), "Asimov data", ["warning histogram.errors"]),
        ((VALUES, EDGES, VALUES), "all weights are 1", []),
        ((VALUES, EDGES, 0 * SQUARES), "", ["warning histogram.errors"]),
        ((VALUES, EDGES, SQUARES * 1e-5), "", ["warning histogram.errors"]),
        ((VALUES * 7e-4, EDGES, SQUARES * 7e-4**2), "", []),
        ((VALUES, EDGES), "", ["warning histogram.errors"]),
        ((np.round(VALUES), EDGES), "", []),
    ],
)
def test_variances_of_histograms(tmp_path: Path, histogram: Any, text: str, expected: list[str]) -> None:
    case = a_case(tmp_path, IN, {"h.root": {"m_yy": histogram}}, text=text)
    assert said(histogram_errors, case) == expected
    unweighted = a_case(tmp_path, DATA, {"h.root": {"m_yy": histogram}}, text=text)
    assert set(said(histogram_errors, unweighted)) <= set(expected)


def test_histograms_in_json(tmp_path: Path) -> None:
    held = {"bin_edges": EDGES.tolist(), "counts": VALUES.tolist()}
    wrong = {**held, "errors": np.sqrt(VALUES).tolist()}
    right = {**held, "errors": np.sqrt(SQUARES).tolist()}
    assert said(histogram_errors, a_case(tmp_path, IN, {"h.json": {"m": wrong}})) == ["error histogram.errors"]
    assert said(histogram_errors, a_case(tmp_path, IN, {"h.json": {"m": right}})) == []
    negative = {**held, "variances": (-SQUARES).tolist()}
    assert said(histogram_errors, a_case(tmp_path, IN, {"h.json": {"m": negative}})) == ["error histogram.errors"]
    ratio = {"ratio": {**wrong}}
    assert said(histogram_errors, a_case(tmp_path, IN, {"h.json": ratio})) == []
