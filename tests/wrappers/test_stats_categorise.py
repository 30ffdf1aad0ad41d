"""phys/stats/categorise: boundaries against brute force, sidebands against fits by hand, and blinding."""

from __future__ import annotations

import itertools
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.wrappers import kit

WRAPPER = "phys/stats/categorise"
WINDOW = [120.0, 130.0]
RANGE = [105.0, 160.0]
GRID = [round(0.1 * one, 1) for one in range(1, 10)]
Columns = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    """The wrapper's functions."""
    return runpy.run_path(str(kit.WRAPPERS / WRAPPER / "wrapper.py"))


def falling(random: np.random.Generator, size: int) -> np.ndarray:
    """Masses from 105 to 160 GeV, falling as exp(-m / 30)."""
    return np.asarray(105 - 30 * np.log1p(-random.uniform(0, 1 - np.exp(-55 / 30), size)))


def make(kind: str, size: int, seed: int, weight: float = 1.0) -> Columns:
    """Events of one kind: signal at high scores."""
    random = np.random.default_rng(seed)
    signal = kind == "signal"
    return {
        "score": random.beta(4, 1.5, size) if signal else random.beta(1.5, 3, size),
        "m_yy": random.normal(125, 1.7, size) if signal else falling(random, size),
        "weight": weight * random.uniform(0.5, 1.5, size) if kind != "data" else np.ones(size),
    }


def write(path: Path, columns: Columns) -> Path:
    """Write a flat Parquet table."""
    pq.write_table(pa.table(columns), path)
    return path


def run(
    tmp_path: Path, files: dict[str, Any], *, output: dict[str, Any] | None = None, **params: Any
) -> dict[str, Any]:
    """Run the wrapper and return its result."""
    result = tmp_path / "result.json"
    outputs = {"result": result, **(output or {})}
    params = {"window": WINDOW, "range": RANGE, **params}
    kit.call(WRAPPER, tmp_path, input=files, output=outputs, params=params)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def asimov(signal: float, background: float) -> float:
    """The squared significance of a counting experiment."""
    return (
        2 * ((signal + background) * np.log(1 + signal / background) - signal) if signal > 0 and background > 0 else 0.0
    )


def yields(columns: Columns, boundaries: tuple[float, ...]) -> np.ndarray:
    """Weights in the window, between boundaries, by comparing each event with each boundary."""
    inside = (columns["m_yy"] >= WINDOW[0]) & (columns["m_yy"] <= WINDOW[1])
    ends = [-np.inf, *boundaries, np.inf]
    parts = [inside & (columns["score"] >= low) & (columns["score"] < high) for low, high in itertools.pairwise(ends)]
    return np.array([columns["weight"][part].sum() for part in parts])


def brute_force(signal: Columns, background: Columns, categories: int, least: float) -> tuple[float, tuple[float, ...]]:
    """All ways to choose boundaries from the grid; the best total significance and its boundaries."""
    results = []
    for boundaries in itertools.combinations(GRID, categories - 1):
        s, b = yields(signal, boundaries), yields(background, boundaries)
        if (b >= least).all():
            results.append((np.sqrt(sum(map(asimov, s, b))), boundaries))
    return max(results)


@pytest.fixture
def simulation(tmp_path: Path) -> tuple[Columns, Columns, dict[str, Any]]:
    """Signal and simulated background, as columns and as files."""
    signal, background = make("signal", 3000, 1, 0.02), make("background", 8000, 2, 0.5)
    files = {"signal": write(tmp_path / "s.parquet", signal), "background": write(tmp_path / "b.parquet", background)}
    return signal, background, files


