"""Contracts of counts, weights, errors, ranges and variations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.case import Needs
from snakemake_executor_plugin_llmagent.checks.contracts.counts import cutflow_monotonic, yields_conserved
from snakemake_executor_plugin_llmagent.checks.contracts.ranges import efficiency_in_unit_interval, mass_window
from snakemake_executor_plugin_llmagent.checks.contracts.variations import variation_moves
from snakemake_executor_plugin_llmagent.checks.contracts.weights import poisson_errors, weights_sum
from tests.unit.checks.test_contents_files import N, a_case, events, some, weights

IN = {"in.parquet": events()}
KEPT = some(events(), np.nonzero(events()["m_yy"] > 130)[0])
SUM, SQUARES = float(KEPT["weight"].sum()), float((KEPT["weight"] ** 2).sum())
LEFT = len(KEPT["m_yy"])


def problems(contract: Any, folder: Path, inputs: Any, outputs: Any, text: str = "", **arguments: Any) -> list[str]:
    return [one.message for one in contract(a_case(folder, inputs, outputs, text=text), **arguments)]


def check(told: list[str], expected: str | None) -> None:
    assert told == [] if expected is None else expected in " | ".join(told)


# --- yields_conserved -------------------------------------------------------------------------------------------------


def flow(events_left: float = LEFT, total: float = SUM) -> dict[str, Any]:
    first = {"cut": "all", "events": N, "yield": float(weights().sum()), "error": float((weights() ** 2).sum() ** 0.5)}
    return {"cutflow": [first, {"cut": "m", "events": events_left, "yield": total, "error": SQUARES**0.5}]}


def categories(*yields: float, **total: Any) -> dict[str, Any]:
    return {"categories": [{"category": i, "yield": value} for i, value in enumerate(yields)], **total}


NUMBERED = {**events(), "category": (events()["m_yy"] > 130).astype(int)}
EACH = [float(events()["weight"][NUMBERED["category"] == i].sum()) for i in (0, 1)]


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"o.json": categories(1.5, 2.5, **{"yield": 4.0})}, None),
        ({"o.json": categories(1.5, 2.5, **{"yield": 4.1})}, "the sum over `categories`: 4.1 against 4"),
        ({"o.json": categories(1.5, 2.5, total={"yield": 4.1})}, "`total.yield` of `o.json` and the sum"),
        ({"o.json": {"regions": {"a": {"n_events": 3}, "b": {"n_events": 4}}, "n_events": 7}}, None),
        ({"o.json": categories(*EACH), "t.parquet": NUMBERED}, None),
        (
            {"o.json": categories(*EACH[::-1]), "t.parquet": NUMBERED},
            "category 0 and the weights of `t.parquet` with it",
        ),
        ({"o.json": flow(), "t.parquet": KEPT}, None),
        ({"o.json": flow(LEFT + 1), "t.parquet": KEPT}, "Events in the end of `cutflow` of `o.json` and rows of"),
        ({"o.json": flow(total=SUM * 1.001), "t.parquet": KEPT}, "The yield in the end"),
        ({"o.json": {"n_events": LEFT, "yield": SUM}, "t.parquet": KEPT}, None),
        ({"o.json": {"n_events": LEFT, "yield": 2 * SUM}, "t.parquet": KEPT}, "The yield in"),
        ({"t.parquet": events()}, None),
        ({"t.parquet": KEPT}, f"{N} against {LEFT}"),
        ({"a.parquet": some(events(), slice(900)), "b.npz": some(events(), slice(900, None))}, None),
        ({"a.parquet": some(events(), slice(900)), "b.npz": some(events(), slice(901, None))}, f"{N} against {N - 1}"),
    ],
)
def test_what_is_divided_adds_up(tmp_path: Path, outputs: dict[str, Any], expected: str | None) -> None:
    check(problems(yields_conserved, tmp_path, IN, outputs), expected)


def uhi(values: Any, *, flow_bins: bool) -> dict[str, Any]:
    axis = {"type": "regular", "lower": 110.0, "upper": 160.0, "bins": 5, "underflow": flow_bins, "overflow": flow_bins}
    return {
        "uhi_schema": 1, "axes": [{**axis, "metadata": {"label": "m_yy"}}],
        "storage": {"type": "double", "values": list(values)},
    }  # fmt: skip


def test_histograms_hold_what_was_selected(tmp_path: Path) -> None:
    edges = np.array([-np.inf, *np.linspace(110, 160, 6), np.inf])
    held = np.histogram(events()["m_yy"], edges, weights=weights())[0]
    assert problems(yields_conserved, tmp_path, IN, {"h.json": uhi(held, flow_bins=True)}) == []
    assert problems(yields_conserved, tmp_path, IN, {"h.json": uhi(held[1:-1], flow_bins=False)}) == []
    lost = problems(yields_conserved, tmp_path, IN, {"h.json": uhi(held[1:-1], flow_bins=False)}, "with overflow")
    check(lost, "the content of `h.json`")
    check(problems(yields_conserved, tmp_path, IN, {"h.json": uhi(held * 2, flow_bins=True)}), "against")
    named = {
        "h.root": {"other": (held[1:-1], edges[1:-1])},
        "o.json": {"n_events": N, "yield": float(held[1:-1].sum())},
    }
    assert problems(yields_conserved, tmp_path, IN, named) == []


def test_yields_conserved_needs_something(tmp_path: Path) -> None:
    with pytest.raises(Needs, match="something to add up"):
        problems(yields_conserved, tmp_path, IN, {"o.json": {"a": 1}})


# --- cutflow_monotonic ------------------------------------------------------------------------------------------------


def steps(*numbers: tuple[float, float, float]) -> dict[str, Any]:
    return {"cutflow": [{"cut": f"c{i}", "events": n, "yield": y, "error": e} for i, (n, y, e) in enumerate(numbers)]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (flow(), None),
        (steps((N, N, N**0.5), (90, 90, 90**0.5)), None),
        (steps((N, 9.0, 3.0), (90, 5.0, 2.0), (95, 5.0, 2.0)), "rises from 90 to 95 at `c2`"),
        (steps((N - 1, 9.0, 3.0), (90, 5.0, 2.0)), f"begins with {N - 1} events, the input has {N}"),
        (steps((N, 9.0, 0.1), (90, 5.0, 2.0)), "has an error of 0.1 at `c0`, smaller than any"),
        (steps((N, N, 3 * N**0.5), (90, 90, 90**0.5)), "errors are not their square roots"),
        (steps((N, 9.0, 3.0), (-1, 5.0, 2.0)), "missing or negative"),
    ],
)
def test_cut_flows(tmp_path: Path, document: Any, expected: str | None) -> None:
    check(problems(cutflow_monotonic, tmp_path, IN, {"o.json": document}), expected)


def test_cut_flows_of_several_inputs(tmp_path: Path) -> None:
    inputs = {"a.parquet": events(), "b.parquet": some(events(), slice(500)), "c.json": {"x": 1}}
    for first in (N, 500, N + 500):
        assert problems(cutflow_monotonic, tmp_path, inputs, {"o.json": {"cutflow": {"all": first, "x": 3}}}) == []
    assert problems(cutflow_monotonic, tmp_path, {"c.json": {}}, {"o.json": flow()}) == []
    with pytest.raises(Needs, match="a cut flow: `cutflow"):
        problems(cutflow_monotonic, tmp_path, inputs, {"o.json": {"flow": [1]}})


# --- weights_sum ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "arguments", "expected"),
    [
        ({"t.parquet": events()}, {}, None),
        ({"t.parquet": KEPT}, {}, None),
        ({"t.parquet": {**KEPT, "weight": KEPT["weight"].astype(np.float32)}}, {}, None),
        ({"t.parquet": {**KEPT, "weight": np.ones(LEFT)}}, {}, "All weights in `t.parquet` are 1"),
        ({"t.parquet": {**KEPT, "weight": KEPT["weight"] * 1.01}}, {}, "are not among those of the input"),
        ({"t.parquet": {**events(), "weight": np.abs(weights())}}, {}, "not among"),
        ({"t.parquet": {**events(), "weight": weights()[np.r_[0:1000, 0:1000]]}}, {}, "sum up to"),
        ({"t.parquet": {**KEPT, "weight": KEPT["weight"] * np.nan}}, {}, "NaN"),
        ({"t.parquet": {**KEPT, "weight": KEPT["weight"] * 3}}, {"total": 3 * SUM}, None),
        ({"t.parquet": KEPT}, {"total": 3 * SUM}, "not to"),
        ({"t.parquet": KEPT}, {"total": SUM * 1.05, "tolerance": 0.1}, None),
        ({"o.json": {"n_events": 3, "yield": 7.0}}, {"total": 7.0}, None),
        ({"h.root": {"h": ([3.0, 4.0], [0, 1, 2])}}, {"total": 8.0}, "sum up to 7, not to 8"),
        ({"o.json": flow()}, {}, None),
        ({"o.json": {"cutflow": [{"cut": "all", "events": N, "yield": float(N)}]}}, {}, "begins with 2000"),
        ({"h.root": {"h": ([float(weights().sum())], [0, 1])}}, {}, None),
    ],
)
def test_weights(tmp_path: Path, outputs: dict[str, Any], arguments: dict[str, Any], expected: str | None) -> None:
    check(problems(weights_sum, tmp_path, IN, outputs, **arguments), expected)


def test_weights_need_something(tmp_path: Path) -> None:
    with pytest.raises(Needs, match=r"a column of weights in the inputs \(`c.json`\), or the parameter `total`"):
        problems(weights_sum, tmp_path, {"c.json": {"x": 1}}, {"t.parquet": events()})
    with pytest.raises(Needs, match="weights in the outputs"):
        problems(weights_sum, tmp_path, IN, {"o.json": {"a": 1}})
    with pytest.raises(Needs, match="a `yield` or a histogram"):
        problems(weights_sum, tmp_path, IN, {"o.json": {"a": 1}}, total=3.0)
    two = {"t.parquet": {"sf_weight": weights(), "mc_weight": weights()}}
    with pytest.raises(Needs, match=r"the parameter `column`: `t\.parquet` has several columns of weights"):
        problems(weights_sum, tmp_path, IN, two)
    one = {"in.parquet": {**events(), "mc_weight": weights()}}
    assert problems(weights_sum, tmp_path, one, two, column="mc_weight") == []


# --- poisson_errors ---------------------------------------------------------------------------------------------------

EDGES = np.linspace(100, 170, 15)
CONTENTS = np.histogram(events()["m_yy"], EDGES, weights=weights())[0]
RIGHT = np.histogram(events()["m_yy"], EDGES, weights=weights() ** 2)[0]
COUNTS = np.histogram(events()["m_yy"], EDGES)[0].astype(float)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"h.root": {"m_yy": (CONTENTS, EDGES, RIGHT)}}, None),
        ({"h.root": {"nominal": (CONTENTS, EDGES, RIGHT)}}, None),
        ({"h.root": {"m_yy": (CONTENTS, EDGES, np.abs(CONTENTS))}}, "from the squares of `weight` in `in.parquet`"),
        ({"h.root": {"nominal": (CONTENTS, EDGES, RIGHT * 1.1)}}, "(14 bins differ)"),
        ({"h.root": {"other": (CONTENTS * 1.7, EDGES, RIGHT)}}, None),
        ({"h.root": {"m_yy": (COUNTS, EDGES)}}, None),
        ({"h.root": {"m_yy": (COUNTS, EDGES, COUNTS * 2)}}, "from the numbers of events in `in.parquet`"),
        (
            {"h.root": {"x": (np.array([4.0, 9.0]), [0, 1, 2], np.array([4.0, 3.0]))}},
            "bin 1 is 1.7321, from numbers of",
        ),
        ({"h.root": {"m_yy": (CONTENTS, EDGES)}}, "store the sum of squared weights"),
        ({"p.json": {"bin_edges": [0, 1, 2], "data": [4, 9], "data_error": [2, 3], "mc": [1.5, 2]}}, None),
        ({"p.json": {"bin_edges": [0, 1, 2], "data": [4, 9], "data_error": [4, 9]}}, "`data` of `p.json`"),
        ({"o.json": {"n_events": LEFT, "yield": SUM, "yield_error": SQUARES**0.5}, "t.parquet": KEPT}, None),
        ({"o.json": {"n_events": LEFT, "yield": SUM, "yield_error": SUM**0.5}, "t.parquet": KEPT}, "squared weights"),
        ({"o.json": {"n_events": 100, "yield": 100, "yield_error": 10.0}}, None),
        ({"o.json": {"n_events": 100, "yield": 100, "yield_error": 5.0}}, "of 100 events it is 10"),
        ({"o.json": {"n_events": 100, "yield": 50.5, "yield_error": 1.0}}, "have less than 5.05"),
        ({"o.json": flow()}, None),
    ],
)
def test_errors(tmp_path: Path, outputs: dict[str, Any], expected: str | None) -> None:
    check(problems(poisson_errors, tmp_path, IN, outputs), expected)


def test_errors_of_several_samples_together(tmp_path: Path) -> None:
    inputs = {"samples:a.parquet": events(), "samples:b.parquet": {**events(), "weight": weights() * 2}}
    both, squares = CONTENTS * 3, RIGHT * 5
    assert problems(poisson_errors, tmp_path, inputs, {"h.root": {"m_yy": (both, EDGES, squares)}}) == []
    check(problems(poisson_errors, tmp_path, inputs, {"h.root": {"m_yy": (both, EDGES, RIGHT * 9)}}), "14 bins differ")
    with pytest.raises(Needs, match="beside `bin_edges`"):
        problems(poisson_errors, tmp_path, inputs, {"o.json": {"yield": 3}})


# --- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"o.json": {"efficiency": 0.3, "efficiency_error": 0.01, "acceptance": 1.0, "p_value": 0.0}}, None),
        ({"o.json": {"bins": [{"efficiency_data": 0.6, "error_data": 0.1}, {"efficiency_data": 1.2}]}}, "bins[1]"),
        ({"o.json": {"signal_fraction": -0.1}}, "is not between 0 and 1"),
        ({"o.json": {"efficiency": {"value": 0.5, "error": 0.9}}}, "no share is less certain"),
        ({"o.json": {"efficiency": 0.25, "passed": 25, "total": 100, "efficiency_error": 0.043}}, None),
        ({"o.json": {"efficiency": 0.33, "passed": 25, "total": 100}}, "is not 25 / 100"),
        ({"o.json": {"efficiency": 0.25, "passed": 25, "total": 100, "efficiency_error": 0.25}}, "sqrt(e (1 - e) / n)"),
        ({"t.csv": {"pt": [10, 20], "efficiency": [0.2, 0.9]}}, None),
        ({"t.csv": {"pt": [10, 20], "efficiency": [0.2, 1.9]}}, "1 of 2 values are not between 0 and 1"),
    ],
)
def test_shares(tmp_path: Path, outputs: dict[str, Any], expected: str | None) -> None:
    check(problems(efficiency_in_unit_interval, tmp_path, IN, outputs), expected)


def share(passing: int, total: int, factor: float = 1.0, key: str = "efficiency_data") -> dict[str, Any]:
    """A share with a binomial error, times a factor."""
    e = passing / total
    name = "error_data" if key == "efficiency_data" else f"{key}_err"
    return {"o.json": {"bins": [{key: e, name: factor * (e * (1 - e) / total) ** 0.5}]}}


@pytest.mark.parametrize(
    ("outputs", "text", "expected"),
    [
        (share(611, 853), "binomial errors", None),
        (share(611, 853, 1.5), "binomial errors", None),
        (share(611, 853, 2.5), "binomial errors", "with a denominator of 853 or more"),
        (share(611, 853, 2.5), "errors with systematics", None),
        (share(611, 853, 3.5), "errors", "sqrt(e (1 - e) / n) is at most 0.01543"),
        # Of 400 of 800 one knows that there are 2 at least; of 3 that fail that recipes differ.
        (share(400, 800, 3.5), "binomial errors", None),
        (share(850, 853, 3.5), "binomial errors", None),
        # The share of weights is no ratio of whole numbers, nor is one that was rounded.
        ({"o.json": {"efficiency": 0.7162401831787993, "efficiency_error": 0.05}}, "binomial errors", None),
        ({"o.json": {"efficiency": 0.7163, "efficiency_error": 0.05}}, "binomial errors", None),
        (share(1600, N, 0.8), "", None),
        (share(1600, N, 0.1), "", "smaller than 0.008944, which is sqrt(e (1 - e) / n) of all 2000 entries"),
        (share(1600, N, 0.1, "acceptance"), "", "smaller than 0.008944"),
        (share(1600, N, 0.1, "branching_fraction"), "", None),
    ],
)
def test_errors_of_shares(tmp_path: Path, outputs: dict[str, Any], text: str, expected: str | None) -> None:
    check(problems(efficiency_in_unit_interval, tmp_path, IN, outputs, text=text), expected)


def test_numbers_of_events_in_the_input_are_no_entries(tmp_path: Path) -> None:
    counted = {"in.csv": {"pt": [10, 20], "passed": [90_000, 70_000], "total": [100_000, 80_000]}}
    filled = {"in.root": {"passed": histogram(1e4), "total": histogram(2e4)}}
    for inputs in (counted, filled):
        assert problems(efficiency_in_unit_interval, tmp_path, inputs, share(90_000, 100_000)) == []


def test_shares_need_something(tmp_path: Path) -> None:
    with pytest.raises(Needs, match="an efficiency: a key or a column"):
        problems(efficiency_in_unit_interval, tmp_path, IN, {"o.json": {"n_eff": 3, "m_eff": 500.0}})


def position(value: float, name: str = "mean") -> dict[str, Any]:
    return {"valid": True, "parameters": {name: {"value": value}, "n_signal": {"value": 3.0}}}


@pytest.mark.parametrize(
    ("outputs", "column", "expected"),
    [
        ({"t.npz": {"m_yy": np.array([121.0, 129.0, np.nan]), "pt": np.arange(3.0)}}, None, None),
        ({"t.npz": {"m_yy": np.array([121.0, 139.0])}}, None, "1 of 2 values are not within 120 to 130 GeV"),
        ({"t.npz": {"m_yy": np.array([121e3, 125e3])}}, None, "They seem to be in MeV."),
        ({"t.npz": {"m_yy": np.array([125.0]), "m_jj": np.array([90.0])}}, "m_yy", None),
        ({"t.npz": {"x": np.array([90.0])}}, "x", "1 of 1 values"),
        ({"o.json": position(125.1)}, None, None),
        ({"o.json": position(125_100.0)}, None, "`parameters.mean` of `o.json`"),
        ({"o.json": {**position(125.0), "mu": 1}}, None, None),
        ({"o.json": {**position(1.1, "mu"), "mass": 125.0}}, None, None),
        ({"o.json": {"m_h": {"value": 140.0}}}, None, "`m_h` of `o.json`"),
        ({"h.root": {"m_yy": ([0.0, 3.0, 0.0], [110, 120, 130, 140])}}, None, None),
        ({"h.root": {"m_yy": ([0.0, 3.0, 1.0], [110, 120, 130, 140])}}, None, "1 of 2 values"),
    ],
)
def test_masses(tmp_path: Path, outputs: dict[str, Any], column: str | None, expected: str | None) -> None:
    check(problems(mass_window, tmp_path, IN, outputs, low=120, high=130, column=column), expected)


def test_masses_need_something(tmp_path: Path) -> None:
    with pytest.raises(Needs, match=r"`t.npz` has several masses \(`m_yy`, `m_jj`\)"):
        problems(mass_window, tmp_path, IN, {"t.npz": {"m_yy": np.ones(3), "m_jj": np.ones(3)}}, low=1, high=2)
    with pytest.raises(Needs, match="a column, fitted parameter or histogram `m_h`"):
        problems(mass_window, tmp_path, IN, {"o.json": position(3.0)}, low=1, high=2, column="m_h")
    with pytest.raises(Needs, match="a mass: a column such as"):
        problems(mass_window, tmp_path, IN, {"o.json": {"a": 1}}, low=1, high=2)


# --- variations -------------------------------------------------------------------------------------------------------

H = np.array([3.0, 5.0, 2.0])


def histogram(factor: Any) -> Any:
    return H * np.asarray(factor), np.arange(4.0)


def shape(shift: float) -> Any:
    """A peak at 100, moved."""
    edges = np.linspace(-100.0, 200.0, 301)
    return np.exp(-0.5 * ((0.5 * (edges[1:] + edges[:-1]) - 100.0 - shift) / 10.0) ** 2), edges


@pytest.mark.parametrize(
    ("outputs", "arguments", "expected"),
    [
        ({"o.json": {"n": 10.0, "n_jes_up": 11.0, "n_jes_down": 9.0}}, {}, None),
        ({"o.json": {"nominal": {"n": 10.0}, "jesUp": {"n": 11.0}, "jesDown": {"n": 9.5}}}, {}, None),
        ({"o.json": {"n": 10.0, "n_jes_up": 10.0, "n_jes_down": 10.0}}, {}, "was it ever applied"),
        ({"o.json": {"n": 10.0, "n_jes_up": 10.0, "n_jes_down": 9.0}}, {}, "does not move anything under `up`"),
        ({"o.json": {"n": 10.0, "n_jes_up": 11.0, "n_jes_down": 12.0}}, {}, "moves to the same side"),
        ({"o.json": {"n": 10.0, "n_jes_up": 11.0, "n_jes_down": 12.0}}, {"signed": False}, None),
        ({"o.json": {"n": 10.0, "n_jes_up": 11.0}}, {}, "has no `down` beside its `up`"),
        ({"o.json": {"n": 1.0, "n_plus": 2.0, "n_minus": 0.5}}, {"up": "plus", "down": "minus"}, None),
        ({"h.root": {"m": histogram(1.0), "m_jes_up": histogram(1.1), "m_jes_down": histogram(0.9)}}, {}, None),
        ({"h.root": {"m": histogram(1), "m_jes_up": histogram(1), "m_jes_down": histogram(1)}}, {}, "ever applied"),
        ({"h.root": {"m": histogram(1), "m_up": histogram([0.8, 1, 1.3]), "m_down": histogram([1, 0.9, 1])}}, {}, None),
        ({"nominal:a.json": {"n": 3, "ndf": 5}, "up:b.json": {"n": 4, "ndf": 5}, "down:c.json": {"n": 2, "ndf": 5}},
         {}, None),
        ({"nominal:a.json": {"n": 3}, "up:b.json": {"n": 3}, "down:c.json": {"n": 3}}, {}, "The variation `up`"),
        ({"t.npz": {"pt": H, "pt_up": H * 1.01, "pt_down": H * 0.99}}, {}, None),
        ({"o.json": {"n": 10.0, "n_jes_up": 12.0, "n_jes_down": 9.99}}, {}, "by 20.000% under `up` and by 0.100%"),
        ({"o.json": {"n": 10.0, "n_jes_up": 12.0, "n_jes_down": 9.99}}, {"signed": False}, None),
        ({"o.json": {"n": 10.0, "n_jes_up": 12.0, "n_jes_down": 9.8}}, {}, None),
        ({"o.json": {"n": 10.0, "n_jes_up": 11.0, "n_jes_down": 9.0}}, {"largest": 0.11}, None),
        ({"o.json": {"n": 10.0, "n_jes_up": 11.0, "n_jes_down": 9.0}}, {"largest": 0.09}, "more than the 9.000%"),
        ({"o.json": {"n": 10.0, "n_jes_up": 11.0, "n_jes_down": 9.0}}, {"largest": {"jer": 0.01}}, None),
        ({"o.json": {"n": 10.0, "n_jes_up": 11.0, "n_jes_down": 9.0}}, {"largest": {"jes": 0.01}}, "moves the sum by"),
        ({"h.root": {"m": shape(0.0), "m_jes_up": shape(1.0), "m_jes_down": shape(-1.0)}}, {"largest": 0.02}, None),
        ({"h.root": {"m": shape(0.0), "m_jes_up": shape(3.0), "m_jes_down": shape(-3.0)}}, {"largest": 0.02},
         "moves the mean by +2.985%"),
        # The mean is 0, and moves by a small part of the width.
        ({"h.root": {"m": shape(-100.0), "m_jes_up": shape(-99.9), "m_jes_down": shape(-100.1)}}, {"largest": 0.02},
         None),
    ],
)  # fmt: skip
def test_variations(tmp_path: Path, outputs: dict[str, Any], arguments: dict[str, Any], expected: str | None) -> None:
    check(problems(variation_moves, tmp_path, IN, outputs, **arguments), expected)


def test_variations_need_something(tmp_path: Path) -> None:
    with pytest.raises(Needs, match="with `up` and `down` in their names"):
        problems(variation_moves, tmp_path, IN, {"o.json": {"supply": 1, "update": 3}})
