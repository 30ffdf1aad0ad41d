"""What numbers show, and what last words say."""

from __future__ import annotations

import pytest

from snakemake_executor_plugin_llmagent.probes.mentions import mentions
from snakemake_executor_plugin_llmagent.probes.responses import (
    Numbers,
    changed,
    invariant,
    moves,
    results,
    rises,
    scales,
)
from snakemake_executor_plugin_llmagent.probes.words import (
    answers_emptiness,
    fails_over_branch,
    how_it_ended,
    last_words,
)
from snakemake_executor_plugin_llmagent.protocols import Ending
from tests.unit.support import an_execution


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ({"a": 1.0}, {"a": 1.0 + 1e-12}, []),
        ({"a": 1.0}, {"a": 1.001}, ["a"]),
        ({"a": 1.0}, {"b": 1.0}, ["a", "b"]),
        ({"a": 0.0, "b": 1.0}, {"a": 0.0, "b": -1.0}, ["b"]),
        ({"p.png: pixels:ink": 0.1}, {"p.png: pixels:ink": 0.2}, ["p.png: pixels:ink"]),
        ({"p.png: pixels:ink": 0.1, "a": 1.0}, {"p.png: pixels:ink": 0.2, "a": 1.0}, []),
        ({"eta:mean": 1e-10, "eta:std": 1.0}, {"eta:mean": -1e-11, "eta:std": 1.0}, []),
        ({"x.value": 0.0, "x.error": 1.0}, {"x.value": 1e-10, "x.error": 1.0}, []),
    ],
)
def test_changed(before: Numbers, after: Numbers, names: list[str]) -> None:
    assert changed(before, after) == names


def test_results_are_told_from_settings() -> None:
    numbers = {
        "n_events": 10.0, "fit.mu.value": 1.3, "yields[3]": 2.0, "h:sum": 9.0, "fit_range[0]": 105.0, "runs[7]": 355.0,
        "n_zero": 0.0, "valid_mean": 1.0, "luminosity": 36.1,
    }  # fmt: skip
    assert results(numbers) == ["n_events", "fit.mu.value", "yields[3]", "h:sum"]


def test_moves() -> None:
    assert moves({"n": 4.0}, {"n": 2.0}, "half").holds
    assert moves({}, {}, "half").holds is None
    verdict = moves({"luminosity": 36.1, "n_events": 4.0}, {"luminosity": 36.1, "n_events": 4.0}, "half of it")
    assert verdict.holds is False
    assert verdict.text == (
        "With half of it, not one of the 2 numbers in the outputs changes (`n_events` stays 4, `luminosity` stays 36.1)"
    )


def test_invariant_up_to_the_order_of_lists() -> None:
    before = {"m[0]": 1.0, "m[1]": 2.0, "m[2]": 3.0, "n": 3.0}
    assert invariant(before, {"m[0]": 3.0, "m[1]": 1.0, "m[2]": 2.0, "n": 3.0}, "mixed").holds
    verdict = invariant(before, {"m[0]": 4.0, "m[1]": 1.0, "m[2]": 2.0, "n": 3.0}, "them mixed")
    assert verdict.text == "With them mixed, `m[0]` goes from 1 to 4, `m[1]` goes from 2 to 1, `m[2]` goes from 3 to 2"
    many = {f"a{i}": 1.0 for i in range(9)}
    assert invariant(many, dict.fromkeys(many, 2.0), "x").text.endswith(", and 6 more numbers change")
    assert invariant({"a": 1.0}, {"a": 1.0005}, "x", tolerance=1e-3).holds
    assert invariant({}, {}, "x").holds is None


@pytest.mark.parametrize(
    ("before", "after", "holds"),
    [
        ({"mu": 1.0}, {"mu": 2.0}, True),
        ({"mu": 1.0, "chi2": 3.0}, {"mu": 0.9, "chi2": 4.0}, False),
        ({"parameters.n_sig.value": 90.0}, {"parameters.n_sig.value": 140.0}, True),
        ({"parameters.n_sig.value": 90.0}, {"parameters.n_sig.value": 80.0}, False),
        ({"n_events": 10.0}, {"n_events": 20.0}, True),
        ({"n_events": 10.0}, {"n_events": 10.0}, False),
    ],
)
def test_rises(before: Numbers, after: Numbers, holds: bool) -> None:
    assert rises(before, after, "a signal").holds is holds


SCALES = [
    ({"yield": 10.0, "n_events": 12.0}, {"yield": 20.0, "n_events": 12.0}, ""),
    ({"yield": 10.0, "yield_error": 3.0}, {"yield": 20.0, "yield_error": 6.0}, ""),
    ({"yield": 10.0, "z_obs": 3.0, "mean": 5.0}, {"yield": 20.0, "z_obs": 4.2, "mean": 5.0}, ""),
    ({"cutflow[0].yield": 9.0, "cutflow[0].error": 3.0}, {"cutflow[0].yield": 18.0, "cutflow[0].error": 6.0}, ""),
    ({"h:sum": 5.0, "h[0]": 5.0}, {"h:sum": 10.0, "h[0]": 10.0}, ""),
    ({"weight:sum": 5.0, ":entries": 5.0}, {"weight:sum": 10.0, ":entries": 5.0}, ""),
    ({"yield": 10.0}, {"yield": 10.0}, "`yield` stays 10: the weights are not used"),
    ({"yield": 10.0}, {"yield": 15.0}, "`yield` goes from 10 to 15 instead of 20"),
    (
        {"cutflow[0].yield": 9.0, "cutflow[0].error": 3.0},
        {"cutflow[0].yield": 18.0, "cutflow[0].error": 4.2426},
        "root",
    ),
    ({"weight:sum": 5.0}, {"weight:sum": 5.0}, "the weights are not used"),
    ({"n_events": 5.0, "sum": 5.0}, {"n_events": 10.0, "sum": 10.0}, "numbers of events must not depend on weights"),
    ({"mean": 5.0, "std": 2.0}, {"mean": 5.0, "std": 2.0}, "none of the 2 numbers in the outputs follows"),
]