def test_snakefile(tmp_path: Path) -> None:
    """The examples run: yields and significance agree with the tables, categories with the boundaries."""
    folder = kit.run_snakefile(WRAPPER, tmp_path)
    result = json.loads((folder / "results/categories.json").read_text())
    table = pq.read_table(folder / "results/signal.parquet")
    score, mass, weight = (table[name].to_numpy() for name in ("score", "m_yy", "weight"))
    inside = (mass >= 122) & (mass <= 128)
    category = sum((score >= one).astype(int) for one in result["boundaries"])
    assert table["category"].to_numpy().tolist() == np.asarray(category).tolist()
    for row in result["categories"]:
        chosen = inside & (category == row["category"])
        assert row["signal"] == pytest.approx(weight[chosen].sum(), rel=1e-9)
        assert row["signal_error"] == pytest.approx(np.sqrt((weight[chosen] ** 2).sum()), rel=1e-9)
    total = np.sqrt(sum(asimov(row["signal"], row["background"]) for row in result["categories"]))
    assert result["z_exp"] == pytest.approx(total, rel=1e-9)
    assert len(result["boundaries"]) >= 2
    assert result["valid"]
    # The toy's data and simulated background fall with the same shape, so both ways must agree.
    background = pq.read_table(folder / "data/background.parquet")
    inside = (background["m_yy"].to_numpy() >= 122) & (background["m_yy"].to_numpy() <= 128)
    assert result["background"] == pytest.approx(background["weight"].to_numpy()[inside].sum(), rel=0.05)
    assert (folder / "results/categories.png").read_bytes()[:4] == b"\x89PNG"
    assert len(pq.read_table(folder / "results/data.parquet")) == 15000


@pytest.mark.parametrize("categories", [2, 3, 4])
def test_optimal_is_brute_force(
    tmp_path: Path, simulation: tuple[Columns, Columns, dict[str, Any]], categories: int
) -> None:
    """The optimal search finds what trying everything finds; the greedy one its first boundary, and never more."""
    signal, background, files = simulation
    best, boundaries = brute_force(signal, background, categories, 5)
    options: dict[str, Any] = {"candidates": GRID, "min_gain": 0, "min_background": 5, "max_categories": categories}
    optimal = run(tmp_path, files, search="optimal", **options)
    assert tuple(optimal["boundaries"]) == boundaries
    assert optimal["z_exp"] == pytest.approx(best, rel=1e-10)
    greedy = run(tmp_path, files, search="greedy", **options)
    assert greedy["z_exp"] <= best * (1 + 1e-12)
    assert greedy["z_exp"] > 0.97 * best
    first = brute_force(signal, background, 2, 5)
    assert greedy["history"][1]["z_exp"] == pytest.approx(first[0], rel=1e-10)
    assert greedy["history"][1]["boundaries"] == list(first[1])
    nested = [set(step["boundaries"]) for step in greedy["history"]]
    assert all(one < other for one, other in itertools.pairwise(nested))


def test_stops_at_the_smallest_gain(tmp_path: Path, simulation: tuple[Columns, Columns, dict[str, Any]]) -> None:
    """Each taken boundary brings the gain that is asked for, the refused one does not."""
    result = run(tmp_path, simulation[2], min_gain=0.05)
    gains = [(step["gain"], step["accepted"]) for step in result["history"][1:]]
    assert all(accepted == (gain >= 0.05) for gain, accepted in gains)
    assert not gains[-1][1]
    assert len(result["boundaries"]) == len(gains) - 1
    for one, other in itertools.pairwise(result["history"]):
        assert other["gain"] == pytest.approx(other["z_exp"] / one["z_exp"] - 1, rel=1e-12)
    assert len(run(tmp_path, simulation[2], min_gain=0, max_categories=3)["categories"]) == 3


def test_smallest_background(tmp_path: Path, simulation: tuple[Columns, Columns, dict[str, Any]]) -> None:
    """No category has less background, or a less certain one, than the rule allows."""
    for least in (1, 20, 100):
        result = run(tmp_path, simulation[2], min_gain=0, min_background=least, candidates=200)
        assert min(row["background"] for row in result["categories"]) >= least
    result = run(tmp_path, simulation[2], min_gain=0, min_background=0, max_background_error=0.1, candidates=200)
    assert max(row["background_error"] / row["background"] for row in result["categories"]) <= 0.1


