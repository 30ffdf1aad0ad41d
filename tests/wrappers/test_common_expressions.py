"""Expressions over columns: what they compute, against plain Python event by event, and what they refuse."""

from __future__ import annotations

import math
import re
from typing import Any

import awkward as ak
import numpy as np
import pytest

from wrappers.common.expressions import Expression, compile_expression
from wrappers.common.job import WrongInput
from wrappers.common.operations import FUNCTIONS

PT = [[50.0, 30.0, 10.0], [], [20.0], [40.0, 26.0]]
ETA = [[0.1, -1.5, 2.0], [], [2.5], [1.0, -2.0]]
TIGHT = [[True, True, False], [], [True], [True, True]]
ARRAYS: dict[str, Any] = {
    "pt": ak.Array(PT),
    "eta": ak.Array(ETA),
    "tight": ak.Array(TIGHT),
    "n": np.array([3, 0, 1, 2], np.uint32),
    "met": np.array([40.0, 1.0, 2.0, 30.0]),
    "met_awkward": ak.Array([40.0, 1.0, 2.0, 30.0]),
    "trigger": np.array([True, True, False, True]),
    "flags": np.array([1, 4, 6, 7]),
    "run": np.array([1, 2, 3, 4]),
    "grid": np.arange(16.0).reshape(4, 4),
    "Photon.PT": ak.Array(PT),
    "pi": np.array([1.0, 2.0, 3.0, 4.0]),
}


def value(text: str) -> Any:
    result = compile_expression(text).evaluate(ARRAYS)
    return result.tolist() if hasattr(result, "tolist") else result


