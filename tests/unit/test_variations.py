"""Decisions: how they are named and recorded, and what varying them does to a script and shows of its results."""

from __future__ import annotations

import csv
import io
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.context.sections import spec_section
from snakemake_executor_plugin_llmagent.decisions import constant_name, recorded
from snakemake_executor_plugin_llmagent.errors import ConfigError
from snakemake_executor_plugin_llmagent.gates.numbers import error_beside
from snakemake_executor_plugin_llmagent.host.asked import decide_of
from snakemake_executor_plugin_llmagent.variations import command
from snakemake_executor_plugin_llmagent.variations.constants import NoValue, constants, listed, with_values, written
from snakemake_executor_plugin_llmagent.variations.plan import MOST_COMBINED, plan
from snakemake_executor_plugin_llmagent.variations.plot import draw
from snakemake_executor_plugin_llmagent.variations.report import Report
from snakemake_executor_plugin_llmagent.variations.runs import Run
from snakemake_executor_plugin_llmagent.variations.spread import Quantity, digits, quantities
from snakemake_executor_plugin_llmagent.variations.words import WIDTH, as_csv, as_markdown, in_words
from tests.unit.support import a_spec

SOURCE = """\
import numpy as np
ö = "é"; FIT_RANGE = (105, 160)  # GeV, (105, 160)
LOW, HIGH = -1.5, 2
BINS: int = 55
EDGES = np.linspace(0, 1)
TWICE = 1
METHOD = '''a
b'''; LAST = [1,
  2]


def f():
    global TWICE
    TWICE = 2
    INNER = 3
    return INNER
"""
DECISIONS: tuple[Mapping[str, Any], ...] = (
    {"name": "fit range", "value": [105, 160], "unit": "GeV", "alternatives": [[100, 160], [110, 150], [105, 160]]},
    {"name": "BINS", "value": 55, "alternatives": [28, "110", "many"]},
    {"name": "METHOD", "value": "a", "pinned": True, "alternatives": ["c"]},
    {"name": "EDGES", "value": 1, "alternatives": [2]},
    {"name": "NONE", "value": 1, "alternatives": [2]},
    {"name": "LAST", "value": [1, 2]},
)