def test_blind(tmp_path: Path) -> None:
    """Data in the window may be anything, even NaN: the result has the same bytes apart from the hash of the file."""
    signal, data = make("signal", 2000, 1, 0.03), make("data", 6000, 2)
    inside = (data["m_yy"] >= WINDOW[0]) & (data["m_yy"] <= WINDOW[1])
    spoiled = {name: column.copy() for name, column in data.items()}
    spoiled["score"][inside] = np.nan
    spoiled["weight"][inside] = 1e9
    results = []
    for columns in (data, spoiled):
        files = {"signal": write(tmp_path / "s.parquet", signal), "data": write(tmp_path / "d.parquet", columns)}
        result = run(tmp_path, files)
        assert result.pop("provenance")["wrapper"] == WRAPPER
        results.append(result)
    assert results[0] == results[1]
    assert len(results[0]["boundaries"]) >= 1
    assert sum(row["n_sidebands"] for row in results[0]["categories"]) == (~inside).sum()


def test_exponential_sidebands(module: dict[str, Any]) -> None:
    """Yield and error are those of an unbinned maximum-likelihood fit, here by scipy."""
    from scipy.optimize import minimize_scalar

    random = np.random.default_rng(4)
    errors, values = [], []
    sidebands = module["Sidebands"](pieces=((-20, -5), (5, 35)), window=(-5, 5), how="exponential", scale=1.0)
    for _ in range(200):
        mass = falling(random, random.poisson(800)) - 125
        mass = mass[np.abs(mass) > 5]
        sums = np.zeros((2, 12))
        module["add_sums"](sums, "data", np.stack([np.full(len(mass), 0.5), np.ones(len(mass)), mass]), np.array([0.9]))
        value, variance = sidebands.background(sums[0])
        values.append(float(value))
        errors.append(float(np.sqrt(variance)))

    def integral(slope: float, low: float, high: float) -> float:
        return float(np.expm1(slope * (high - low)) * np.exp(slope * low) / slope)

    def loss(slope: float) -> float:
        return float(len(mass) * np.log(integral(slope, -20, -5) + integral(slope, 5, 35)) - slope * mass.sum())

    slope = minimize_scalar(loss, bounds=(-0.2, -0.001), method="bounded", options={"xatol": 1e-10}).x
    outside = integral(slope, -20, -5) + integral(slope, 5, 35)
    assert values[-1] == pytest.approx(len(mass) * integral(slope, -5, 5) / outside, rel=1e-5)
    truth = 800 * (np.exp(-15 / 30) - np.exp(-25 / 30)) / (1 - np.exp(-55 / 30))
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / np.sqrt(200))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_linear_sidebands_are_exact_for_a_line(module: dict[str, Any]) -> None:
    """Number and first moment of a line in the sidebands give its integral in the window."""
    sidebands = module["Sidebands"](pieces=((-20, -5), (5, 35)), window=(-5, 5), how="linear", scale=2.0)
    fine = np.linspace(-20, 35, 550_001)
    fine = (fine[1:] + fine[:-1]) / 2
    density = (10 - 0.2 * fine) * 1e-4
    outside = np.abs(fine) > 5
    sums = np.zeros(12)
    sums[6], sums[7] = density[outside].sum(), (density * fine)[outside].sum()
    value, _ = sidebands.background(sums)
    assert float(value) == pytest.approx(2 * 100, rel=1e-6)


def test_scale_and_both_backgrounds(tmp_path: Path) -> None:
    """With `scale`, the background is that share of the sidebands; simulation with a peak is added."""
    signal, data, peak = make("signal", 2000, 1, 0.03), make("data", 6000, 2), make("signal", 500, 3, 0.1)
    files = {
        "signal": write(tmp_path / "s.parquet", signal),
        "data": write(tmp_path / "d.parquet", data),
        "background": write(tmp_path / "b.parquet", peak),
    }
    result = run(tmp_path, files, interpolation="scale", scale=0.25, max_categories=1)
    sidebands = ((data["m_yy"] < WINDOW[0]) | (data["m_yy"] > WINDOW[1])).sum()
    assert result["background"] == pytest.approx(0.25 * sidebands + yields(peak, ())[0], rel=1e-10)
    error = np.hypot(0.25 * np.sqrt(sidebands), np.sqrt((peak["weight"][np.abs(peak["m_yy"] - 125) <= 5] ** 2).sum()))
    assert result["categories"][0]["background_error"] == pytest.approx(error, rel=1e-10)


