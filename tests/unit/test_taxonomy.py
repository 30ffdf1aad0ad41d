from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from snakemake_executor_plugin_llmagent.authoring import record
from snakemake_executor_plugin_llmagent.checks.run import LIMITS
from snakemake_executor_plugin_llmagent.protocols import Finding, Severity
from snakemake_executor_plugin_llmagent.roles import Attempt, Draft, Review
from snakemake_executor_plugin_llmagent.session import Session
from snakemake_executor_plugin_llmagent.taxonomy import CRASHED, REVISED, Classified, Coarse, classify, coarse
from tests.unit.support import an_execution

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "snakemake_executor_plugin_llmagent"
PAGE = (ROOT / "docs/findings.md").read_text(encoding="utf-8")
SCRIPT = '  File "/project/.snakemake/scripts/tmp1.fit.py", line 12, in <module>\n    x = f(y)\n        ^^^^\n'
LIBRARY = '  File "/venv/lib/python3.11/site-packages/pandas/core/frame.py", line 3761, in __getitem__\n    raise\n'
START = "Traceback (most recent call last):\n"


def crash(text: str, frames: str = SCRIPT) -> str:
    return f"reading\n{START}{frames}{text}\n"


def errors(*names: str) -> list[Finding]:
    return [Finding(check=name, message="wrong") for name in names]


# --- crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        (crash("KeyError: 'm_gg'"), Coarse.BRANCH),
        (crash('KeyError: "m_gg"', SCRIPT + LIBRARY), Coarse.BRANCH),
        (crash("KeyError: \"['m_gg', 'pt'] not in index\"", SCRIPT + LIBRARY), Coarse.BRANCH),
        (crash("KeyError: 'a.root: tree events has no branches m_gg'"), Coarse.BRANCH),
        (crash("uproot.exceptions.KeyInFileError: not found: 'm_gg'\n\n    Available keys: 'm_yy'"), Coarse.BRANCH),
        (crash("KeyError: 'm_gg is not a file in the archive'", SCRIPT + LIBRARY), Coarse.BRANCH),
        (crash("KeyError: \"Unable to synchronously open object (object 'x' doesn't exist)\""), Coarse.BRANCH),
        (crash("pyarrow.lib.ArrowInvalid: No match for FieldRef.Name(m_gg) in event_number: uint64"), Coarse.BRANCH),
        (crash("ValueError: Usecols do not match columns, columns expected but not found: ['x']"), Coarse.BRANCH),
        (crash("awkward.errors.FieldNotFoundError: no field 'm_gg' in record with 3 fields"), Coarse.BRANCH),
        (crash("AttributeError: no field named 'm_gg'"), Coarse.BRANCH),
        (crash("ValueError: a.parquet: the column 'weight' is missing"), Coarse.BRANCH),
        (crash("FileNotFoundError: [Errno 2] No such file or directory: 'x.root'"), Coarse.FILE),
        (crash("OSError: Unable to synchronously open file (unable to open file: name = 'x.h5')"), Coarse.FILE),
        (crash("IsADirectoryError: [Errno 21] Is a directory: 'results'"), Coarse.FILE),
        (crash("RuntimeError: file not found: x.root"), Coarse.FILE),
        (crash("AttributeError: module 'numpy' has no attribute 'trapz'"), Coarse.CALL),
        (crash("AttributeError: 'Minuit' object has no attribute 'minimise'"), Coarse.CALL),
        (crash("ModuleNotFoundError: No module named 'zfit'"), Coarse.CALL),
        (crash("ImportError: cannot import name 'trapz' from 'scipy.integrate'"), Coarse.CALL),
        (crash("TypeError: hist() got an unexpected keyword argument 'weight'"), Coarse.CALL),
        (crash("TypeError: f() missing 1 required positional argument: 'x'"), Coarse.CALL),
        (crash("TypeError: takes 2 positional arguments but 3 were given"), Coarse.CALL),
        (crash("TypeError: 'NoneType' object is not callable"), Coarse.CALL),
        (crash("TypeError: only length-1 arrays can be converted", SCRIPT + LIBRARY), Coarse.CALL),
        (crash("ValueError: `bins` must increase monotonically", SCRIPT + LIBRARY), Coarse.CALL),
        (crash("TypeError: unsupported operand type(s) for +: 'int' and 'str'"), Coarse.SEMANTIC),
        (crash("ValueError: operands could not be broadcast together with shapes (3,) (4,)"), Coarse.SEMANTIC),
        (crash("ZeroDivisionError: division by zero"), Coarse.SEMANTIC),
        (crash("NameError: name 'mass' is not defined"), Coarse.SEMANTIC),
        (crash("IndexError: index 3 is out of bounds"), Coarse.SEMANTIC),
        (crash("AssertionError"), Coarse.SEMANTIC),
        (crash("KeyError: 3"), Coarse.SEMANTIC),
        (crash("RuntimeError: the fit did not converge"), Coarse.SEMANTIC),
        (crash("MemoryError"), Coarse.OTHER),
        (crash("SystemExit: 1"), Coarse.OTHER),
        ("killed\n", Coarse.OTHER),
        ("", Coarse.OTHER),
        (START, Coarse.OTHER),
        (START + SCRIPT, Coarse.OTHER),
        (
            crash("KeyError: 'm_gg'") + "\nDuring handling of the above exception, another exception occurred:\n\n"
            + crash("RuntimeError: cannot read the input"), Coarse.BRANCH,
        ),
        (
            crash("ValueError: bad") + "\nThe above exception was the direct cause of the following exception:\n\n"
            + crash("FileNotFoundError: no x.root"), Coarse.FILE,
        ),
        (crash("KeyError: 'tried'") + "went on\n" + crash("ZeroDivisionError: division by zero"), Coarse.SEMANTIC),
    ],
)  # fmt: skip
def test_a_crash_is_classified_by_its_traceback(log: str, wanted: Coarse) -> None:
    assert classify(errors(CRASHED), log) == Classified(coarse=wanted, fine=CRASHED)