# --- names and records ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fit_range", "FIT_RANGE", "fit range", " Fit-Range ", "fit.range"])
def test_a_decision_has_one_name(name: str) -> None:
    assert constant_name(name) == "FIT_RANGE"
    assert decide_of("", {name: (105, 160)}) == {"FIT_RANGE": [105, 160]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a b": 1, "A_B": 2}, "makes a decision twice"),
        ({"1st": 1}, "cannot be the name of a constant"),
        ({"": 1}, "has to be a mapping"),
        ({"a": float("nan")}, "values are numbers"),
        ([1], "has to be a mapping"),
    ],
)
def test_what_cannot_be_decided(value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        decide_of("Rule a: ", value)


def test_what_the_rule_decides_is_shown_with_the_sentence() -> None:
    assert "decides" not in spec_section(a_spec())
    shown = spec_section(a_spec(decide={"FIT_RANGE": [105, 160], "WEIGHTED": True}))
    assert "FIT_RANGE = [105, 160]\nWEIGHTED = True" in shown
    assert "`pinned: true`" in shown


def test_pinned_decisions_are_recorded_whatever_the_author_lists() -> None:
    spec = a_spec(decide={"FIT_RANGE": [105, 160], "SEED": 1})
    made = recorded(
        spec,
        (
            {"name": "fit_range", "value": [100, 160], "unit": "GeV"},
            {"name": "BINS", "value": 5, "pinned": True},
            {"name": "FIT_RANGE", "value": 3},
        ),
    )
    assert made == (
        {"name": "FIT_RANGE", "value": [105, 160], "unit": "GeV", "pinned": True},
        {"name": "BINS", "value": 5},
        {"name": "SEED", "value": 1, "reason": "the rule decides it", "pinned": True},
    )


# --- constants ------------------------------------------------------------------------------------------------------


def test_constants_are_found_where_they_stand() -> None:
    found, others = constants(SOURCE)
    assert {name: constant.value for name, constant in found.items() if name.isascii()} == {
        "FIT_RANGE": (105, 160), "LOW": -1.5, "HIGH": 2, "BINS": 55, "METHOD": "a\nb", "LAST": [1, 2],
    }  # fmt: skip
    assert set(others) == {"EDGES", "TWICE"}
    text = SOURCE.encode()
    assert text[found["LAST"].start : found["LAST"].end] == b"[1,\n  2]"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_value_is_replaced(end: str) -> None:
    source = SOURCE.replace("\n", end)
    found, _ = constants(source)
    changed = with_values(source, {found["FIT_RANGE"]: "(1, 2)", found["HIGH"]: "7", found["LAST"]: "[]"})
    before = source.replace("= (105", "=(105").replace("FIT_RANGE =(105, 160)", "FIT_RANGE = (1, 2)")
    before = before.replace("-1.5, 2", "-1.5, 7").replace(f"[1,{end}  2]", "[]")
    assert changed == before


@pytest.mark.parametrize(
    ("value", "like", "text"),
    [
        ([100, 160], (105, 160), "(100, 160)"),
        ([100], (105,), "(100,)"),
        ([1, 2], [1.5, 2], "[1.0, 2]"),
        ([[1, 2], [3, 4]], ((0, 1),), "((1, 2), (3, 4))"),
        ("1e-3", 0.1, "0.001"),
        (2, 1.0, "2.0"),
        (2, 1, "2"),
        (None, 1, "None"),
        ([1, 2], {3}, "{1, 2}"),
        ("b", "a", "'b'"),
        (False, True, "False"),
        (float("inf"), 1.0, "float('inf')"),
    ],
)
def test_alternatives_take_the_form_of_the_constant(value: object, like: object, text: str) -> None:
    assert written(value, like) == text


@pytest.mark.parametrize(("value", "like"), [("many", 5), (5, (1, 2)), (5, "a"), (1, True), (True, 1), ([1], 2)])
def test_alternatives_of_another_kind_are_refused(value: object, like: object) -> None:
    with pytest.raises(NoValue):
        written(value, like)


def test_a_single_alternative_needs_no_list() -> None:
    assert listed(5, 4) == [5]
    assert listed([100, 160], (105, 160)) == [[100, 160]]
    assert listed([[100, 160]], (105, 160)) == [[100, 160]]
    assert listed(["a", "b"], "c") == ["a", "b"]
    assert listed(None, 1) == []


# --- plans ----------------------------------------------------------------------------------------------------------


def test_one_at_a_time() -> None:
    made = plan(SOURCE, DECISIONS)
    assert [variation.label for variation in made.variations] == [
        "FIT_RANGE = (100, 160)", "FIT_RANGE = (110, 150)", "BINS = 28", "BINS = 110", "BINS = 'many'",
    ]  # fmt: skip
    assert [bool(variation.problem) for variation in made.variations] == [False] * 4 + [True]
    assert "FIT_RANGE = (100, 160)  # GeV, (105, 160)" in made.variations[0].source
    assert made.nominal.source == SOURCE
    assert {name: why.split()[0] for name, why in made.left.items()} == {
        "METHOD": "the", "EDGES": "is", "NONE": "is", "LAST": "has",
    }  # fmt: skip


def test_a_pinned_decision_is_varied_if_it_is_named() -> None:
    made = plan(SOURCE, DECISIONS, ["method"])
    assert [variation.label for variation in made.variations] == ["METHOD = 'c'"]
    with pytest.raises(ConfigError, match=r"no decision 'bin'\. Did you mean BINS"):
        plan(SOURCE, DECISIONS, ["bin"])


def test_all_combinations() -> None:
    made = plan(SOURCE, DECISIONS, ["FIT_RANGE", "BINS"], combined=True)
    labels = [variation.label for variation in made.variations]
    assert len(labels) == 3 * 3 - 1
    assert "FIT_RANGE = (100, 160), BINS = 28" in labels
    many = ({"name": "BINS", "alternatives": list(range(100, 101 + MOST_COMBINED))},)
    with pytest.raises(ConfigError, match=f"These are {MOST_COMBINED + 1} combinations"):
        plan(SOURCE, many, combined=True)


# --- spread ---------------------------------------------------------------------------------------------------------


def a_report(decisions: tuple[Mapping[str, Any], ...] = DECISIONS) -> Report:
    made = plan(SOURCE, decisions)
    values = [125.0, 125.2, 124.9, 125.0, None]
    nominal = Run(variation=made.nominal, numbers={"n": 5.0, "mu.value": 125.1, "mu.error": 0.2, "bins[0]": 1.0})
    others = [
        Run(variation=variation, problem="failed: ValueError: $x$ \x1b")
        if value is None
        else Run(variation=variation, numbers={"n": 5.0, "mu.value": value, "mu.error": 0.25})
        for variation, value in zip(made.variations, values, strict=False)
    ]
    return Report("fit", {"sample": "a"}, False, made, nominal, others)


def test_the_spread_of_a_result() -> None:
    report = a_report()
    first = report.quantities[0]
    assert (first.name, first.nominal, first.error, first.rank) == ("mu.value", 125.1, 0.2, 0)
    assert first.spread == pytest.approx(0.3)
    assert first.deviation == pytest.approx(statistics.stdev([125.1, 125.0, 125.2, 124.9, 125.0]))
    assert first.difference(first.values[0]) == pytest.approx(-0.1)
    assert [one.name for one in report.shown] == ["mu.value"]
    assert [one.name for one in report.quantities if one.changes] == ["mu.value", "mu.error"]


@pytest.mark.parametrize(
    ("name", "rank"),
    [("a.value", 0), ("fit.json: yield", 0), ("a.error", 1), ("chi2", 2), ("t/x:sum", 3), ("t/x:max", 4), ("h[3]", 4)],
)
def test_results_come_first(name: str, rank: int) -> None:
    assert Quantity(name, 1.0, None, (), ()).rank == rank


def test_errors_stand_beside_values() -> None:
    numbers = {"a.value": 1.0, "a.error": 0.5, "yield": 3.0, "yield_error": 0.1, "b": 1.0, "b_err": 0.0}
    assert [error_beside(name, numbers) for name in ("a.value", "yield", "b", "a.error")] == [0.5, 0.1, None, None]


def test_a_terminal_shows_it_in_eighty_columns() -> None:
    said = in_words(a_report())
    assert all(len(line) <= WIDTH for line in said.splitlines())
    assert "125.10 ± 0.20" in said and "-0.10" in said and "+0.50" in said
    assert "spread 0.30" in said
    assert "BINS = 'many'" in said and "failed: ValueError" in said and "\x1b" not in said
    assert "(sample=a)" in said.splitlines()[0]
    assert "EDGES: is computed in the script" in said


def test_a_decision_that_changes_nothing_is_named() -> None:
    made = plan(SOURCE, ({"name": "BINS", "alternatives": [1, 2]},))
    runs = [Run(variation=variation, numbers={"n": 5.0}) for variation in made.variations]
    report = Report("fit", {}, False, made, Run(variation=made.nominal, numbers={"n": 5.0}), runs)
    assert report.idle() == ("BINS",)
    assert "BINS: no number changes" in in_words(report)


def test_files_have_all_numbers() -> None:
    report = a_report()
    header, *rows = csv.reader(io.StringIO(as_csv(report)))
    assert header[:4] == ["number", "nominal", "error", "FIT_RANGE = (100, 160)"]
    table = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert set(table) == {"mu.value", "mu.error", "n", "bins[0]"}
    assert float(table["mu.value"]["BINS = 28"]) == 124.9 and table["mu.value"]["BINS = 'many'"] == ""
    text = as_markdown(report)
    assert "| `BINS = 28` | 124.90 | 0.25 | -0.20 |" in text and "| `BINS = 'many'` |  |  | failed |" in text
    told = report.as_json()
    assert told["numbers"][0]["spread"] == pytest.approx(0.3)
    assert [run["problem"] for run in told["runs"]][-1].startswith("failed")


def test_it_is_drawn(tmp_path: Path) -> None:
    draw(a_report(), tmp_path / "spread.png")
    assert (tmp_path / "spread.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_are_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spread.png").write_bytes(b"of an earlier run")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    files = command._write(a_report(), tmp_path)
    assert [path.name for path in files] == ["spread.md", "spread.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spread.csv", "spread.md"]
    assert "No plot: it takes matplotlib" in capsys.readouterr().err


def test_digits_suffice_for_the_smallest_scale() -> None:
    assert [digits(0.25, 3.0), digits(0.0, None), digits(120.0)] == [2, 3, 0]


def test_numbers_that_come_and_go() -> None:
    made = plan(SOURCE, ({"name": "BINS", "alternatives": [1]},))
    run = Run(variation=made.variations[0], numbers={"new": 1.0})
    found = {one.name: one for one in quantities(Run(variation=made.nominal, numbers={"old": 2.0}), [run])}
    assert found["new"].nominal is None and found["new"].spread == 0.0 and found["new"].difference(1.0) is None
    assert found["old"].values == (None,)
