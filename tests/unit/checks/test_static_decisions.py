from __future__ import annotations

import pytest

from tests.unit.checks.static_support import error, found, told, trial, warning

USES = "Path(snakemake.output[0]).write_text(Path(snakemake.input[0]).read_text())\n"


def listed(name: str, value: object) -> list[dict[str, object]]:
    return [{"name": name, "value": value, "alternatives": []}]


@pytest.mark.parametrize(
    ("source", "name", "value"),
    [
        ("FIT_RANGE = (105, 160)\n", "FIT_RANGE", [105, 160]),
        ("print('no constant')\n", "FIT_RANGE", [105, 160]),
        ("SIGNED = True\n", "SIGNED", True),
        ("METHOD = 'hesse'\n", "METHOD", "hesse"),
    ],
)
def test_decisions_without_effect(source: str, name: str, value: object) -> None:
    findings = found(trial(source + USES, decisions=listed(name, value)))
    assert told(findings) == warning("decision.unused")
    assert f"`{name}`" in findings[0].message


@pytest.mark.parametrize(
    ("source", "name", "value"),
    [
        ("FIT_RANGE = (105, 160)\nlow, high = FIT_RANGE\n", "FIT_RANGE", [105, 160]),
        ("print('migrad')\n", "ERROR_DEFINITION", "hesse, not minos"),
        ("print('method')\n", "binning", 5),
        ("print('method')\n", "error definition", 5),
        ("class C:\n    N_BINS = 5\nprint(C.N_BINS)\n", "N_BINS", 5),
        ("def f(n=None):\n    return N\nN = 5\n", "N", 5),
    ],
)
def test_decisions_that_are_used_or_are_of_method(source: str, name: str, value: object) -> None:
    assert found(trial(source + USES, decisions=listed(name, value))) == ()


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("FIT_RANGE = (100, 160)\nprint(FIT_RANGE)\n", [105, 160]),
        ("FIT_RANGE = 105\nprint(FIT_RANGE)\n", [105, 160]),
        ("LOW = 100\nFIT_RANGE = [LOW, 160.0]\nprint(FIT_RANGE)\n", [105, 160]),
        ("FIT_RANGE = 'wide'\nprint(FIT_RANGE)\n", "narrow"),
        ("FIT_RANGE = 1\nprint(FIT_RANGE)\n", True),
        ("FIT_RANGE = 105\nFIT_RANGE = 110\nprint(FIT_RANGE)\n", 105),
        ("FIT_RANGE = 105\nFIT_RANGE += 1\nprint(FIT_RANGE)\n", 105),
        ("FIT_RANGE = {'low': 1}\nprint(FIT_RANGE)\n", {"low": 2}),
        ("fit_range = (105, 160)\nprint(fit_range)\n", [105, 160]),
    ],
)
def test_a_decision_of_the_rule_is_ignored(source: str, value: object) -> None:
    findings = found(trial(source + USES, decide={"FIT_RANGE": value}))
    assert told(findings) == error("decision.ignored")
    assert "`FIT_RANGE`" in findings[0].message


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("FIT_RANGE = (105.0, 160)\nprint(FIT_RANGE)\n", [105, 160]),
        ("FIT_RANGE: tuple = (105.0, 100 + 60)\nprint(FIT_RANGE)\n", [105, 160]),
        ("FIT_RANGE = np.array([105, 160])\nprint(FIT_RANGE)\n", [105, 160]),
        ("FIT_RANGE = 'narrow'\nprint(FIT_RANGE)\n", "narrow"),
        ("FIT_RANGE = None\nprint(FIT_RANGE)\n", None),
        ("FIT_RANGE = {'low': 1, 'high': 2.0}\nprint(FIT_RANGE)\n", {"low": 1.0, "high": 2}),
        ("FIT_RANGE = tuple(snakemake.params.range)\nprint(FIT_RANGE)\n", [105, 160]),
    ],
)
def test_a_decision_of_the_rule_is_kept(source: str, value: object) -> None:
    decisions = listed("FIT_RANGE", value)
    assert found(trial(source + USES, decide={"FIT_RANGE": value}, decisions=decisions)) == ()


def test_a_decision_of_the_rule_that_changes_nothing_is_told() -> None:
    findings = found(trial("FIT_RANGE = (105, 160)\n" + USES, decide={"FIT_RANGE": [105, 160]}))
    assert told(findings) == warning("decision.unused")


def test_a_decision_whose_name_can_be_no_constant_is_left_to_the_reviewer() -> None:
    assert found(trial(USES, decide={"fit range": [105, 160]})) == ()