def test_error_of_the_significance(tmp_path: Path) -> None:
    """The error of z is the spread of z among samples of this size."""
    values, errors = [], []
    for seed in range(40):
        signal, background = make("signal", 300, seed, 0.2), make("background", 1500, 1000 + seed, 2.0)
        files = {
            "signal": write(tmp_path / "s.parquet", signal),
            "background": write(tmp_path / "b.parquet", background),
        }
        result = run(tmp_path, files, candidates=[0.6], min_gain=0, max_background_error=1)
        values.append(result["z_exp"])
        errors.append(result["z_exp_error"])
    # Numbers of events are fixed here, so the spread lacks the share of the totals: a little smaller.
    assert 0.7 < np.std(values) / np.mean(errors) < 1.2


def test_small_signals_do_not_cancel(module: dict[str, Any]) -> None:
    """The series for s << b joins the formula, and equals s / sqrt(b) far below it."""
    s, b = np.array([0.99e-4, 1.01e-4, 1e-9]), np.ones(3)
    import math

    exact = [2 * ((x + 1) * math.log1p(x) - x) for x in s[:2]]
    found = module["q_of"](s, b)
    assert found[:2] == pytest.approx(exact, rel=1e-6)
    assert found[2] == pytest.approx(1e-18, rel=1e-8)
    assert module["q_of"](np.array([-1.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0])).tolist() == [0, 0, 0]


def test_same_bytes_and_ties(tmp_path: Path, simulation: tuple[Columns, Columns, dict[str, Any]]) -> None:
    """The same job gives the same bytes; scores that do not matter to Z leave the lowest boundary."""
    output = {"plot": tmp_path / "p.png", "signal": tmp_path / "sc.parquet"}
    run(tmp_path, simulation[2], output=output)
    before = [(tmp_path / name).read_bytes() for name in ("result.json", "p.png", "sc.parquet")]
    run(tmp_path, simulation[2], output=output)
    assert [(tmp_path / name).read_bytes() for name in ("result.json", "p.png", "sc.parquet")] == before
    assert b"provenance" in before[1]
    steps = {"score": np.repeat([0.2, 0.8], 400), "m_yy": np.full(800, 125.0)}
    files = {
        "signal": write(tmp_path / "s.parquet", {**steps, "weight": np.repeat([0.01, 0.05], 400)}),
        "background": write(tmp_path / "b.parquet", {**steps, "weight": np.repeat([1.0, 0.1], 400)}),
    }
    assert run(tmp_path, files, candidates=[0.1, 0.3, 0.5, 0.7, 0.9])["boundaries"] == [0.3]
    # An event at the boundary belongs above it.
    assert run(tmp_path, files, candidates=[0.8])["categories"][1]["signal"] == pytest.approx(20)


def test_nothing_to_find(tmp_path: Path, simulation: tuple[Columns, Columns, dict[str, Any]]) -> None:
    """Empty signal, negative signal or no background: one category that says it is not valid."""
    signal, background, files = simulation
    empty = write(tmp_path / "e.parquet", {name: column[:0] for name, column in signal.items()})
    negative = write(tmp_path / "n.parquet", {**signal, "weight": -signal["weight"]})
    nothing = write(tmp_path / "z.parquet", {name: column[:0] for name, column in background.items()})
    plot = {"plot": tmp_path / "p.png"}
    for changed in (
        {"signal": empty},
        {"signal": negative},
        {"background": nothing},
        {"signal": empty, "background": nothing},
    ):
        result = run(tmp_path, {**files, **changed}, output=plot)
        assert (result["valid"], result["z_exp"], result["boundaries"]) == (False, 0.0, [])
    data = {"signal": files["signal"], "data": nothing}
    assert not run(tmp_path, data)["valid"]