# --- findings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "wanted", "fine"),
    [
        (["script.random"], Coarse.DUMMY, "script.random"),
        (["script.invented_data"], Coarse.DUMMY, "script.invented_data"),
        (["script.literal_result"], Coarse.DUMMY, "script.literal_result"),
        (["script.weights_ones"], Coarse.WEIGHTS, "script.weights_ones"),
        (["weights.all_one"], Coarse.WEIGHTS, "weights.all_one"),
        (["contract.weights_sum"], Coarse.WEIGHTS, "contract.weights_sum"),
        (["script.unknown_name"], Coarse.BRANCH, "script.unknown_name"),
        (["output.missing"], Coarse.FILE, "output.missing"),
        (["script.wrong_tail"], Coarse.SEMANTIC, "script.wrong_tail"),
        (["contract.fit_valid"], Coarse.SEMANTIC, "contract.fit_valid"),
        (["probe.scale_weights"], Coarse.SEMANTIC, "probe.scale_weights"),
        (["check.checks/fit.py:mine"], Coarse.SEMANTIC, "check.checks/fit.py:mine"),
        (["decision.ignored"], Coarse.SEMANTIC, "decision.ignored"),
        (["run.timeout"], Coarse.OTHER, "run.timeout"),
        (["reply.no_code"], Coarse.OTHER, "reply.no_code"),
        (["project.stray"], Coarse.OTHER, "project.stray"),
        (["a_group_of_tomorrow.thing"], Coarse.SEMANTIC, "a_group_of_tomorrow.thing"),
        (["script.syntax", "script.axis_label"], Coarse.SEMANTIC, "script.axis_label"),
        (["script.wrong_tail", "script.random", "script.weights_ones"], Coarse.DUMMY, "script.random"),
        (["output.missing", "script.unknown_name"], Coarse.BRANCH, "script.unknown_name"),
        (["script.wrong_tail", "script.axis_label"], Coarse.SEMANTIC, "script.wrong_tail"),
    ],
)
def test_the_cause_of_several_findings(names: list[str], wanted: Coarse, fine: str) -> None:
    assert classify(errors(*names)) == Classified(coarse=wanted, fine=fine)


def test_warnings_are_no_failure() -> None:
    warning = Finding(check="script.random", message="hm", severity=Severity.WARNING)
    assert classify([warning]) is None
    assert classify([]) is None
    assert classify([warning], revised=True) == Classified(coarse=Coarse.SEMANTIC, fine=REVISED)
    both = classify([warning, *errors("script.wrong_tail")], revised=True)
    assert both == Classified(coarse=Coarse.SEMANTIC, fine="script.wrong_tail")


