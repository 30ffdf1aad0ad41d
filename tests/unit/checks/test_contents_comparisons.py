"""Axes, cuts, counts, histograms, sums and ratios that are not what the sentence, or the files beside them, say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.contents.axes import axes_as_told
from snakemake_executor_plugin_llmagent.checks.contents.counted import counts_agree
from snakemake_executor_plugin_llmagent.checks.contents.cuts import cuts_applied
from snakemake_executor_plugin_llmagent.checks.contents.derived import ratios_upright, sums_in_quadrature
from snakemake_executor_plugin_llmagent.checks.contents.ratios import ratios_as_told
from snakemake_executor_plugin_llmagent.checks.contents.refilled import histograms_refilled
from tests.unit.checks.test_contents_files import N, a_case, events, said, some, weights

# --- histogram.binning ------------------------------------------------------------------------------------------------

BINS = "Histogram m_yy in 55 bins from 105 to 160 GeV."
WIDTHS = "Plot m_yy between 105 and 160 GeV in bins of 2.5 GeV."


def a_histogram(edges: Any, values: Any = None) -> dict[str, Any]:
    counts = np.arange(1.0, len(edges)) if values is None else values
    return {"bin_edges": list(map(float, edges)), "counts": list(map(float, counts))}


@pytest.mark.parametrize(
    ("text", "edges", "expected"),
    [
        (BINS, np.linspace(105, 160, 56), []),
        (BINS, np.linspace(105e3, 160e3, 56), ["error histogram.binning"]),
        (f"{BINS} The ntuple is in MeV.", np.linspace(105e3, 160e3, 56), ["warning histogram.binning"]),
        (BINS.replace(" GeV", ""), np.linspace(105e3, 160e3, 56), []),
        (BINS.replace("Histogram", "The input has"), np.linspace(105, 160, 12), []),
        (f"{BINS} Leave the region of the signal out.", np.linspace(130, 160, 31), []),
        (f"{BINS} Show also bins of 5 GeV.", np.linspace(105, 160, 55), ["warning histogram.binning"]),
        ("10 bins from 20 to 200 GeV, equidistant in log(pT)", np.geomspace(20, 200, 11), []),
        (BINS, np.linspace(105, 160, 56).astype(np.float32), []),
        (BINS, np.linspace(105, 160, 55), ["error histogram.binning"]),
        (BINS, np.linspace(105, 160, 23), ["error histogram.binning"]),
        (BINS, np.linspace(100, 155, 56), []),
        (BINS, np.linspace(105, 165, 56), ["error histogram.binning"]),
        (BINS, np.linspace(0, 200, 21), []),
        (BINS, np.linspace(0, 55, 56), []),
        (f"{BINS} Merge bins with less than 10 events.", np.linspace(105, 160, 23), []),
        (WIDTHS, np.arange(105, 160, 2.5), ["error histogram.binning"]),
        (WIDTHS, np.arange(105, 162, 2.5), []),
        (WIDTHS, np.linspace(105, 160, 22), ["error histogram.binning"]),
        ("Plot m_yy with 1 GeV bins.", np.linspace(105, 160, 23), []),
    ],
)
def test_axes(tmp_path: Path, text: str, edges: Any, expected: list[str]) -> None:
    held = a_histogram(edges)
    files: list[dict[str, Any]] = [
        {"h.json": held},
        {"h.root": {"m_yy": (held["counts"], edges)}},
        {"h.npz": {"edges": np.asarray(edges), "counts": np.array(held["counts"])}},
        {"h.json": {"bin_edges": held["bin_edges"], "data": held["counts"], "data_error": held["counts"]}},
        {"h.json": {"bins": [{"low": a, "high": b, "n": 1} for a, b in pairwise(edges)]}},
    ]
    for number, outputs in enumerate(files if np.asarray(edges).dtype != np.float32 else files[:1]):
        assert said(axes_as_told, a_case(tmp_path / str(number), None, outputs, text=text)) == expected


def test_one_axis_of_several_is_enough(tmp_path: Path) -> None:
    fine = {"fine": a_histogram(np.linspace(105, 160, 221)), "drawn": a_histogram(np.linspace(105, 160, 56))}
    assert said(axes_as_told, a_case(tmp_path / "a", None, {"h.json": fine}, text=BINS)) == []
    both = f"{BINS} And m_yy in 11 bins from 105 to 160 GeV."
    told = said(axes_as_told, a_case(tmp_path / "b", None, {"h.json": fine}, text=both))
    assert told == ["error histogram.binning"]
    axis = {"type": "regular", "lower": 105.0, "upper": 160.0, "bins": 55, "underflow": True, "overflow": True}
    uhi = {"uhi_schema": 1, "axes": [axis], "storage": {"type": "double", "values": [1.0] * 57}}
    assert said(axes_as_told, a_case(tmp_path / "c", None, {"h.json": uhi}, text=BINS)) == []
    message = next(iter(axes_as_told(a_case(tmp_path / "d", None, {"h.json": fine}, text=both)))).message
    assert "np.linspace(105, 160, 12)" in message


# --- cut.not_applied --------------------------------------------------------------------------------------------------


def objects(least: float = 25.0, unit: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    pt = np.sort(rng.exponential(30.0, (N, 2)) + least, axis=1)[:, ::-1] * unit
    missing = rng.random(N) < 0.1
    return {
        "n_jets": 2 - missing, "jet1_pt": pt[:, 0], "jet2_pt": np.where(missing, np.nan, pt[:, 1]),
        "m_yy": rng.uniform(105, 160, N), "score": rng.random(N), "weight": weights(),
    }  # fmt: skip


JETS = "Jets with pT > 25 GeV are numbered by falling pT, in an npz file of arrays."


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        (JETS, objects(), []),
        (JETS, objects(unit=1000.0), []),
        (JETS, objects(20.0), ["error cut.not_applied"]),
        (JETS.replace("25 GeV", "params.jet_pt GeV"), objects(20.0), ["error cut.not_applied"]),
        (JETS.replace("25 GeV", "25"), objects(20.0), ["warning cut.not_applied"]),
        (JETS.replace("25 GeV", "25"), objects(), []),
        (JETS.replace("Jets", "Photons"), objects(20.0), []),
        (JETS.replace("Jets", "Leading jets"), objects(20.0), ["error cut.not_applied"]),
        ("Write all jets, and the number of jets with pT > 25 GeV.", objects(20.0), []),
        (JETS, {**objects(), "jet1_pt": np.where(np.arange(N) % 5, objects()["jet1_pt"], -999.0)}, []),
        (JETS, {**objects(), "jet1_pt": np.maximum(objects()["jet1_pt"], 25.0).astype(np.float32)}, []),
        (JETS, {name.replace("jet", "bjet"): held for name, held in objects(20.0).items()}, []),
        (JETS, {"pt1": objects(20.0)["jet1_pt"], "x": np.zeros(N)}, ["error cut.not_applied"]),
        (JETS, {"jet0_pt": objects(20.0)["jet1_pt"], "x": np.zeros(N)}, ["error cut.not_applied"]),
        (JETS, {"pt1": objects(20.0)["jet1_pt"], "mu1_pt": objects()["jet1_pt"]}, []),
    ],
)
def test_momenta(tmp_path: Path, text: str, columns: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, None, {"o.npz": columns}, text=text, params={"jet_pt": 25})
    assert said(cuts_applied, case) == expected


ONE_JET = "Select events with a jet with pT > 60 GeV. Jets are numbered by falling pT."
HARD = {**objects(20.0), "jet1_pt": objects(60.0)["jet1_pt"]}


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        (ONE_JET, HARD, []),
        (ONE_JET, objects(20.0), ["error cut.not_applied"]),
        (ONE_JET.replace("a jet", "at least two jets"), HARD, ["error cut.not_applied"]),
        ("Require two jets, one of them with pT > 60 GeV.", HARD, []),
        ("Keep events where the leading jet has pT > 60 GeV.", HARD, []),
        ("Select jets. The trigger requires a jet with pT > 60 GeV.", objects(20.0), []),
        ("Select jets. Weights are 1.1 for events with leading jet pT above 60 GeV.", objects(20.0), []),
        ("Select the two jets closest in mass; jets with pT > 60 GeV are called hard.", objects(20.0), []),
        ("Select events. HT is made of jets with pT > 60 GeV.", objects(20.0), []),
        ("Keep all, but correct jets with pT > 60 GeV by 2 %.", objects(20.0), []),
        ("Select events. The scale factor is 0.9 for score > 0.5.", objects(20.0), []),
        ("Select dijets. A VBF event has score > 0.5.", objects(20.0), []),
    ],
)
def test_momenta_that_not_all_objects_need(tmp_path: Path, text: str, columns: Any, expected: list[str]) -> None:
    assert said(cuts_applied, a_case(tmp_path, None, {"o.npz": columns}, text=text)) == expected


ORDERED = "Cuts: pT of the leading one > params.pt[0] and of the subleading one > params.pt[1] (both in GeV)."


def test_each_object_has_its_threshold(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    right = {"pt1": rng.exponential(20, N) + 40, "pt2": rng.exponential(20, N) + 30}
    for number, (columns, expected) in enumerate(
        [(right, []), ({**right, "pt1": right["pt2"] + 2}, ["error cut.not_applied"])]
    ):
        case = a_case(tmp_path / str(number), None, {"o.parquet": columns}, text=ORDERED, params={"pt": [40, 30]})
        assert said(cuts_applied, case) == expected


SELECT = "Select events with 105 < m_yy < 160 GeV and score > 0.3."


@pytest.mark.parametrize(
    ("text", "keep", "expected"),
    [
        (SELECT, lambda t: t["score"] > 0.3, []),
        (SELECT, lambda t: t["score"] > 0.2, ["error cut.not_applied"]),
        ("105 < m_yy < 160 GeV and score > 0.3.", lambda t: t["score"] > 0.2, []),
        ("One row per event. Select those with score > 0.3 for the plot.", lambda t: t["score"] > 0.2, []),
        ("Select events. Category 1 has score > 0.3.", lambda t: t["score"] > 0.2, []),
        ("Select events with 110 < m_yy < 150 GeV.", lambda t: t["m_yy"] > 110, ["error cut.not_applied"]),
        ("Select events with 110 < m_yy < 150 GeV.", lambda t: abs(t["m_yy"] - 130) < 20, []),
        ("Select events outside 110 < m_yy < 150 GeV.", lambda t: abs(t["m_yy"] - 130) > 20, []),
    ],
)
def test_windows(tmp_path: Path, text: str, keep: Any, expected: list[str]) -> None:
    table = objects()
    table = some(table, np.nonzero(keep(table))[0])
    assert said(cuts_applied, a_case(tmp_path / "one", None, {"o.parquet": table}, text=text)) == expected
    two = {"o.parquet": table, "rest.parquet": objects()}
    assert said(cuts_applied, a_case(tmp_path / "two", None, two, text=text)) == []
    other_unit = {**table, "m_yy": table["m_yy"] * 1000}
    assert said(cuts_applied, a_case(tmp_path / "mev", None, {"o.parquet": other_unit}, text=text)) == expected


# --- objects.count ----------------------------------------------------------------------------------------------------

GOOD = "Good photons are numbered by pT. Arrays: `n_photons` (good ones), `ph1_pt`, `ph2_pt`. What is missing is NaN."


def photons(**more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(9)
    n = rng.integers(0, 4, N)
    pt = np.sort(rng.exponential(30.0, (N, 2)) + 25, axis=1)[:, ::-1]
    return {
        "n_photons": n, "ph1_pt": np.where(n > 0, pt[:, 0], np.nan), "ph2_pt": np.where(n > 1, pt[:, 1], np.nan),
        **more,
    }  # fmt: skip


ONE_MORE = photons()["n_photons"] + 1


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        (GOOD, photons(), []),
        (GOOD, photons(n_photons=ONE_MORE), ["error objects.count"]),
        (GOOD, photons(n_photons=np.maximum(photons()["n_photons"], 1) - 1), ["error objects.count"]),
        ("`n_photons`, `ph1_pt` of good photons", photons(n_photons=ONE_MORE), ["warning objects.count"]),
        (
            "`n_photons` (all of them, also not good ones), `ph1_pt` of good photons",
            photons(n_photons=ONE_MORE),
            ["warning objects.count"],
        ),
        (GOOD, {name.replace("ph", "jet"): held for name, held in photons().items()}, []),
        (GOOD, photons(n_photons=ONE_MORE, ph2_pt=np.ones(N), ph1_pt=np.ones(N)), []),
        (GOOD, {**photons(), "ph0_pt": photons()["ph1_pt"], "ph1_pt": photons()["ph2_pt"], "ph2_pt": np.ones(N)}, []),
    ],
)  # fmt: skip
def test_counts(tmp_path: Path, text: str, columns: Any, expected: list[str]) -> None:
    assert said(counts_agree, a_case(tmp_path, None, {"o.npz": columns}, text=text)) == expected


# --- histogram.overflow and histogram.scaled --------------------------------------------------------------------------

EDGES = np.linspace(105, 160, 12)
FILL = "Histogram m_yy with weights."


def filled(table: dict[str, Any], low: float = -np.inf, high: float = np.inf, edges: Any = EDGES) -> dict[str, Any]:
    values = np.clip(table["m_yy"], low, high)
    return a_histogram(edges, np.histogram(values, edges, weights=table["weight"])[0])


@pytest.mark.parametrize(
    ("text", "held", "expected"),
    [
        (FILL, filled(events()), []),
        (FILL, filled(events(), high=159.9), ["error histogram.overflow"]),
        (FILL, filled(events(), low=105.1), ["error histogram.overflow"]),
        (FILL, filled(events(), 105.1, 159.9), ["error histogram.overflow"]),
        (f"{FILL} The last bin includes the overflow.", filled(events(), high=159.9), ["warning histogram.overflow"]),
        (f"{FILL} With underflow and overflow.", filled(events(), high=159.9), ["error histogram.overflow"]),
        (FILL, filled({**events(), "m_yy": events()["m_yy"] * 1.01}), []),
        (FILL, filled({**events(), "weight": events()["weight"] * 2}), []),
    ],
)
def test_what_lies_beyond_the_axis(tmp_path: Path, text: str, held: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, {"in.parquet": events()}, {"h.json": held}, text=text)
    assert said(histograms_refilled, case) == expected


def test_bins_of_numbers_may_be_open(tmp_path: Path) -> None:
    edges = np.arange(-0.5, 6)
    counts = np.histogram(np.minimum(np.random.default_rng(3).poisson(3.0, N), 5), edges)[0]
    table = {"n_jets": np.random.default_rng(3).poisson(3.0, N)}
    case = a_case(tmp_path, {"in.parquet": table}, {"h.json": {"n_jets": a_histogram(edges, counts)}})
    assert said(histograms_refilled, case) == ["warning histogram.overflow"]


def drawn(scale: float = 1.0, parts: tuple[str, ...] = ("background", "signal")) -> dict[str, Any]:
    tables = {"background": BACKGROUND, "signal": SIGNAL, "data": DATA}
    held = {name: filled(table) for name, table in tables.items()}
    for name in parts:
        held[name]["counts"] = [scale * one for one in held[name]["counts"]]
    return held


BACKGROUND = events()
SIGNAL = {**some(events(), slice(600)), "m_yy": np.random.default_rng(4).normal(130, 9, 600)}
DATA = {**some(events(), slice(1000)), "weight": np.ones(1000)}
TO_DATA = sum(drawn()["data"]["counts"]) / sum(drawn()["background"]["counts"] + drawn()["signal"]["counts"])
PLOT = "Plot m_yy of data and simulation (weights normalised to the luminosity), and the ratio data / simulation."


@pytest.mark.parametrize(
    ("text", "held", "expected"),
    [
        (PLOT, drawn(), []),
        (PLOT, drawn(TO_DATA), ["error histogram.scaled"]),
        (f"{PLOT} Scale the simulation to the data.", drawn(TO_DATA), []),
        (f"{PLOT} Simulation is normalised to the same area as data.", drawn(TO_DATA), []),
        (PLOT, drawn(36.1), []),
        ("Plot m_yy of data, background and signal.", drawn(36.1), ["warning histogram.scaled"]),
        ("Plot m_yy of data, background and signal.", drawn(36.1, ("signal",)), ["warning histogram.scaled"]),
        ("Plot m_yy of data, background and signal for 3 ab^-1.", drawn(36.1), []),
        ("Plot m_yy after the fit of the templates.", drawn(TO_DATA), []),
        ("Plot m_yy of data, background and ten times the signal.", drawn(10, ("signal",)), []),
        ("Plot m_yy in events per GeV.", drawn(0.2), []),
        ("Plot m_yy.", {name.upper(): held for name, held in drawn(36.1).items()}, []),
    ],
)
def test_contents_times_a_factor(tmp_path: Path, text: str, held: Any, expected: list[str]) -> None:
    inputs = {"background:b.parquet": BACKGROUND, "signal:s.parquet": SIGNAL, "data:d.parquet": DATA}
    assert said(histograms_refilled, a_case(tmp_path / "a", inputs, {"h.json": held}, text=text)) == expected
    as_root = {name: (one["counts"], one["bin_edges"]) for name, one in held.items()}
    assert said(histograms_refilled, a_case(tmp_path / "b", inputs, {"h.root": as_root}, text=text)) == expected


def test_factors_that_are_given_are_no_finding(tmp_path: Path) -> None:
    inputs = {"background:b.parquet": BACKGROUND, "signal:s.parquet": SIGNAL, "data:d.parquet": DATA}
    outputs, text = {"h.json": drawn(36.1)}, "Plot m_yy."
    assert said(histograms_refilled, a_case(tmp_path / "a", inputs, outputs, text=text)) == ["warning histogram.scaled"]
    given = a_case(tmp_path / "b", inputs, outputs, text=text, params={"luminosity": 36.1})
    assert said(histograms_refilled, given) == []
    document = a_case(tmp_path / "c", {**inputs, "samples.json": {"norm": 36.1}}, outputs, text=text)
    assert said(histograms_refilled, document) == []


# --- histogram.sum_errors ---------------------------------------------------------------------------------------------

ONE, TWO = np.array([10.0, 20.0, 30.0, 5.0]), np.array([1.0, 2.0, 1.5, 0.5])
V1, V2 = np.array([4.0, 7.0, 9.0, 2.0]), np.array([0.1, 0.3, 0.2, 0.05])


def a_stack(variances: Any, name: str = "simulation", total: Any = ONE + TWO) -> dict[str, Any]:
    def one(values: Any, squares: Any) -> dict[str, Any]:
        return {**a_histogram(range(5), values), "errors": np.sqrt(squares).tolist()}

    return {"background": one(ONE, V1), "signal": one(TWO, V2), name: one(total, variances)}


@pytest.mark.parametrize(
    ("text", "held", "expected"),
    [
        ("", a_stack(V1 + V2), []),
        ("", a_stack(np.round(np.sqrt(V1 + V2), 3) ** 2), []),
        ("", a_stack(ONE + TWO), ["error histogram.sum_errors"]),
        ("", a_stack((np.sqrt(V1) + np.sqrt(V2)) ** 2), ["error histogram.sum_errors"]),
        ("", a_stack(V1), ["error histogram.sum_errors"]),
        ("", a_stack(3 * V1), ["warning histogram.sum_errors"]),
        ("with systematic errors", a_stack((V1**0.5 + V2**0.5) ** 2), ["warning histogram.sum_errors"]),
        ("", a_stack(ONE + TWO, "asimov"), []),
        ("", a_stack(ONE + TWO, "data"), []),
        ("", a_stack(ONE + TWO, total=ONE + TWO + 1), []),
    ],
)  # fmt: skip
def test_errors_of_sums(tmp_path: Path, text: str, held: Any, expected: list[str]) -> None:
    assert said(sums_in_quadrature, a_case(tmp_path, None, {"h.json": held}, text=text)) == expected


# --- ratio.inverted ---------------------------------------------------------------------------------------------------

D, S = np.array([11.0, 19.0, 33.0]), np.array([10.0, 20.0, 30.0])
SAID = "below the ratio data / simulation"


def beside(ratio: Any, **more: Any) -> dict[str, Any]:
    return {"data": a_histogram(range(4), D), "simulation": a_histogram(range(4), S), "ratio": list(ratio), **more}


@pytest.mark.parametrize(
    ("text", "held", "expected"),
    [
        (SAID, beside(D / S), []),
        (SAID, beside(S / D), ["error ratio.inverted"]),
        (SAID, beside(np.round(S / D, 2)), ["error ratio.inverted"]),
        (SAID, beside(np.round(D / S, 2)), []),
        (SAID, {"data": D.tolist(), "mc": S.tolist(), "ratio": (S / D).tolist()}, ["error ratio.inverted"]),
        ("ratio of data to simulation", beside(S / D), ["error ratio.inverted"]),
        ("", beside(S / D), ["warning ratio.inverted"]),
        ("the ratio simulation / data", beside(S / D), []),
        ("the ratio simulation / data", beside(D / S), ["error ratio.inverted"]),
        ("the simulation normalised to data, and their ratio", beside(D / S), []),
        ("data over simulation; data / simulation and simulation / data", beside(S / D), ["warning ratio.inverted"]),
        (SAID, beside(S / D, mc=S.tolist()), []),
        (SAID, beside([1.0, 1.0, 1.0], data=S.tolist()), []),
        (SAID, beside(D - S), []),
        (
            "scale factor data / simulation",
            {"bins": [{"efficiency_data": 0.8, "efficiency_mc": 0.9, "scale_factor": 0.9 / 0.8}]},
            ["error ratio.inverted"],
        ),
        (
            "scale factor data / simulation",
            {"bins": [{"efficiency_data": 0.8, "error_data": 0.1, "efficiency_mc": 0.9, "scale_factor": 0.8 / 0.9}]},
            [],
        ),
    ],
)
def test_ratios(tmp_path: Path, text: str, held: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, None, {"h.json": held}, text=text)
    assert said(ratios_as_told, case) + said(ratios_upright, case) == expected