def error(text: Any, arrays: dict[str, Any] = ARRAYS) -> str:
    with pytest.raises(WrongInput) as caught:
        compile_expression(text, where="params: cut").evaluate(arrays)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("met", [40.0, 1.0, 2.0, 30.0]),
        ("2 * met + 1", [81.0, 3.0, 5.0, 61.0]),
        ("-met", [-40.0, -1.0, -2.0, -30.0]),
        ("1 < met <= 30", [False, False, True, True]),
        ("1 < met_awkward <= 30", [False, False, True, True]),
        ("not trigger or met > 35", [True, False, True, False]),
        ("trigger and n and met < 35", [False, False, False, True]),
        ("~trigger | (met > 35)", [True, False, True, False]),
        ("n in (1, 3)", [True, False, True, False]),
        ("n not in [1, 3]", [False, True, False, True]),
        ("(flags & 4) != 0", [False, True, True, True]),
        ("flags % 4 // 2", [0, 0, 1, 1]),
        ("run ** 2", [1, 4, 9, 16]),
        ("run ** -1", [1.0, 1 / 2, 1 / 3, 1 / 4]),
        ("met ** 0.5 == sqrt(met)", [True] * 4),
        ("where(n > 1, met, -1)", [40.0, -1.0, -1.0, 30.0]),
        ("clip(met, 2, 35)", [35.0, 2.0, 2.0, 30.0]),
        ("minimum(met, run)", [1.0, 1.0, 2.0, 4.0]),
        ("abs(met - 30)", [10.0, 29.0, 28.0, 0.0]),
        ("sum(pt)", [90.0, 0.0, 20.0, 66.0]),
        ("num(pt)", [3, 0, 1, 2]),
        ("count(pt > 20)", [2, 0, 0, 2]),
        ("any(pt > 45)", [True, False, False, False]),
        ("all(pt > 15)", [False, True, True, True]),
        ("max(pt)", [50.0, -math.inf, 20.0, 40.0]),
        ("min(pt) > 0.4", [True, True, True, True]),
        ("where(num(pt) > 0, max(pt), 0)", [50.0, 0.0, 20.0, 40.0]),
        ("pt[:, :1]", [[50.0], [], [20.0], [40.0]]),
        ("pt[:, -1:]", [[10.0], [], [20.0], [26.0]]),
        ("pt[tight and pt > 25]", [[50.0, 30.0], [], [], [40.0, 26.0]]),
        ("pt > met", [[True, False, False], [], [True], [True, False]]),
        ("Photon.PT > 25", [[True, True, False], [], [False], [True, True]]),
        ('column("Photon.PT") - pt', [[0.0] * 3, [], [0.0], [0.0] * 2]),
        ('column("pi") < pi', [True, True, True, False]),
        ("grid[:, 1]", [1.0, 5.0, 9.0, 13.0]),
        ("sum(grid > met)", [0, 4, 4, 0]),
        ("sum(pt > 25 and abs(eta) < 1.7 and tight) >= 2", [True, False, False, False]),
        ("7 / 2", 3.5),
        ("True", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert value(text) == expected


def test_functions_agree_with_math() -> None:
    for name in ("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "log10", "floor", "ceil"):
        expected = [float(getattr(math, name)(one)) for one in (40.0, 1.0, 2.0, 30.0)]
        assert value(f"{name}(met)") == pytest.approx(expected, rel=1e-12)
    assert value("arctan2(met, run)")[0] == pytest.approx(math.atan2(40, 1))
    assert value("hypot(met, run)")[3] == pytest.approx(math.hypot(30, 4))
    assert value("delta_phi(run, -3)") == pytest.approx(
        [4 - 2 * math.pi, 5 - 2 * math.pi, 6 - 2 * math.pi, 7 - 2 * math.pi]
    )
    assert {"sum", "any", "all", "count", "num", "min", "max", "where", "clip", "maximum"} <= set(FUNCTIONS)


def test_whole_numbers_do_not_wrap() -> None:
    assert value("n - 1") == [2, -1, 0, 1]
    assert value("-n") == [-3, 0, -1, -2]
    assert value("trigger + trigger") == [2, 2, 0, 2]
    charges = {"q": ak.Array(np.array([[100, 100]], np.int8))}
    assert compile_expression("q * q").evaluate(charges).tolist() == [[10000, 10000]]
    number = {"event": np.array([2**63 + 1], np.uint64)}
    assert compile_expression(f"event == {2**63 + 1}").evaluate(number).tolist() == [True]


def test_not_a_number_gives_no_warning_and_no_event() -> None:
    expression = compile_expression("sqrt(-met) > 1 or met / (run - 1) < 0")
    assert expression.mask(ARRAYS, 4).tolist() == [False] * 4


def test_missing_values() -> None:
    arrays = {"x": ak.Array([1.0, None, 3.0]), "ok": ak.Array([True, None, False])}
    assert np.isnan(compile_expression("x * 2").per_event(arrays, 3)).tolist() == [False, True, False]
    assert compile_expression("ok").mask(arrays, 3).tolist() == [True, False, False]


def test_names_in_order_and_conjuncts() -> None:
    expression = compile_expression("n > 1 and (pt[:, 0] > 35 and trigger) and (met > pi or Photon.PT[:, 0] > 3)")
    assert expression.names == ("n", "pt", "trigger", "met", "Photon.PT")
    parts = expression.conjuncts()
    assert [part.text for part in parts] == ["n > 1", "pt[:, 0] > 35", "trigger", "met > pi or Photon.PT[:, 0] > 3"]
    assert all(isinstance(part, Expression) for part in parts)


def test_per_event() -> None:
    assert compile_expression(2).per_event({}, 3).tolist() == [2, 2, 2]
    assert compile_expression("sum(pt)").per_event(ARRAYS, 4).dtype == np.float64
    with pytest.raises(WrongInput, match="a list per event"):
        compile_expression("pt").per_event(ARRAYS, 4)
    with pytest.raises(WrongInput, match="not a condition"):
        compile_expression("met").mask(ARRAYS, 4)


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("foo(pt)", "no function 'foo'", "foo"),
        ("sqr(pt)", "Did you mean sqrt", "sqr"),
        ("mett > 3", "Did you mean met", "mett"),
        ("pt[0]", "write pt[:, 0]", "0"),
        ("pt[::2]", "the first axis is the events", "::2"),
        ("pt[:, 0] > 3", "too few entries", "pt[:, 0]"),
        ("met[:, 0]", "one value per event", "met[:, 0]"),
        ("pt[n > 1]", "a mask must be", "n > 1"),
        ("pt[tight] > pt", "differ in length", "pt[tight] > pt"),
        ("pt[tight[tight]]", "differ in length", "pt[tight[tight]]"),
        ("sum(n)", "needs a list per event", "sum(n)"),
        ("count(pt)", "the length of a list is num", "count(pt)"),
        ("max(n, 1)", "write maximum(a, b)", "max(n, 1)"),
        ("where(n, 1)", "takes 3 arguments", "where(n, 1)"),
        ("sqrt(x=met)", "no named arguments", "sqrt(x=met)"),
        ("pt > 25 & eta < 2", "binds more tightly", "25 & eta"),
        ("pt > 25 && n", "write `and` for `&&`", "&"),
        ("!trigger", "write `not` for `!`", "!"),
        ("pt if n else 3", "where(condition, a, b)", "pt if n else 3"),
        ("np.sqrt(pt)", "not np.sqrt(x)", "np.sqrt"),
        ("n is 3", "compare with ==", "n is 3"),
        ("n in run", "`in` needs a list", "run"),
        ("met == 'x'", "only numbers", "'x'"),
        ("(met", "not a Python expression", "("),
    ],
)
def test_errors_point_at_the_place(text: str, message: str, marked: str) -> None:
    told = error(text)
    first, shown, carets = told.split("\n")
    assert first.startswith("params: cut: ")
    assert message in first
    start = carets.index("^")
    assert shown[start : start + len(carets.strip())] == marked


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "pt.__class__.__mro__",
        "().__class__",
        "[x for x in pt]",
        "(lambda: 1)()",
        "f'{pt}'",
        "open('x')",
        "column(pt)",
        "getattr(pt, 'layout')",
        "(x := 3)",
        "pt[(lambda: 1)()]",
        "{1: 2}",
        "",
        None,
        ["met"],
        "met" + "+-" * 5000 + "1",
        "met\0",
    ],
)
def test_nothing_else_runs(text: Any) -> None:
    assert re.match(r"params: cut: ", error(text))


def test_check_names_file_and_near_columns() -> None:
    expression = compile_expression("met > 3 and photon_ptt[:, 0] > 3", where="params: cut: hard")
    with pytest.raises(WrongInput) as caught:
        expression.check(["met", "photon_pt"], of="a.root: tree events")
    assert str(caught.value).startswith("params: cut: hard: a.root: tree events: no column 'photon_ptt'. Did you mean")


def test_text_beyond_ascii_is_marked_at_its_place() -> None:
    told = error("αβ + met + foo(met)", {"αβ": np.ones(1), "met": np.ones(1)})
    shown, carets = told.split("\n")[1:]
    assert shown[carets.index("^") :].startswith("foo")