def test_tables_with_category(tmp_path: Path, simulation: tuple[Columns, Columns, dict[str, Any]]) -> None:
    """Each input appears again with its columns and its category, in Parquet and in ROOT; an empty one too."""
    import uproot

    signal, _, files = simulation
    empty = write(tmp_path / "e.parquet", {name: column[:0] for name, column in signal.items()})
    output = {"background": tmp_path / "b.root", "other": [tmp_path / "o1.parquet", tmp_path / "o2.root"]}
    result = run(tmp_path, {**files, "other": [files["signal"], empty]}, output=output)
    one = pq.read_table(tmp_path / "o1.parquet")
    assert one.column_names == [*signal, "category"]
    assert (
        one["category"].to_numpy().tolist() == np.searchsorted(result["boundaries"], signal["score"], "right").tolist()
    )
    assert json.loads(one.schema.metadata[b"provenance"])["wrapper"] == WRAPPER
    with uproot.open(tmp_path / "b.root") as file:
        read = file["events"].arrays(library="np")
        assert json.loads(file["provenance"])["wrapper"] == WRAPPER
    expected = pq.read_table(files["background"])["score"].to_numpy()
    assert read["score"].tolist() == expected.tolist()
    assert read["category"].tolist() == np.searchsorted(result["boundaries"], expected, "right").tolist()
    with uproot.open(tmp_path / "o2.root") as file:
        assert file["events"].num_entries == 0


MISTAKES = [
    ({"window": [130, 120]}, "is not [low, high]"),
    ({"range": [122, 160]}, "does not lie within range"),
    ({"range": None}, "range=[low, high] is missing"),
    ({"score": "scor"}, "no column 'scor'. Did you mean score"),
    ({"mass": "myy"}, "no column 'myy'. Did you mean m_yy"),
    ({"search": "gredy"}, "Did you mean greedy"),
    ({"min_gian": 0.1}, "Did you mean min_gain"),
    ({"candidates": 0}, "is not from 1"),
    ({"max_categories": 0}, "not an integer from 1"),
    ({"min_background": -1}, "not a number from 0"),
]


@pytest.mark.parametrize(("params", "message"), MISTAKES)
def test_mistakes(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    """A person's mistake ends with a sentence, without a traceback and without outputs."""
    files = {
        "signal": write(tmp_path / "s.parquet", make("signal", 50, 1)),
        "data": write(tmp_path / "d.parquet", make("data", 50, 2)),
    }
    with pytest.raises(kit.WrapperFailed) as failed:
        run(tmp_path, files, **params)
    assert message in str(failed.value)
    assert "Traceback" not in str(failed.value)
    assert not (tmp_path / "result.json").exists()


def test_wrong_files(tmp_path: Path) -> None:
    """Missing inputs, outputs that do not match them, NaN scores."""
    nan = make("signal", 50, 1)
    nan["score"][0] = np.nan
    nan["m_yy"][0] = 125.0
    signal, data = (
        write(tmp_path / "s.parquet", make("signal", 50, 1)),
        write(tmp_path / "d.parquet", make("data", 50, 2)),
    )
    bad = write(tmp_path / "n.parquet", nan)
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"signal": signal}, {}, "and background=... "),
        ({"signal": signal, "sidebands": data}, {}, "there is no 'sidebands'"),
        (
            {"signal": signal, "data": data},
            {"background": tmp_path / "b.parquet"},
            "background names 1 tables, input 0",
        ),
        ({"signal": signal, "data": data}, {"signal": tmp_path / "b.txt"}, "not to '.txt'"),
        ({"signal": bad, "data": data}, {}, "column 'score' is not finite in 1 signal rows"),
    ]
    for files, output, message in cases:
        with pytest.raises(kit.WrapperFailed) as failed:
            run(tmp_path, files, output=output)
        assert message in str(failed.value)