@pytest.mark.parametrize(
    ("attempt", "wanted"),
    [
        ({"findings": tuple(errors("script.random"))}, {"coarse": "dummy data created", "fine": "script.random"}),
        (
            {"findings": tuple(errors(CRASHED)), "execution": an_execution(returncode=1, log=crash("KeyError: 'x'"))},
            {"coarse": "incorrect branch name", "fine": "run.failed"},
        ),
        (
            {"review": Review(approved=False, comments="use the weights")},
            {"coarse": "semantic error", "fine": "review.revise"},
        ),
        ({"review": Review(approved=True, comments="good")}, None),
    ],
)
def test_a_session_records_the_class(tmp_path: Path, attempt: dict[str, Any], wanted: object) -> None:
    session = Session(tmp_path / "s")
    shop: Any = SimpleNamespace(session=session, tell=lambda *_: None)
    record(shop, Attempt(number=1, draft=Draft(source="pass\n"), **attempt))
    (line,) = (session.directory / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["class"] == wanted


# --- the page -------------------------------------------------------------------------------------------------------

_ROW = re.compile(
    r"^\| `(?P<name>[\w.*]+)` \| (?P<severity>\w+) \| (?P<coarse>[^|]+) \| (?P<meaning>.+) \|$", re.MULTILINE
)
ROWS = {row["name"]: row for row in _ROW.finditer(PAGE)}
OWN = {REVISED}
"""Fine classes that are no findings."""


def findings_of_the_package() -> Iterator[tuple[str, set[str], str]]:
    """Name (`*` where it is computed), severities and place of every finding in the source."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            target.id: value for node in tree.body if isinstance(node, ast.Assign) for target, value in _named(node)
        }
        for node in ast.walk(tree):
            called = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and called in ("Finding", "Found", "finding"):
                words = {one.arg: one.value for one in node.keywords}
                if "check" in words:
                    for name in _names(words["check"], texts):
                        yield name, _severities(words), f"{path.relative_to(PACKAGE)}:{node.lineno}"


def _named(node: ast.Assign) -> Iterator[tuple[ast.Name, ast.expr]]:
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = zip(target.elts, node.value.elts, strict=True)
            yield from ((part, value) for part, value in pairs if isinstance(part, ast.Name))


def _names(value: ast.expr, texts: dict[str, ast.expr]) -> Iterator[str]:
    if isinstance(value, ast.Constant):
        yield str(value.value)
    elif isinstance(value, ast.JoinedStr):
        parts = [
            next(_names(part.value, texts), "*") if isinstance(part, ast.FormattedValue) else str(part.value)  # type: ignore[attr-defined]
            for part in value.values
        ]
        yield "".join(parts)
    elif isinstance(value, ast.Name) and value.id in texts:
        yield from _names(texts[value.id], texts)
    elif ast.unparse(value) == "LIMITS[execution.ending]":
        yield from LIMITS.values()


def _severities(words: dict[str | None, ast.expr]) -> set[str]:
    given = words.get("severity", words.get("warning"))
    if given is None:
        return {"error"}
    text = ast.unparse(given)
    return (
        {"warning"}
        if text in ("Severity.WARNING", "True")
        else {"error"}
        if text == "Severity.ERROR"
        else {"error", "warning"}
    )


def row_of(name: str) -> str | None:
    """The row of the page that tells of a finding."""
    fitting = [row for row in ROWS if row == name or fnmatchcase(name, row)]
    return max(fitting, key=lambda row: (row == name, len(row)), default=None)


def test_every_finding_is_on_the_page() -> None:
    told = {place: name for name, _, place in findings_of_the_package() if row_of(name) is None}
    assert told == {}, "describe these findings in docs/findings.md"


def test_the_page_tells_of_no_finding_that_is_none() -> None:
    known = {row_of(name) for name, _, _ in findings_of_the_package()}
    assert ROWS.keys() - known - OWN == {"contract.*"} - known


def test_severities_on_the_page_are_those_of_the_source() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for name, severities, _ in findings_of_the_package():
        row = row_of(name)
        if row is not None and "*" not in row:
            found[row] |= severities
    words = {row: "either" if len(each) > 1 else next(iter(each)) for row, each in found.items()}
    assert {row: ROWS[row]["severity"] for row in words} == words, "say so in docs/findings.md"


def test_classes_on_the_page_are_those_of_the_taxonomy() -> None:
    told = {name: row["coarse"].strip() for name, row in ROWS.items() if name != CRASHED}
    assert told == {name: str(coarse(name)) for name in told}
    table = PAGE.partition("| class | here |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) == [str(each) for each in Coarse]


def test_the_page_names_the_findings_that_have_a_class_of_their_own() -> None:
    from snakemake_executor_plugin_llmagent import taxonomy

    assert set(taxonomy._CLASSES) <= ROWS.keys()