@pytest.mark.parametrize(("before", "after", "text"), SCALES)
def test_scales(before: Numbers, after: Numbers, text: str) -> None:
    verdict = scales(before, after, "all weights doubled", 2.0, column="weight")
    assert verdict.holds is (text == "") and text in verdict.text


def test_half_of_the_events_is_about_half_of_a_yield() -> None:
    before = {"yield": 100.0, "yield_error": 10.0, "n_events": 100.0}
    after = {"yield": 47.0, "yield_error": 7.0, "n_events": 50.0}
    assert scales(before, after, "half", 0.5, events=True).holds
    assert scales(before, {**after, "yield": 90.0}, "half", 0.5, events=True).holds is False
    assert scales({}, {}, "half", 0.5).holds is None


# --- words ----------------------------------------------------------------------------------------------------------

TRACEBACK = """\
reading
Traceback (most recent call last):
  File "script.py", line 3, in <module>
    mass = table["m_yy"]
{error}
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (TRACEBACK.format(error="KeyError: 'm_yy'"), "KeyError: 'm_yy'"),
        (
            TRACEBACK.format(error="uproot.exceptions.KeyInFileError: not found: 'm_yy'\n\n    Available: 'pt'"),
            "Available",
        ),
        ("one\ntwo\n\nthe input is empty\n", "one\ntwo\nthe input is empty"),
        ("", ""),
    ],
)
def test_last_words(log: str, words: str) -> None:
    assert words in last_words(log) and "table[" not in last_words(log)


def test_a_branch_has_to_be_named() -> None:
    named = an_execution(returncode=1, log=TRACEBACK.format(error="KeyError: 'm_yy'"))
    assert fails_over_branch(named, "m_yy").holds
    assert fails_over_branch(named, "m").holds is False, "a part of a name is no name"
    other = an_execution(returncode=1, log=TRACEBACK.format(error="ValueError: something is missing"))
    assert fails_over_branch(other, "m_yy").holds is False, "a line of the script does not name it"
    assert fails_over_branch(an_execution(ending=Ending.TIMEOUT, returncode=-9, log="m_yy"), "m_yy").holds is False
    assert how_it_ended(an_execution(returncode=3)) == "it failed with status 3, without a word"
    assert how_it_ended(an_execution(ending=Ending.MEMORY, returncode=-9)) == "it was ended (memory)"


@pytest.mark.parametrize(
    ("error", "clear"),
    [
        ("ValueError: the input has no events", True),
        ("ValueError: data.parquet is empty", True),
        ("ValueError: no selected photons, nothing to fit", True),
        ("RuntimeError: only 0 events pass", True),
        ("ValueError: Found array with 0 sample(s) while a minimum of 1 is required", True),
        ("ValueError: zero-size array to reduction operation maximum which has no identity", True),
        ("ValueError: at least 10 events are needed", True),
        ("ZeroDivisionError: float division by zero", False),
        ("IndexError: list index out of range", False),
        ("ValueError: cannot convert float NaN to integer", False),
    ],
)
def test_emptiness_has_to_be_said(error: str, clear: bool) -> None:
    failed = an_execution(returncode=1, log=TRACEBACK.format(error=error))
    assert answers_emptiness(failed, {}).holds is clear


@pytest.mark.parametrize(
    ("numbers", "clear"),
    [
        ({"n_events": 0.0, "yield": 0.0, "luminosity": 36.1}, True),
        ({":entries": 0.0, "m:n": 0.0}, True),
        ({"h:sum": 0.0, "h[0]": 0.0}, True),
        ({"valid": 0.0, "mu.value": 1.0}, True),
        ({"m_yy.storage.values[0]": 0.0, "m_yy.storage.values[1]": 0.0}, True),
        ({"counts[0]": 0.0, "counts[1]": 0.0}, True),
        ({"counts[0]": 0.0, "counts[1]": 5.0}, False),
        ({"n_events": 12.0}, False),
        ({"n_events": 0.0, "yield": 102.3}, False),
        ({"luminosity": 36.1}, False),
        ({}, False),
    ],
)
def test_a_result_may_say_that_it_is_empty(numbers: Numbers, clear: bool) -> None:
    assert answers_emptiness(an_execution(), numbers).holds is clear


# --- what a script names --------------------------------------------------------------------------------------------


def test_what_a_script_names() -> None:
    source = '''
"""weight of the docstring"""
import numpy as np
BRANCHES = ["m_yy", "pt"]
tree = snakemake.input.data
arrays = tree.arrays(BRANCHES, cut="photon_n >= 2")
w = arrays["mcWeight"] * arrays.scale
result = {"n_events": len(arrays), "total": f"{w.sum()} events"}
frame.eval("x = a + b")
'''
    names = mentions(source)
    assert [name for name in names if name in ("m_yy", "pt", "mcWeight", "scale", "photon_n")] == [
        "m_yy", "pt", "photon_n", "mcWeight", "scale",
    ]  # fmt: skip
    assert not {"data", "n_events", "total", "weight of the docstring", " events"} & set(names)
    assert mentions("this is no python (") == ()
