"""Checks of counting experiments, categories, ratios and variations."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakemake_executor_plugin_llmagent.checks.contents.categories import rows_in_categories
from snakemake_executor_plugin_llmagent.checks.contents.expectations import observation_expected
from snakemake_executor_plugin_llmagent.checks.contents.ratios import ratios_as_told
from snakemake_executor_plugin_llmagent.checks.contents.regions import conditions
from snakemake_executor_plugin_llmagent.checks.contents.sidebands import sidebands_counted
from snakemake_executor_plugin_llmagent.checks.contents.variations import variations_filled
from snakemake_executor_plugin_llmagent.checks.contents.yields import yields_of_the_region
from tests.unit.checks.test_contents_files import N, a_case, events, said, weights

MASS, SCORE = events()["m_yy"], np.random.default_rng(5).random(N)
DATA = {"m_yy": MASS[::-1].copy(), "score": SCORE}
SIGNAL = {"m_yy": MASS, "score": SCORE[::-1].copy(), "weight": 0.01 * weights()}
INPUTS = {"data:data.parquet": DATA, "signal:signal.parquet": SIGNAL}
TEXT = "Count in params.window[0] < m_yy < `params.window[1]` GeV with score > params.min_score."
PARAMS = {"window": [120.0, 140], "min_score": 0.4}


def region(table: dict[str, Any]) -> Any:
    return (table["m_yy"] > 120) & (table["m_yy"] < 140) & (table["score"] > 0.4)


OBSERVED = int(region(DATA).sum())
INSIDE = SIGNAL["weight"][region(SIGNAL)]


def counts(**values: Any) -> dict[str, Any]:
    return {"z_obs": 0.1, "observed": OBSERVED, "background": float(OBSERVED), "signal": float(INSIDE.sum()), **values}


# --- regions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT, ["120 < m_yy < 140 m_yy(120,140)", "score > 0.4 score(0.4,inf)"]),
        ("105 <= `m` ≤ 160.5 GeV.", ["105 <= `m` ≤ 160.5 m[105,160.5]"]),
        ("`pt` >= 40 and |x| < 3, n ≤ 2", ["`pt` >= 40 pt[40,inf)", "n ≤ 2 n(-inf,2]"]),
        ("140 < m_yy < 120; params.gone < m < 3; params.window < 4", []),
        ("m_yy > 120, m_yy > 120", ["m_yy > 120 m_yy(120,inf)"]),
        ("-2.5 < eta < 2.5.", ["-2.5 < eta < 2.5 eta(-2.5,2.5)"]),
    ],
)
def test_conditions_of_a_sentence(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = conditions(a_case(tmp_path, text=text, params=PARAMS))
    shown = [
        f"{one.said} {one.column}{'(['[one.with_low]}{one.low:g},{one.high:g}{')]'[one.with_high]}" for one in found
    ]
    assert shown == expected


# --- yields of a region -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "text", "expected"),
    [
        (counts(), TEXT, []),
        (counts(signal=1.001 * INSIDE.sum()), TEXT, []),
        (counts(signal=SIGNAL["weight"].sum()), TEXT, ["error counts.not_selected"]),
        ({"counts": counts(signal=SIGNAL["weight"].sum())}, TEXT, ["error counts.not_selected"]),
        (counts(background=SIGNAL["weight"].sum()), TEXT, ["error counts.not_selected"]),
        (counts(signal=SIGNAL["weight"].sum()), TEXT + " `signal` is before the cuts.",
         ["warning counts.not_selected"]),
        # The region is known by the number of events alone.
        (counts(signal=SIGNAL["weight"].sum(), observed=OBSERVED + 1), TEXT, []),
        (counts(signal=SIGNAL["weight"].sum(), observed=N), TEXT, []),
        (counts(signal=SIGNAL["weight"].sum()), "Count the events.", []),
        (counts(signal=np.abs(INSIDE).sum()), TEXT, ["error weights.one_sign"]),
        (counts(signal=INSIDE[INSIDE > 0].sum()), TEXT, ["error weights.one_sign"]),
        (counts(signal=np.abs(INSIDE).sum()), TEXT + " Take absolute weights.", []),
    ],
)  # fmt: skip
def test_yields_of_the_region(tmp_path: Path, document: Any, text: str, expected: list[str]) -> None:
    case = a_case(tmp_path, INPUTS, {"o.json": plain(document)}, text=text, params=PARAMS)
    assert said(yields_of_the_region, case) == expected
    assert said(yields_of_the_region, replace(case, slice=100)) == []


def plain(found: Any) -> Any:
    return {key: plain(one) for key, one in found.items()} if isinstance(found, dict) else float(found)


def test_what_was_selected_before_may_be_summed_up(tmp_path: Path) -> None:
    kept = {name: values[region(SIGNAL)] for name, values in SIGNAL.items()}
    inputs = {"data:data.parquet": DATA, "signal:signal.parquet": kept}
    case = a_case(tmp_path, inputs, {"o.json": plain(counts())}, text=TEXT, params=PARAMS)
    assert said(yields_of_the_region, case) == []


# --- sidebands --------------------------------------------------------------------------------------------------------

SIDEBANDS = "Window: 120 < m_yy < 130 GeV. Background: the sidebands 105 to 115 and 135 to 145 GeV, scaled by widths."
WINDOW = int(((MASS > 120) & (MASS < 130)).sum())
BESIDE = int((((MASS >= 105) & (MASS < 115)) | ((MASS >= 135) & (MASS < 145))).sum())


@pytest.mark.parametrize(
    ("background", "text", "expected"),
    [
        (BESIDE / 2, SIDEBANDS, []),
        (float(BESIDE), SIDEBANDS, ["error counts.sidebands"]),
        ((BESIDE + 3) / 2, SIDEBANDS, ["error counts.sidebands"]),
        (float(BESIDE), SIDEBANDS.replace("scaled by widths", "summed"), []),
        (float(BESIDE), SIDEBANDS + " The slope of the background is taken into account.", []),
        (float(BESIDE), SIDEBANDS.replace("120 <", "121 <"), []),
    ],
)
def test_sidebands(tmp_path: Path, background: float, text: str, expected: list[str]) -> None:
    document = {"observed": WINDOW, "background": background, "z_obs": 0.0}
    case = a_case(tmp_path, {"data.parquet": {"m_yy": MASS}}, {"o.json": document}, text=text)
    assert said(sidebands_counted, case) == expected


def test_events_on_the_ends_of_sidebands_may_count_or_not(tmp_path: Path) -> None:
    mass = np.round(MASS)
    window = int(((mass > 120) & (mass < 130)).sum())
    bounds = [(105, 115), (135, 145)]
    all_of_them = sum(int(((mass >= low) & (mass <= high)).sum()) for low, high in bounds)
    inner = sum(int(((mass > low) & (mass < high)).sum()) for low, high in bounds)
    assert inner < all_of_them

    def told(events: float) -> list[str]:
        document = {"observed": window, "background": events / 2}
        return said(
            sidebands_counted, a_case(tmp_path, {"d.parquet": {"m_yy": mass}}, {"o.json": document}, text=SIDEBANDS)
        )

    assert told(all_of_them) == told(inner) == told((inner + all_of_them) / 2) == []
    assert told(all_of_them + 2) == told(inner - 2) == ["error counts.sidebands"]


# --- what is observed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"z_obs": -20.0, "observed": 1281, "background": 2039.5}, ["error counts.unlikely"]),
        ({"counts": {"observed": 20, "background": 70.0}}, ["error counts.unlikely"]),
        ({"observed": 20, "background": 70.0}, ["warning counts.unlikely"]),
        ({"z_obs": -4.5, "observed": 62, "background": 110.0}, []),
        # Simulation may be off by some per cent, whatever its statistics.
        ({"z_obs": -50.0, "observed": 950_000, "background": 1e6}, ["warning counts.unlikely"]),
        ({"z_obs": -2.0, "observed": 1281, "background": 2039.5, "background_error": 400.0}, []),
        ({"z_obs": 5.0, "observed": 200, "background": 130.0, "signal": 60.0}, []),
        ({"z_obs": 9.0, "observed": 400, "background": 130.0, "signal": 60.0}, ["warning counts.unlikely"]),
        # Here `observed` is a limit.
        ({"observed": 1.4, "expected": {"0": 1.3}, "background": 35.0, "n_obs": 33}, []),
        ({"z_obs": 0.0, "observed": 3, "background": 0.0}, []),
    ],
)
def test_observed_events(tmp_path: Path, document: Any, expected: list[str]) -> None:
    case = a_case(tmp_path, None, {"o.json": document})
    assert said(observation_expected, case) == expected
    for other in (replace(case, blinded=True), replace(case, slice=9), replace(case, text="Blind the window.")):
        assert said(observation_expected, other) == []


# --- categories -------------------------------------------------------------------------------------------------------

BOUNDS = [0.0, 0.3, 0.6, 1.0]
RIGHT = np.digitize(SCORE, BOUNDS[1:-1])


def told_bounds(edges: list[float] = BOUNDS) -> dict[str, Any]:
    return {"categories": [{"category": i, "low": low, "high": high} for i, (low, high) in enumerate(pairwise(edges))]}


@pytest.mark.parametrize(
    ("category", "document", "text", "expected"),
    [
        (RIGHT, told_bounds(), "categories of the score", []),
        (np.digitize(SCORE, BOUNDS[1:-1], right=True), told_bounds(), "categories of the score", []),
        (np.clip(RIGHT - 1, 0, None), told_bounds(), "categories of the score", ["error category.rows"]),
        (np.roll(RIGHT, 1), told_bounds(), "by their score", ["error category.rows"]),
        (np.roll(RIGHT, 1), told_bounds(), "by quantiles of their score", ["warning category.rows"]),
        (RIGHT, told_bounds([0.0, 0.302, 0.6, 1.0]), "categories of the score", []),
        # Divided by something that the table does not hold, or that the sentence does not name.
        (np.roll(RIGHT, 1), told_bounds(), "by the output of the network", []),
        (np.roll(RIGHT, 1), told_bounds([0.2, 0.3, 0.6, 1.0]), "by their score", []),
        # One of two columns that may be meant fits.
        (np.digitize(SCORE[::-1], BOUNDS[1:-1]), told_bounds(), "by score or other_score", []),
    ],
)
def test_rows_of_categories(tmp_path: Path, category: Any, document: Any, text: str, expected: list[str]) -> None:
    table = {"score": SCORE, "other_score": SCORE[::-1].copy(), "category": category}
    case = a_case(tmp_path, None, {"t.parquet": table, "c.json": document}, text=text)
    assert said(rows_in_categories, case) == expected


# --- ratios -----------------------------------------------------------------------------------------------------------


def bins(*rows: tuple[float, float, float | None]) -> dict[str, Any]:
    return {"bins": [{"efficiency_data": d, "efficiency_mc": m, "scale_factor": sf} for d, m, sf in rows]}


FACTOR = "Efficiencies, and the scale\nfactor data / simulation."


@pytest.mark.parametrize(
    ("document", "text", "expected"),
    [
        (bins((0.8, 0.9, 0.8 / 0.9), (0.7, 0.7, 1.0)), FACTOR, []),
        (bins((0.8, 0.9, 0.9 / 0.8), (0.7, 0.7, 1.0)), FACTOR, ["error ratio.inverted"]),
        (bins((0.8, 0.9, 0.9 / 0.8)), "the scale factor simulation / data", []),
        (bins((0.8, 0.9, 0.9 / 0.8)), "the scale factor", []),
        (bins((0.8, 0.9, 0.9 / 0.8), (0.8, 0.9, 0.8 / 0.9)), FACTOR, []),
        # A correction of another kind is neither of both.
        (bins((0.8, 0.9, 1.1)), FACTOR, []),
        (bins((0.8, 0.9, 0.8 / 0.9), (0.0, 0.0, 1.0)), FACTOR, ["error ratio.of_nothing"]),
        (bins((0.8, 0.9, 0.8 / 0.9), (0.0, 0.0, 1.0)), FACTOR + " It is 1 where nothing passes.",
         ["warning ratio.of_nothing"]),
        (bins((0.8, 0.9, 0.8 / 0.9), (0.0, 0.0, None), (0.0, 0.4, 0.0)), FACTOR, []),
        ({"data": 4.0, "mc": 5.0, "ratio": 1.25}, "a plot with the ratio `data` / `mc`", ["error ratio.inverted"]),
        ({"passed": 4.0, "total": 5.0, "efficiency": 0.8}, "JSON with efficiency (passed / total)", []),
    ],
)  # fmt: skip
def test_ratios(tmp_path: Path, document: Any, text: str, expected: list[str]) -> None:
    assert said(ratios_as_told, a_case(tmp_path, None, {"o.json": document}, text=text)) == expected


# --- variations -------------------------------------------------------------------------------------------------------

EDGES = np.linspace(105.0, 165.0, 31)
PEAK = np.random.default_rng(8).normal(130.0, 3.0, N)
UP = weights() * np.random.default_rng(7).normal(1.1, 0.05, N)
DOWN = weights() * np.random.default_rng(9).normal(0.95, 0.05, N)
VARIED = {"m_yy": PEAK, "weight": weights(), "weight_pu_up": UP, "weight_pu_down": DOWN, "pt": MASS}
SCALED = "Vary the scale: params.scale_uncertainty multiplies m_yy by 1 +- it. Vary pu by the columns for it."


def filled(mass: Any = PEAK, weight: Any = VARIED["weight"]) -> tuple[Any, Any]:
    return np.histogram(mass, EDGES, weights=weight)[0], EDGES


def templates(**changes: Any) -> dict[str, Any]:
    return {
        "nominal": filled(), "pu_up": filled(weight=UP), "pu_down": filled(weight=DOWN),
        "scale_up": filled(PEAK * 1.01), "scale_down": filled(PEAK * 0.99), **changes,
    }  # fmt: skip


MIRRORED = (2 * filled()[0] - filled(weight=UP)[0], EDGES)
SINGLE = filled((PEAK.astype(np.float32) * np.float32(1.01)).astype(float))


@pytest.mark.parametrize(
    ("held", "text", "expected"),
    [
        (templates(), SCALED, []),
        (templates(scale_up=SINGLE), SCALED, []),
        (templates(pu_up=filled(weight=DOWN), pu_down=filled(weight=UP)), SCALED, ["error variation.exchanged"]),
        (templates(pu_down=MIRRORED), SCALED, ["error variation.mirrored"]),
        (templates(pu_down=MIRRORED), SCALED + " Symmetrise them.", ["warning variation.mirrored"]),
        (templates(scale_up=filled(PEAK * 1.02)), SCALED, ["error variation.size"]),
        (templates(scale_down=filled(PEAK * 1.01 * 0.99)), SCALED, ["error variation.size"]),
        (templates(scale_up=filled()), SCALED, ["error variation.size"]),
        (templates(scale_up=filled(PEAK * 1.02)), "Vary the scale by params.scale_uncertainty.", []),
        (templates(scale_up=filled(PEAK * 1.02)), SCALED.replace("it.", "it per cent."), []),
        # A selection that nobody here knows of: the nominal histogram is not that of the whole table.
        (templates(nominal=filled(PEAK[MASS > 110], weights()[MASS > 110]), pu_down=MIRRORED), SCALED, []),
    ],
)
def test_variations(tmp_path: Path, held: Any, text: str, expected: list[str]) -> None:
    case = a_case(tmp_path, {"s.parquet": VARIED}, {"h.root": held}, text=text, params={"scale_uncertainty": 0.01})
    assert said(variations_filled, case) == expected


def test_weights_that_are_mirrored_give_what_is_mirrored(tmp_path: Path) -> None:
    table = {**VARIED, "weight_pu_down": 2 * weights() - UP}
    case = a_case(tmp_path, {"s.parquet": table}, {"h.root": templates(pu_down=MIRRORED)}, text=SCALED)
    assert said(variations_filled, case) == []
